"""Dispatch: gather what the policy needs, let it choose, write the choice with its reasons. Preview and apply are one function."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count, F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import Department, User
from apps.accounts.roles import Role
from apps.catalog.models import Process
from apps.core.context import acting
from apps.core.errors import RuleError
from apps.dispatch.models import DispatchDecision, DispatchRule, Strategy
from apps.dispatch.policy import (
    Choice,
    DepartmentCandidate,
    OperatorCandidate,
    Reason,
    TaskNeed,
    choose_department,
    choose_operator,
    top_rules,
)
from apps.notices.services import notify
from apps.workorders.models import Task, WorkOrder
from apps.workorders.moves import require_order, require_task
from apps.workorders.services.locking import lock_order, lock_task
from apps.workorders.states import ORDER_RUNNING, TASK_HELD, TaskStatus
from apps.workorders.transitions import _apply, refuse_unless_possible


@dataclass(frozen=True)
class Dispatched:
    """What the policy says about one task."""

    department: Choice
    operator: Choice
    rule: DispatchRule | None


def department_loads(departments: Sequence[int], *, besides: int | None = None) -> dict[int, int]:
    """Open work of each department, in minutes, without the task `besides`: it must not weigh against its own place. One query."""
    tasks = Task.objects.open().filter(department__in=departments).exclude(pk=besides).order_by().values("department")
    return {row["department"]: int(row["minutes"] or 0) for row in tasks.annotate(minutes=Task.objects.open_minutes())}


@dataclass(frozen=True)
class Floor:
    """Who can do what, and the active rules, for some processes: read once, however many tasks are looked at."""

    departments: dict[int, Department]
    able: dict[int, set[int]]  # process -> departments
    rules: dict[int, dict[int, DispatchRule]]  # process -> department -> rule

    @classmethod
    def of(cls, processes: Iterable[int]) -> "Floor":
        """Three queries."""
        wanted = set(processes)
        able: dict[int, set[int]] = {pk: set() for pk in wanted}
        rules: dict[int, dict[int, DispatchRule]] = {pk: {} for pk in wanted}
        for process, department in Process.departments.through.objects.filter(process__in=wanted).values_list("process", "department"):
            able[process].add(department)
        for rule in DispatchRule.objects.filter(process__in=wanted, is_active=True):
            rules[rule.process_id][rule.department_id] = rule
        return cls({one.pk: one for one in Department.objects.all()}, able, rules)

    def candidates(self, process: int, *, task: int | None = None) -> list[DepartmentCandidate]:
        """Every department that can do the process or has a rule for it. No query; one where priorities tie."""
        able, rules = self.able[process], self.rules[process]
        candidates = [
            DepartmentCandidate(
                id=pk, name=one.name, name_zh=one.name_zh, is_active=one.is_active, can_do=pk in able,
                rule_id=rules[pk].pk if pk in rules else None, priority=rules[pk].priority if pk in rules else None,
                position=one.position,
            )
            for pk, one in self.departments.items() if pk in able or pk in rules
        ]  # fmt: skip
        tied = top_rules(candidates)
        if len(tied) > 1:
            loads = department_loads([one.id for one in tied], besides=task)
            candidates = [replace(one, load=loads.get(one.id, 0)) if one in tied else one for one in candidates]
        return candidates


def _operators_of(department_id: int) -> list[OperatorCandidate]:
    """The operators of a department with their open work. Two queries."""
    people = list(User.objects.filter(memberships__department=department_id, groups__name=Role.OPERATOR).order_by("pk"))
    tasks = Task.objects.filter(operator__in=people, status__in=TASK_HELD).order_by().values("operator")
    work = {row["operator"]: row for row in tasks.annotate(minutes=Task.objects.open_minutes(), n=Count("pk"))}
    return [
        OperatorCandidate(
            id=one.pk,
            name=str(one),
            load=int(work.get(one.pk, {}).get("minutes") or 0),
            open_tasks=work.get(one.pk, {}).get("n", 0),
            is_active=one.is_active,
            is_absent=one.is_absent(),
        )
        for one in people
    ]


def _previous_operator(task: Task) -> int | None:
    """Who did the step before: the operator of its task for the same product line or tool, else of the last one completed."""
    before = Task.objects.filter(step__successors=task.step_id).exclude(operator=None).exclude(status=TaskStatus.CANCELLED)
    same = before.annotate(same=Count("pk", filter=Q(source_key=task.source_key)))
    return same.order_by("-same", F("completed_at").desc(nulls_last=True), "-pk").values_list("operator", flat=True).first()


def look(task: Task, floor: Floor) -> Dispatched:
    """What the policy says about `task` now. Writes nothing: preview and apply both call it."""
    process = task.step.process
    department = choose_department(TaskNeed(process.name, process.name_zh), floor.candidates(process.pk, task=task.pk))
    rule = floor.rules[process.pk].get(department.id)
    if department.id is None:
        return Dispatched(department, Choice(None, ()), None)
    if rule is None or rule.strategy == Strategy.QUEUE:
        return Dispatched(department, choose_operator(Strategy.QUEUE, []), rule)
    operator = choose_operator(
        rule.strategy,
        _operators_of(department.id),
        wip_limit=rule.wip_limit,
        last_operator=rule.last_operator_id,
        previous_operator=_previous_operator(task) if rule.strategy == Strategy.SAME_AS_PREVIOUS else None,
    )
    return Dispatched(department, operator, rule)


def _decision(task: Task, found: Dispatched) -> DispatchDecision:
    told = [
        {"kind": kind, "id": one.id, "name": one.name, "name_zh": getattr(one, "name_zh", ""), "load": one.load, "verdict": one.verdict}
        for kind, choice in (("department", found.department), ("operator", found.operator))
        for one in choice.candidates
    ]
    reasons = [list(reason) for reason in (*found.department.reasons, *found.operator.reasons)]
    return DispatchDecision(
        task=task, task_version=task.version, department_id=found.department.id, operator_id=found.operator.id, rule=found.rule,
        applied=False, candidates=told, reasons=reasons,
    )  # fmt: skip


def preview_task(task: Task) -> DispatchDecision:
    """The decision that dispatching the task now would make, unsaved."""
    return _decision(task, look(task, Floor.of([task.step.process_id])))


def decide(task: Task, *, reasons: Sequence[Reason], by: Any) -> DispatchDecision:
    """Record a person's own choice as the task's decision, so that the task can say why it is where it is. One query."""
    return DispatchDecision.objects.create(
        task=task,
        task_version=task.version,
        department=task.department,
        operator=task.operator,
        reasons=[list(one) for one in reasons],
        made_by=by,
    )


def _dispatch(task: Task, floor: Floor, *, by: Any) -> DispatchDecision:
    """Dispatch one pending task. It and the rules of its process are locked by the caller."""
    found = look(task, floor)
    decision = _decision(task, found)
    before = {"department": [task.department_id, found.department.id], "operator": [None, found.operator.id]}
    to = TaskStatus.ASSIGNED if found.operator.id else TaskStatus.PENDING
    _apply(
        task, "dispatch", to, by=by, department_id=found.department.id, operator_id=found.operator.id, dispatched_at=timezone.now(),
        event={"data": before},
    )  # fmt: skip
    if found.rule and found.operator.id:
        # A turn is no change of the rule: it leaves its version and history alone.
        DispatchRule.objects.filter(pk=found.rule.pk).update(last_operator=found.operator.id)
        found.rule.last_operator_id = found.operator.id
        link = {"url": task.get_absolute_url(), "number": str(task), "order": task.order.number}
        notify([found.operator.id], "task_assigned", **link)
    if found.department.id is None:
        planners = User.objects.with_role(Role.PLANNER)
        notify(planners, "task_undispatched", url=task.get_absolute_url(), number=str(task), order=task.order.number)
    decision.task_version, decision.applied, decision.made_by = task.version, True, by
    decision.save()
    return decision


def dispatch_task(task: Task, *, by: Any) -> DispatchDecision:
    """Dispatch a pending task now, again if it was before. Raises RuleError for a pinned one."""
    with acting(by):
        fresh = lock_task(task, by=by)
        if not by.is_system:
            require_task(by, "dispatch", fresh)
        refuse_unless_possible(fresh, "dispatch")
        if fresh.is_pinned:
            raise RuleError(_("Task %(number)s is pinned: a person chose its place. Assign it instead.") % {"number": fresh}, code="pinned")
        return _dispatch(fresh, _locked_floor([fresh]), by=by)


def _locked_floor(tasks: Sequence[Task]) -> Floor:
    """The floor for all the tasks, its rules locked at once, by pk: the round robin gives each turn once, and no two
    dispatchers deadlock."""
    processes = {task.step.process_id for task in tasks}
    list(DispatchRule.objects.filter(process__in=processes, is_active=True).locked())
    return Floor.of(processes)


def dispatch_order(order: WorkOrder, *, by: Any) -> list[DispatchDecision]:
    """Dispatch the order's pending tasks that no dispatch has looked at yet, and those that found no department.

    Two dispatchers at once never dispatch a task twice: the order is locked and the tasks are read again.
    """
    with acting(by):
        fresh = lock_order(order, by=by)
        if not by.is_system:
            require_order(by, "dispatch", fresh)
        if fresh.status not in ORDER_RUNNING:
            refuse_unless_possible(fresh, "hold")
        waiting = Task.objects.filter(Q(dispatched_at=None) | Q(department=None), order=fresh, status=TaskStatus.PENDING, is_pinned=False)
        tasks = list(waiting.select_related("step__process").locked())
        floor = _locked_floor(tasks)
        decisions = []
        for task in tasks:
            task.order = fresh
            decisions.append(_dispatch(task, floor, by=by))
        return decisions


def propose_departments(tasks: Sequence[Task]) -> None:
    """Write on unsaved draft tasks the department that dispatch would choose. Three queries."""
    processes = {task.step.process_id: task.step.process for task in tasks}
    floor = Floor.of(processes)
    chosen = {pk: choose_department(TaskNeed(process.name), floor.candidates(pk)).id for pk, process in processes.items()}
    for task in tasks:
        task.department_id = chosen[task.step.process_id]
