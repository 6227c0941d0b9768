"""How dispatch rules come in from tables: one for each process and department."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Department
from apps.catalog.models import Process
from apps.core.errors import InvalidInput
from apps.core.reading import label_words, plain, read_choice, read_known, read_quantity, shown
from apps.dispatch.models import DispatchRule, Strategy
from apps.dispatch.services import remove_rule, save_rule
from apps.imports.base import Column
from apps.imports.keyed import KeyedResource
from apps.imports.registry import register

STRATEGIES = {
    "领取": Strategy.QUEUE, "排队": Strategy.QUEUE, "最少": Strategy.LEAST_LOADED, "负荷最少": Strategy.LEAST_LOADED,
    "轮流": Strategy.ROUND_ROBIN, "同上道工序": Strategy.SAME_AS_PREVIOUS,
}  # fmt: skip


def _process(resource: "RuleResource", value: Any) -> Process:
    return read_known(value, resource.processes, _("process code"))


def _department(resource: "RuleResource", value: Any) -> Department:
    return read_known(value, resource.departments, _("department"))


def _priority(_resource: Any, value: Any) -> int:
    text = plain(value)
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) <= 100):
        raise InvalidInput(_("%(got)s is no priority. Write a whole number from 0 to 100.") % {"got": shown(value)}, code="number")
    return int(text)


def _strategy(_resource: Any, value: Any) -> Strategy:
    words = label_words(Strategy) | {one.value: one for one in Strategy} | STRATEGIES
    return read_choice(value, words, _("way to find the person"))


class RuleResource(KeyedResource):
    permission = "dispatch.import_dispatchrule"
    sheet_names = ("派工规则", "dispatch rules", "rules")
    fields_told = ("priority", "strategy", "wip_limit")
    key_column = "process"

    process = Column("process", gettext_lazy("Process"), "工序", "工序编码", "process code", read=_process, required=True)
    department = Column(
        "department", gettext_lazy("Department"), "部门", "车间", "部门编码", "department code", read=_department, required=True
    )
    priority = Column("priority", gettext_lazy("Priority"), "优先级", read=_priority)
    strategy = Column("strategy", gettext_lazy("Person"), "派工方式", "人员", "strategy", read=_strategy)
    wip_limit = Column(
        "wip_limit", gettext_lazy("Open tasks per person"), "每人任务上限", "wip limit", read=lambda _r, value: read_quantity(value, 32_767)
    )

    class Meta:
        model = DispatchRule

    def prepare(self, rows: list[dict[str, Any]]) -> None:
        processes = Process.objects.visible_to(self.by).active()
        departments = Department.objects.visible_to(self.by).active()
        self.processes = {plain(name).casefold(): one for one in processes for name in (one.name_zh, one.name, one.code) if name}
        self.departments = {plain(name).casefold(): one for one in departments for name in (one.name_zh, one.name, one.code) if name}
        super().prepare(rows)

    def read_key(self, row: dict[str, Any]) -> Any:
        if not row.get("process") or not row.get("department"):
            return ""
        return _process(self, row["process"]).code, _department(self, row["department"]).code

    def load(self, keys: set[Any]) -> tuple[dict[Any, DispatchRule], set[Any]]:
        named = DispatchRule.objects.filter(process__code__in={process for process, _department in keys})
        seen = named.visible_to(self.by).select_related("process", "department").locked()
        known = {(one.process.code, one.department.code): one for one in seen}
        return known, set(named.values_list("process__code", "department__code")) - known.keys()

    def label_of(self, instance: DispatchRule) -> str:
        return f"{instance.process.code} → {instance.department.code}"

    def store(self, instance: DispatchRule, *, is_new: bool) -> None:
        before = None if is_new else self.told(DispatchRule.objects.get(pk=instance.pk))
        if before is None or self.told(instance) != before:
            self.save(instance)
        self.planned(instance, before)

    def save(self, instance: DispatchRule) -> None:
        save_rule(instance, by=self.by)

    def remove(self, instance: DispatchRule) -> None:
        remove_rule(instance, by=self.by)


register("rules", gettext_lazy("Dispatch rules"), RuleResource)
