"""How the task list comes in again, filled in: who does each task, and how many were made so far. Moves by verbs, never a status."""

import re
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Department, User
from apps.core.errors import InvalidInput, RuleError
from apps.core.reading import by_names, is_blank, label_words, plain, read_known, read_person, read_quantity, read_text, shown
from apps.imports.base import Column
from apps.imports.keyed import KeyedResource
from apps.imports.models import ImportRow
from apps.imports.registry import register
from apps.workorders import services as do
from apps.workorders.models import MOST, ReasonCode, Task, WorkEvent, WorkOrder
from apps.workorders.services.locking import lock_task
from apps.workorders.telling import tell
from apps.workorders.transitions import refuse_unless_possible

MOST_DIGITS = 17


def _number(_resource: Any, value: Any) -> str:
    found = re.fullmatch(rf"T0*([1-9][0-9]{{0,{MOST_DIGITS - 1}}})", plain(value).upper())
    if found is None:
        raise InvalidInput(_("%(got)s is no task number. Write it like T123.") % {"got": shown(value)}, code="number")
    return f"T{found[1]}"


def _person(resource: "TaskResource", value: Any) -> User:
    return read_person(value, resource.people, _("person (write the user name)"))


def _department(resource: "TaskResource", value: Any) -> Department:
    return read_known(value, resource.departments, _("department"))


def _total(_resource: Any, value: Any) -> int:
    return 0 if plain(value) == "0" else read_quantity(value, MOST)


def _reason(_resource: Any, value: Any) -> str:
    """One of the floor's reasons, or what was written."""
    words = {plain(word).casefold(): code for word, code in (label_words(ReasonCode) | {code.value: code for code in ReasonCode}).items()}
    return words.get(plain(value).casefold()) or read_text(value, WorkEvent._meta.get_field("reason").max_length)


def _names(thing: User | Department | None) -> set[str]:
    """Everything that a cell may call the person or department."""
    if thing is None:
        return set()
    own = (thing.username, thing.name) if isinstance(thing, User) else (thing.code, thing.name, thing.name_zh)
    return {plain(name).casefold() for name in own if name}


