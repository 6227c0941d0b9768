"""From an order to its steps and draft tasks. What a process makes is data on the process (`task_rule`), not code here."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from django.utils.translation import gettext as _

from apps.catalog.models import Process, RouteStep, Stage, TaskRule, Tool, ToolKind
from apps.core.errors import InvalidInput, RuleError
from apps.core.history import create_with_history
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
    return _named(text, _processes([text]))


def _codes(text: str) -> list[str]:
    return [code.strip().upper() for code in text.replace("＞", ">").replace("→", ">").split(">") if code.strip()]


def _processes(texts: Iterable[str]) -> dict[str, Process]:
    """The active processes that such texts name, by code. One query, none without a text."""
    codes = {code for text in texts for code in _codes(text)}
    return {process.code: process for process in Process.objects.filter(code__in=codes, is_active=True)} if codes else {}


def _named(text: str, known: Mapping[str, Process]) -> list[Process]:
    codes = _codes(text)
    unknown = [code for code in codes if code not in known]
    if unknown:
        raise InvalidInput(
            _("There is no active process %(code)s. Write process codes like: CTP > CUT > PRT.") % {"code": unknown[0]},
            field="steps_text",
        )
    return [known[code] for code in codes]


def plan_steps(order: WorkOrder, lines: Sequence[OrderLine]) -> list[StepPlan]:
    """The steps that the order should have: its own, else its route's, else its products' routes merged. Three queries."""
    return Routes.of([(order, lines)]).plan(order, lines)


class Routes:
    """What orders take their steps from, read once for many of them."""

    def __init__(self, processes: Mapping[str, Process], steps: Mapping[int, Sequence[RouteStep]]) -> None:
        self._processes, self._steps = processes, steps
        self._merged: dict[tuple[int, ...], list[StepPlan]] = {}

    @classmethod
    def of(cls, orders: Sequence[tuple[WorkOrder, Sequence[OrderLine]]]) -> "Routes":
        """Three queries at most."""
        wanted = {pk for order, lines in orders if not order.steps_text.strip() for pk in _routes_of(order, lines)}
        steps: dict[int, list[RouteStep]] = {pk: [] for pk in wanted}
        if wanted:
            found = RouteStep.objects.filter(route__in=wanted).select_related("process").prefetch_related("after")
            for step in found.order_by("position", "pk"):
                steps[step.route_id].append(step)
        return cls(_processes(order.steps_text for order, _lines in orders), steps)

    def plan(self, order: WorkOrder, lines: Sequence[OrderLine]) -> list[StepPlan]:
        """As `plan_steps`. No query; the plans are shared and not to be changed."""
        if order.steps_text.strip():
            processes = _named(order.steps_text, self._processes)
            return [StepPlan(process, usual_after(processes, index)) for index, process in enumerate(processes)]
        wanted = _routes_of(order, lines)
        if wanted not in self._merged:
            self._merged[wanted] = merge([self._steps[pk] for pk in wanted])
        return self._merged[wanted]


def _routes_of(order: WorkOrder, lines: Sequence[OrderLine]) -> tuple[int, ...]:
    """The order's route, else those of its products, each once."""
    routes = [order.route_id] if order.route_id else [line.product.route_id for line in lines]
    return tuple(dict.fromkeys(pk for pk in routes if pk))


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


