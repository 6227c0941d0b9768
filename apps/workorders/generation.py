"""From an order to its steps and draft tasks. What a process makes is data on the process (`task_rule`), not code here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from django.utils.translation import gettext as _
from simple_history.utils import bulk_create_with_history

from apps.catalog.models import Process, RouteStep, Stage, TaskRule, Tool, ToolKind
from apps.core.context import signature
from apps.core.errors import InvalidInput, RuleError
from apps.core.units import Unit
from apps.workorders.models import OrderLine, OrderMaterial, Step, Task, WorkOrder
from apps.workorders.states import TaskStatus

MOST_PLANNED = 2_000_000_000  # of one step, in whatever it counts
RULE_TOOLS = {
    TaskRule.PER_TOOL: tuple(ToolKind),
    TaskRule.PER_ARTWORK: (ToolKind.ARTWORK,),
    TaskRule.PER_DIE: (ToolKind.DIE,),
    TaskRule.PER_FOIL_PLATE: (ToolKind.FOIL_PLATE,),
    TaskRule.PER_EMBOSSING_PLATE: (ToolKind.EMBOSSING_PLATE,),
}


@dataclass
class StepPlan:
    """A step to be: `after` are indexes into the list of plans."""

    process: Process
    after: set[int] = field(default_factory=set)
    transfer_minimum: int | None = None


@dataclass(frozen=True)
class TaskPlan:
    """A task to be. `key` says what it is made for: line:12, tool:3, material:4, order."""

    key: str
    planned: int
    unit: str
    line_id: int | None = None
    material_id: int | None = None
    tool_id: int | None = None


def default_runs(lines: Sequence[OrderLine], ups: int) -> int:
    """Press runs that the lines need: the longest line decides, since the lines of a ganged job run together."""
    return max((ceil(line.quantity / max(ups, 1)) for line in lines if line.quantity), default=0)


def usual_after(processes: Sequence[Process], index: int) -> set[int]:
    """Preparation waits for nothing, the first printing for all preparation before it, everything else for the step before."""
    if processes[index].stage == Stage.PREPARE or index == 0:
        return set()
    preparation = {other for other in range(index) if processes[other].stage == Stage.PREPARE}
    if processes[index].stage == Stage.PRINT and len(preparation) == index:
        return preparation
    return {index - 1}


def read_steps_text(text: str) -> list[Process]:
    """`CTP > CUT > PRT` as processes. Raises InvalidInput that names an unknown code. One query."""
    codes = [code.strip().upper() for code in text.replace("＞", ">").replace("→", ">").split(">") if code.strip()]
    known = {process.code: process for process in Process.objects.filter(code__in=codes, is_active=True)}
    unknown = [code for code in codes if code not in known]
    if unknown:
        raise InvalidInput(
            _("There is no active process %(code)s. Write process codes like: CTP > CUT > PRT.") % {"code": unknown[0]},
            field="steps_text",
        )
    return [known[code] for code in codes]


def plan_steps(order: WorkOrder, lines: Sequence[OrderLine]) -> list[StepPlan]:
    """The steps that the order should have: its own, else its route's, else its products' routes merged. Three queries."""
    if order.steps_text.strip():
        processes = read_steps_text(order.steps_text)
        return [StepPlan(process, usual_after(processes, index)) for index, process in enumerate(processes)]
    routes = [order.route_id] if order.route_id else [line.product.route_id for line in lines]
    wanted = list(dict.fromkeys(pk for pk in routes if pk))
    steps = list(RouteStep.objects.filter(route__in=wanted).select_related("process").prefetch_related("after").order_by("position", "pk"))
    return merge([[step for step in steps if step.route_id == pk] for pk in wanted])


def merge(routes: Sequence[Sequence[RouteStep]]) -> list[StepPlan]:
    """Several routes as one: each process once for each time that one route has it, in an order that keeps every route's own
    wherever they agree; where they disagree, the shop's order of processes decides. Pure, if `after` is prefetched."""
    keyed: list[list[tuple[tuple[int, int], RouteStep]]] = []
    for route in routes:
        seen: dict[int, int] = {}
        keyed.append([])
        for step in route:
            seen[step.process_id] = seen.get(step.process_id, 0) + 1
            keyed[-1].append(((step.process_id, seen[step.process_id]), step))
    first: dict[tuple[int, int], RouteStep] = {}
    before: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for route in keyed:
        previous = None
        for key, step in route:
            first.setdefault(key, step)
            before.setdefault(key, set())
            if previous:
                before[key].add(previous)
            previous = key
    ordered: list[tuple[int, int]] = []
    while len(ordered) < len(first):
        waiting = [key for key in first if key not in ordered]
        free = [key for key in waiting if before[key] <= set(ordered)] or waiting
        ordered.append(min(free, key=lambda key: (first[key].process.position, key)))
    index_of = {key: index for index, key in enumerate(ordered)}
    plans = [StepPlan(first[key].process, transfer_minimum=first[key].transfer_minimum) for key in ordered]
    for route in keyed:
        processes = [step.process for _key, step in route]
        own = {step.pk: index_of[key] for key, step in route}
        for position, (key, step) in enumerate(route):
            explicit = {own[other.pk] for other in step.after.all() if other.pk in own}
            usual = {index_of[route[other][0]] for other in usual_after(processes, position)}
            # Where the merged order had to turn two steps round, the earlier one cannot wait for the later.
            plans[index_of[key]].after |= {other for other in explicit or usual if other < index_of[key]}
    return plans


