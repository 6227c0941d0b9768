"""What a waiting step still misses, by name. `ready` is a waiting step that misses nothing."""

from collections.abc import Iterable

from django.db.models import DateTimeField, IntegerField, Q, Sum, Value
from django.db.models.functions import Cast, Coalesce
from django.utils.translation import gettext as _

from apps.catalog.models import Process, Stage, TaskRule, Tool, ToolKind
from apps.workorders.models import OrderMaterial, Step, WorkOrder
from apps.workorders.states import ORDER_RUNNING, STEP_ENDED, StepStatus, TaskStatus


def what_is_missing(order: WorkOrder) -> dict[int, list[str]]:
    """For each waiting or running step of the order, sentences that name what it misses (none: it is ready). Four queries."""
    good = Sum("tasks__good", filter=~Q(tasks__status=TaskStatus.CANCELLED))
    steps = list(order.steps.select_related("process").prefetch_related("predecessors").annotate(delivered=good))
    tools, materials = list(order.tools.all()), list(order.materials.all())
    by_pk = {step.pk: step for step in steps}
    before = {step.pk: [by_pk[link.pk] for link in step.predecessors.all()] for step in steps}
    return {step.pk: _missing(step, before[step.pk], order, tools, materials) for step in steps if step.status not in STEP_ENDED}


def what_step_misses(step: Step, order: WorkOrder) -> list[str]:
    """The same for one step that has not ended, its process loaded. One query, for the steps before it, tools and materials together."""
    good = Sum("tasks__good", filter=~Q(tasks__status=TaskStatus.CANCELLED))
    before = Step.objects.filter(successors=step.pk).exclude(status__in=STEP_ENDED)
    no_time = Value(None, output_field=DateTimeField())
    rows = order.tools.order_by().values_list(Value("tool"), "pk", "kind", "code", "revision", "confirmed_at")
    rows = rows.union(
        order.materials.order_by().values_list(
            Value("material"), "pk", "name", "size", Cast("needs_cutting", IntegerField()), "received_at"
        ),
        before.order_by().values_list(Value("step"), "sequence", "process__name", "process__name_zh", Coalesce(good, 0), no_time),
        all=True,
    )
    steps, tools, materials = [], [], []
    for what, _key, one, other, number, at in sorted(rows, key=lambda row: row[:2]):
        if what == "tool":
            tools.append(Tool(kind=one, code=other, revision=number, confirmed_at=at))
        elif what == "material":
            materials.append(OrderMaterial(name=one, size=other, needs_cutting=bool(number), received_at=at))
        else:
            steps.append(Step(process=Process(name=one, name_zh=other)))
            steps[-1].delivered = number
    return _missing(step, steps, order, tools, materials)


def _missing(step: Step, predecessors: Iterable[Step], order: WorkOrder, tools: list, materials: list) -> list[str]:
    missing = []
    if order.status not in ORDER_RUNNING:
        missing.append(_("Order %(number)s is %(status)s.") % {"number": order.number, "status": order.get_status_display()})
    for before in predecessors:
        delivered = before.delivered or 0
        if before.status in STEP_ENDED:
            continue
        if step.transfer_minimum is None:
            missing.append(_("%(process)s is not completed yet.") % {"process": before.process.label})
        elif delivered < step.transfer_minimum:
            missing.append(
                _("%(process)s has delivered %(delivered)s of the %(minimum)s that are needed to start.")
                % {"process": before.process.label, "delivered": delivered, "minimum": step.transfer_minimum}
            )
    kind = step.process.needs_tool
    if kind:
        needed = [tool for tool in tools if tool.kind == kind]
        if not needed:
            missing.append(_("No %(kind)s is attached to the order.") % {"kind": ToolKind(kind).label})
        missing += [
            _("%(kind)s %(tool)s is not confirmed.") % {"kind": tool.get_kind_display(), "tool": tool}
            for tool in needed
            if not tool.confirmed_at
        ]
    cuts, prints = step.process.task_rule == TaskRule.PER_MATERIAL, step.stage == Stage.PRINT
    for material in materials:
        if not material.received_at and (prints or (cuts and material.needs_cutting)):
            missing.append(_("Material %(material)s is not received.") % {"material": material})
    return missing


def step_status(step: Step, missing: list[str]) -> StepStatus:
    """The step's status as people see it: a waiting step that misses nothing is ready."""
    if step.status == StepStatus.WAITING and not missing:
        return StepStatus.READY
    return StepStatus(step.status)