class TaskResource(KeyedResource):
    """Tasks that are there, by their numbers. Good and scrap are totals so far: what is more than now is reported, less is refused."""

    permission = "workorders.import_task"
    sheet_names = ("任务", "tasks", "task")
    key_column = "task"

    task = Column("named", gettext_lazy("Task"), "任务", "任务号", "任务编号", "task number", read=_number, required=True)
    operator = Column(
        "wanted_operator", gettext_lazy("Operator"), "操作员", "人员", "负责人", "person", "user name", "用户名", read=_person
    )
    department = Column("wanted_department", gettext_lazy("Department"), "部门", "车间", "部门编码", "department code", read=_department)
    good = Column("total_good", gettext_lazy("Good so far"), "合格", "合格数", "累计合格", "good", read=_total, tell=True)
    scrap = Column("total_scrap", gettext_lazy("Scrap so far"), "废品", "废品数", "累计废品", "scrap", read=_total, tell=True)
    reason = Column("why", gettext_lazy("Reason"), "原因", "废品原因", "scrap reason", read=_reason)

    class Meta:
        model = Task

    def prepare(self, rows: list[dict[str, Any]]) -> None:
        departments = Department.objects.visible_to(self.by).active()
        self.departments = {name: one for one in departments for name in _names(one)}
        self.people = by_names(User.objects.visible_to(self.by).filter(is_active=True))
        super().prepare(rows)

    def read_key(self, row: dict[str, Any]) -> str:
        return "" if is_blank(row.get("task")) else _number(self, row["task"])

    def load(self, keys: set[str]) -> tuple[dict[str, Task], set[str]]:
        """A number that nobody has and one out of sight are the same."""
        tasks = Task.objects.visible_to(self.by).filter(pk__in=[int(key[1:]) for key in keys])
        # Orders first, then their tasks, as every verb locks.
        list(WorkOrder.objects.filter(pk__in=tasks.values("order")).locked().values_list("pk"))
        known = {str(one): one for one in tasks.select_related("order", "step__process", "department", "operator").locked()}
        return known, keys - known.keys()

    def taken(self) -> str:
        return _("There is no such task among those that you see. Take the numbers from the exported list of tasks.")

    def label_of(self, instance: Task) -> str:
        return f"{instance} · {instance.order.number} · {instance.step.process.label}"

    def told(self, instance: Task) -> list[tuple[str, str, str]]:
        values = {
            "department": instance.department.label if instance.department else "",
            "operator": str(instance.operator or ""),
            "status": instance.get_status_display(),
            "good": instance.good,
            "scrap": instance.scrap,
        }
        return [(name, str(Task._meta.get_field(name).verbose_name), str(value) or "–") for name, value in values.items()]

    def snapshot(self, instance: Task) -> dict[str, Any]:
        return {"operator": instance.operator_id, "department": instance.department_id}

    def import_instance(self, instance: Task, row: dict[str, Any], **kwargs: Any) -> None:
        """A cell that names who has the task now, or where it is, wants nothing: whether the reader could choose them is no question."""
        kept = [name for name in ("operator", "department") if plain(row.get(name) or "").casefold() in _names(getattr(instance, name))]
        super().import_instance(instance, row | dict.fromkeys(kept), **kwargs)

    def store(self, instance: Task, *, is_new: bool) -> None:
        """First what was made, by who had it; then who goes on. The plan shows the reason that goes with a report."""
        before, made = self.told(instance), instance.good + instance.scrap
        reported = self._reported(instance)
        why = getattr(instance, "why", "")
        self.planned(self._assigned(reported, instance), before)
        if why and reported.good + reported.scrap != made:
            self.plan[-1].details.append(f"{self.columns()['reason'].label}: {getattr(why, 'label', why)}")

    def _reported(self, task: Task) -> Task:
        """Report what the totals have more than the task."""
        more = {}
        for name, label in (("good", _("good")), ("scrap", _("scrap"))):
            total, now = getattr(task, f"total_{name}", None), getattr(task, name)
            more[name] = 0 if total is None else total - now
            if more[name] < 0:
                message = _(
                    "Task %(number)s has %(now)s %(what)s already, the table says %(total)s. A table takes no pieces away: "
                    "take the wrong report back under Events, or write %(now)s."
                )
                raise InvalidInput(message % {"number": task, "now": now, "what": label, "total": total}, field=name, code="less")
        if not any(more.values()):
            return task
        refuse_unless_possible(task, "report")  # before it is asked for a reason
        why = getattr(task, "why", "")
        said = {"reason_code": why} if isinstance(why, ReasonCode) else {"reason": why}
        try:
            return do.report(task, by=self.by, **more, **said)
        except RuleError as refusal:
            if refusal.field == "quantity":
                refusal.field = "good"
            raise

    def _assigned(self, task: Task, wanted: Task) -> Task:
        """Give the task to whom the row names; who has it keeps it where only another department is named."""
        operator, department = getattr(wanted, "wanted_operator", None), getattr(wanted, "wanted_department", None)
        if operator is None and department is None:
            return task
        return do.assign_task(task, by=self.by, operator=operator or task.operator, department=department)

    def take_back(self, row: ImportRow) -> None:
        """The task goes back to who had it, and what was reported is reversed, if nothing happened on it since."""
        seen = Task.objects.visible_to(self.by).filter(pk=row.address.rpartition(":")[2]).first()
        if seen is None:
            raise RuleError(_("%(what)s is not there any more.") % {"what": row.label}, code="gone")
        task = lock_task(seen, by=self.by)
        if task.version != row.after:
            raise RuleError(self._told_change(task, row), code="changed")
        self._give_back(task, **row.undo["before"])
        reports = WorkEvent.objects.filter(task=task, verb="report", import_run=self.run, import_row=row.number, reversed_by=None)
        for event in reports.order_by("-pk"):
            do.reverse_event(event, by=self.by, reason=f"import {self.run.pk}, row {row.number}, is taken back")

    def _told_change(self, task: Task, row: ImportRow) -> str:
        """What happened on the task since the import."""
        (last,) = tell(WorkEvent.objects.filter(task=task).select_related("actor", "step__process", "task").order_by("-pk")[:1])
        if last.event.import_run_id == self.run.pk:
            return _("%(what)s was changed after the import.") % {"what": row.label}
        message = _("%(what)s was changed after the import: %(who)s %(did)s. Take that back first.")
        return message % {"what": row.label, "who": last.event.actor, "did": last.text}

    def _give_back(self, task: Task, *, operator: int | None, department: int | None) -> None:
        if (task.operator_id, task.department_id) == (operator, department):
            return
        if department is None:
            message = _("Task %(number)s was in no department before, and nothing leads back there. Assign it anew.")
            raise RuleError(message % {"number": task}, code="no_department")
        if operator is None and task.department_id == department:
            do.release_task(task, by=self.by)
            return
        holder = User.objects.filter(pk=operator).first()
        do.assign_task(task, by=self.by, operator=holder, department=Department.objects.get(pk=department))


register("tasks", gettext_lazy("Tasks"), TaskResource)