def plan_tasks(
    order: WorkOrder, process: Process, lines: Sequence[OrderLine], materials: Sequence[OrderMaterial], tools: Sequence[Tool]
) -> tuple[list[TaskPlan], str]:
    """The tasks that a step of `process` should have, and a warning ("" if none). Pure.

    A step whose objects are missing gets one task by the `single` rule; it never gets none.
    """
    runs, rule = max(order.planned_runs, 1), process.task_rule
    plans: list[TaskPlan] = []
    if rule in RULE_TOOLS:
        wanted = [tool for tool in tools if tool.kind in RULE_TOOLS[rule]]
        each = (1, Unit.PLATE) if rule == TaskRule.PER_TOOL else (runs, Unit.RUN)
        plans = [TaskPlan(f"tool:{tool.pk}", *each, tool_id=tool.pk) for tool in wanted]
    elif rule == TaskRule.PER_MATERIAL:
        cut = [material for material in materials if material.needs_cutting and material.amount]
        plans = [TaskPlan(f"material:{one.pk}", ceil(one.amount), one.unit, material_id=one.pk) for one in cut]
    elif rule == TaskRule.PER_LINE:
        plans = [TaskPlan(f"line:{line.pk}", line.quantity, line.unit or line.product.unit, line_id=line.pk) for line in lines]
    if plans:
        return plans, ""
    plans = [TaskPlan("order", runs, Unit.RUN)]
    if rule == TaskRule.SINGLE:
        return plans, ""
    return plans, _("%(process)s makes one task for %(rule)s, but the order has none: it got one task for the whole run.") % {
        "process": process.label,
        "rule": process.get_task_rule_display(),
    }