def regenerate(order: WorkOrder) -> None:
    """Bring the steps and draft tasks of a locked draft in line with its lines, route, materials and tools.

    Idempotent: twice gives the same tasks. A task that is no draft or has reports is never touched.
    """
    from apps.workorders.services.dispatching import propose_departments

    if order.tasks.exclude(status=TaskStatus.DRAFT, good=0, scrap=0).exists():
        raise RuleError(_("Order %(number)s has tasks that were begun; its steps stay as they are.") % {"number": order}, code="begun")
    lines = list(order.lines.select_related("product"))
    materials, tools = list(order.materials.all()), list(order.tools.all())
    plans = plan_steps(order, lines)
    task_plans, planned = plan_all_tasks(order, plans, lines, materials, tools)
    steps = list(order.steps.select_related("process"))
    if [step.process_id for step in steps] != [plan.process.pk for plan in plans]:
        for step in steps:
            step.delete()
        steps = _new_steps(order, plans, planned)
        create_with_history(steps)
    else:
        for step, plan, quantity in zip(steps, plans, planned, strict=True):
            if (step.transfer_minimum, step.planned) != (plan.transfer_minimum, quantity):
                step.transfer_minimum, step.planned = plan.transfer_minimum, quantity
                step.save()
    _link([(steps, plans)])
    existing: dict[tuple[int, str], Task] = {
        (task.step_id, task.source_key): task for task in order.tasks.filter(status=TaskStatus.DRAFT, good=0, scrap=0)
    }
    wanted = {(step.pk, plan.key): (step, plan) for step, tasks in zip(steps, task_plans, strict=True) for plan in tasks}
    for key in existing.keys() - wanted.keys():
        existing[key].delete()
    fresh = []
    for key, (step, plan) in wanted.items():
        values, task = _values_of(order, plan), existing.get(key)
        if task is None:
            fresh.append(Task(order=order, step=step, source_key=plan.key, **values))
        elif any(getattr(task, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(task, name, value)
            task.save()
    propose_departments(fresh)
    create_with_history(fresh)


@dataclass
class Making:
    """A new order, saved with its parts, whose steps and tasks are still to be made. `reason` signs their history."""

    order: WorkOrder
    plans: Sequence[StepPlan]
    lines: Sequence[OrderLine]
    materials: Sequence[OrderMaterial]
    tools: Sequence[Tool]
    reason: str = ""


def generate(makings: Sequence[Making]) -> None:
    """Write the steps and draft tasks of new orders. A number of queries that does not grow with them."""
    from apps.workorders.services.dispatching import propose_departments

    planned = [plan_all_tasks(one.order, one.plans, one.lines, one.materials, one.tools) for one in makings]
    steps = [_new_steps(one.order, one.plans, quantities) for one, (_tasks, quantities) in zip(makings, planned, strict=True)]
    if not any(steps):
        return
    _write([(step, one.reason) for one, made in zip(makings, steps, strict=True) for step in made])
    _link([(made, one.plans) for one, made in zip(makings, steps, strict=True)])
    tasks = [
        (Task(order=one.order, step=step, source_key=plan.key, **_values_of(one.order, plan)), one.reason)
        for one, made, (task_plans, _quantities) in zip(makings, steps, planned, strict=True)
        for step, plans in zip(made, task_plans, strict=True)
        for plan in plans
    ]
    propose_departments([task for task, _reason in tasks])
    _write(tasks)


def _write(rows: Sequence[tuple[Any, str]]) -> None:
    create_with_history([row for row, _reason in rows], reasons=[reason for _row, reason in rows])


def _values_of(order: WorkOrder, plan: TaskPlan) -> dict[str, Any]:
    """What a draft task takes from its plan and its order."""
    return {
        "planned": plan.planned, "unit": plan.unit, "line_id": plan.line_id, "material_id": plan.material_id,
        "tool_id": plan.tool_id, "priority": order.priority, "due_date": order.due_date, "instructions": order.instructions,
    }  # fmt: skip


def plan_all_tasks(
    order: WorkOrder,
    plans: Sequence[StepPlan],
    lines: Sequence[OrderLine],
    materials: Sequence[OrderMaterial],
    tools: Sequence[Tool],
) -> tuple[list[list[TaskPlan]], list[int]]:
    """The tasks of each step, and how much each step plans. Pure. Raises InvalidInput where that is too much."""
    task_plans = [plan_tasks(order, plan.process, lines, materials, tools)[0] for plan in plans]
    planned = [sum(task.planned for task in tasks) for tasks in task_plans]
    _refuse_too_much(plans, planned)
    return task_plans, planned


def _refuse_too_much(plans: Sequence[StepPlan], planned: Sequence[int]) -> None:
    """What a step plans is the sum of its tasks: each number can be a fair one, and the sum more than a column holds."""
    for plan, quantity in zip(plans, planned, strict=True):
        if quantity > MOST_PLANNED:
            said = _("%(process)s would have %(planned)s to make, more than %(most)s. Check the quantities, or make several orders of it.")
            values = {"process": plan.process.label, "planned": quantity, "most": MOST_PLANNED}
            raise InvalidInput(said % values, field="lines", code="too_many")


def _new_steps(order: WorkOrder, plans: Sequence[StepPlan], planned: Sequence[int]) -> list[Step]:
    return [
        Step(
            order=order, process=plan.process, sequence=10 * number, stage=plan.process.stage, transfer_minimum=plan.transfer_minimum,
            planned=quantity,
        )
        for number, (plan, quantity) in enumerate(zip(plans, planned, strict=True), start=1)
    ]  # fmt: skip


def _link(routes: Sequence[tuple[Sequence[Step], Sequence[StepPlan]]]) -> None:
    """Write which step follows which, for all steps of several orders. Two queries, a third where something changed."""
    through = Step.predecessors.through
    wanted = {
        (step.pk, steps[other].pk) for steps, plans in routes for step, plan in zip(steps, plans, strict=True) for other in plan.after
    }
    # By order: hundreds of orders have more steps than an old SQLite takes parameters.
    links = through.objects.filter(from_step__order__in={step.order_id for steps, _plans in routes for step in steps})
    present = set(links.values_list("from_step_id", "to_step_id"))
    if wanted != present:
        if present:
            links.delete()
        through.objects.bulk_create(through(from_step_id=one, to_step_id=other) for one, other in sorted(wanted))


def warnings(order: WorkOrder) -> list[str]:
    """What is unusual about the order's tasks, in sentences: steps whose objects are missing. Four queries."""
    lines = list(order.lines.select_related("product"))
    materials, tools = list(order.materials.all()), list(order.tools.all())
    steps = order.steps.select_related("process")
    told = [plan_tasks(order, step.process, lines, materials, tools)[1] for step in steps]
    return list(dict.fromkeys(sentence for sentence in told if sentence))