def regenerate(order: WorkOrder, *, by: Any) -> None:
    """Bring the steps and draft tasks of a locked draft in line with its lines, route, materials and tools.

    Idempotent: twice gives the same tasks. A task that is no draft or has reports is never touched.
    """
    from apps.workorders.services.dispatching import propose_departments

    if order.tasks.exclude(status=TaskStatus.DRAFT, good=0, scrap=0).exists():
        raise RuleError(_("Order %(number)s has tasks that were begun; its steps stay as they are.") % {"number": order}, code="begun")
    lines = list(order.lines.select_related("product"))
    materials, tools = list(order.materials.all()), list(order.tools.all())
    plans = plan_steps(order, lines)
    task_plans = [plan_tasks(order, plan.process, lines, materials, tools)[0] for plan in plans]
    planned = [sum(task.planned for task in tasks) for tasks in task_plans]
    _refuse_too_much(plans, planned)
    steps = list(order.steps.select_related("process"))
    if [step.process_id for step in steps] != [plan.process.pk for plan in plans]:
        for step in steps:
            step.delete()
        steps = _create_steps(order, plans, planned, by=by)
    else:
        for step, plan, quantity in zip(steps, plans, planned, strict=True):
            if (step.transfer_minimum, step.planned) != (plan.transfer_minimum, quantity):
                step.transfer_minimum, step.planned = plan.transfer_minimum, quantity
                step.save()
    _link(steps, plans)
    existing: dict[tuple[int, str], Task] = {
        (task.step_id, task.source_key): task for task in order.tasks.filter(status=TaskStatus.DRAFT, good=0, scrap=0)
    }
    wanted = {(step.pk, plan.key): (step, plan) for step, tasks in zip(steps, task_plans, strict=True) for plan in tasks}
    for key in existing.keys() - wanted.keys():
        existing[key].delete()
    fresh = []
    for key, (step, plan) in wanted.items():
        values = {
            "planned": plan.planned, "unit": plan.unit, "line_id": plan.line_id, "material_id": plan.material_id,
            "tool_id": plan.tool_id, "priority": order.priority, "due_date": order.due_date, "instructions": order.instructions,
        }  # fmt: skip
        task = existing.get(key)
        if task is None:
            fresh.append(Task(order=order, step=step, source_key=plan.key, **values))
        elif any(getattr(task, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(task, name, value)
            task.save()
    propose_departments(fresh)
    _bulk_create(fresh, Task, by=by)


def _refuse_too_much(plans: Sequence[StepPlan], planned: Sequence[int]) -> None:
    """What a step plans is the sum of its tasks: each number can be a fair one, and the sum more than a column holds."""
    for plan, quantity in zip(plans, planned, strict=True):
        if quantity > MOST_PLANNED:
            said = _("%(process)s would have %(planned)s to make, more than %(most)s. Check the quantities, or make several orders of it.")
            values = {"process": plan.process.label, "planned": quantity, "most": MOST_PLANNED}
            raise InvalidInput(said % values, field="lines", code="too_many")


def _create_steps(order: WorkOrder, plans: Sequence[StepPlan], planned: Sequence[int], *, by: Any) -> list[Step]:
    steps = [
        Step(
            order=order, process=plan.process, sequence=10 * number, stage=plan.process.stage, transfer_minimum=plan.transfer_minimum,
            planned=quantity,
        )
        for number, (plan, quantity) in enumerate(zip(plans, planned, strict=True), start=1)
    ]  # fmt: skip
    _bulk_create(steps, Step, by=by)
    return steps


def _link(steps: Sequence[Step], plans: Sequence[StepPlan]) -> None:
    """Write which step follows which. Two queries, a third where something changed."""
    through = Step.predecessors.through
    wanted = {(step.pk, steps[other].pk) for step, plan in zip(steps, plans, strict=True) for other in plan.after}
    present = set(through.objects.filter(from_step__in=[step.pk for step in steps]).values_list("from_step_id", "to_step_id"))
    if wanted != present:
        through.objects.filter(from_step__in=[step.pk for step in steps]).delete()
        through.objects.bulk_create(through(from_step_id=one, to_step_id=other) for one, other in sorted(wanted))


def _bulk_create(rows: Sequence[Any], model: Any, *, by: Any) -> None:
    """Insert rows with their history, signed. Two queries."""
    if rows:
        bulk_create_with_history(list(rows), model, default_user=by, default_change_reason=signature().reason or None)


def warnings(order: WorkOrder) -> list[str]:
    """What is unusual about the order's tasks, in sentences: steps whose objects are missing. Four queries."""
    lines = list(order.lines.select_related("product"))
    materials, tools = list(order.materials.all()), list(order.tools.all())
    steps = order.steps.select_related("process")
    told = [plan_tasks(order, step.process, lines, materials, tools)[1] for step in steps]
    return list(dict.fromkeys(sentence for sentence in told if sentence))
