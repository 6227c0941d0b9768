"""What the page of one order or one task shows: read here in a fixed number of queries, drawn by the templates."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, Max, OuterRef, Q, Sum
from django.urls import reverse

from apps.accounts.access import access_of
from apps.dispatch.models import DispatchDecision
from apps.dispatch.policy import tell_candidates
from apps.notices.models import Notice
from apps.workorders.forms import shares_of
from apps.workorders.generation import warnings
from apps.workorders.models import Step, Task, WorkEvent, WorkOrder
from apps.workorders.moves import may_order, may_task, order_moves, task_moves
from apps.workorders.readiness import step_status, what_is_missing
from apps.workorders.services import problems_before_submit
from apps.workorders.states import ORDER_EDITABLE, ORDER_LIVE, STEP_ENDED, OrderStatus, StepStatus, TaskStatus
from apps.workorders.telling import Told, tell

EVENTS = 60
REVERSED = Exists(WorkEvent.objects.filter(reverses=OuterRef("pk")))
ROWS = 200


@dataclass
class StepRow:
    """A step with the tasks that the reader sees; `hidden` counts the others."""

    step: Step
    status: StepStatus
    missing: list[str]
    good: int
    scrap: int
    tasks: list[Task] = field(default_factory=list)
    hidden: int = 0

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.good / self.step.planned)) if self.step.planned else 0


def steps_of(order: WorkOrder, user: Any, missing: dict[int, list[str]]) -> list[StepRow]:
    """The order's steps with their tasks and why each is where it is. Three queries, whatever their number."""
    live = ~Q(tasks__status=TaskStatus.CANCELLED)
    steps = (
        Step.objects.filter(order=order)
        .select_related("process")
        .annotate(good=Sum("tasks__good", filter=live), scrap=Sum("tasks__scrap", filter=live))
        .order_by("sequence", "pk")
    )
    rows = {
        step.pk: StepRow(step, step_status(step, missing.get(step.pk, [])), missing.get(step.pk, []), step.good or 0, step.scrap or 0)
        for step in steps
    }
    tasks = list(Task.objects.visible_to(user).filter(order=order).for_list().order_by("pk")[:ROWS])
    reasons = reasons_of(order)
    for task in tasks:
        task.why = reasons.get(task.pk, "")
        rows[task.step_id].tasks.append(task)
    if len(tasks) < ROWS:
        for step_id in (
            Task.objects.filter(order=order).exclude(pk__in=[task.pk for task in tasks]).order_by().values_list("step", flat=True)
        ):
            rows[step_id].hidden += 1
    return list(rows.values())


def reasons_of(order: WorkOrder) -> dict[int, str]:
    """The reason of each task's latest decision. One query."""
    latest = DispatchDecision.objects.filter(task__order=order).order_by().values("task").annotate(last=Max("pk")).values("last")
    return {decision.task_id: decision.reason for decision in DispatchDecision.objects.filter(pk__in=latest)}


def _events(rows: Any) -> list[Told]:
    return tell(rows.select_related("actor", "step__process", "task").order_by("-pk")[:EVENTS])


def _notices(user: Any, thing: WorkOrder | Task) -> Any:
    return list(Notice.objects.visible_to(user).filter(url=thing.get_absolute_url())[:20])


def order_overview(order: WorkOrder, user: Any) -> dict[str, Any]:
    """The context of an order's page."""
    access, editable = access_of(user), order.status in ORDER_EDITABLE
    missing = what_is_missing(order)
    rows = steps_of(order, user, missing)
    done = sum(1 for row in rows if row.step.status in STEP_ENDED)
    moves = order_moves(user, order)
    live = order.status in ORDER_LIVE
    events = _events(WorkEvent.objects.visible_to(user).filter(order=order).exclude(verb="queue"))
    return {
        "order": order,
        "steps": rows,
        "steps_done": done,
        "percent": round(sum(100 if row.step.status in STEP_ENDED else row.percent for row in rows) / len(rows)) if rows else 0,
        "problems": problems_before_submit(order) if editable else [],
        "warnings": warnings(order) if live else [],
        "lines": list(order.lines.select_related("product")),
        "materials": list(order.materials.select_related("received_by")),
        "tools": list(order.tools.select_related("confirmed_by")),
        "events": events,
        "rejection": rejection_of(order, events),
        "notices": _notices(user, order),
        "shares": shares_of(order) if "share" in moves or access.sees_all else [],
        "can_unshare": "share" in moves,
        "can_receive": live and may_order(access, "receive", order),
        "can_confirm": live and access.has("catalog.confirm_tool"),
        "can_ask": may_ask(user, order, in_sight=True),
        "made": rows[-1].good if rows else 0,
        "scrapped": sum(row.scrap for row in rows),
    }


def rejection_of(order: WorkOrder, events: list[Told]) -> WorkEvent | None:
    """The event that says why the order is rejected, where it is."""
    rejections = (told.event for told in events if told.event.verb == "reject")
    return next(rejections, None) if order.status == OrderStatus.REJECTED else None


def task_overview(task: Task, user: Any) -> dict[str, Any]:
    """The context of a task's page."""
    access, order = access_of(user), task.order
    may_correct = may_task(access, "correct", task)
    events = [
        Told(told.event, told.text, may_correct and told.event.verb in ("report", "complete") and not told.event.is_reversed)
        for told in _events(WorkEvent.objects.visible_to(user).filter(task=task).annotate(is_reversed=REVERSED))
    ]
    decisions = list(DispatchDecision.objects.filter(task=task).select_related("made_by").order_by("-pk")[:10])
    for decision in decisions:
        decision.told = tell_candidates(decision.candidates)
    moves = task_moves(user, task)
    return {
        "task": task,
        "order": order,
        "products": list(order.lines.select_related("product")),
        "tools": list(order.tools.all()),
        "missing": what_is_missing(order).get(task.step_id, []) if task.status not in (TaskStatus.COMPLETED, TaskStatus.CANCELLED) else [],
        "decisions": decisions,
        "events": events,
        "parts": list(Task.objects.visible_to(user).filter(Q(split_from=task) | Q(pk=task.split_from_id or 0)).order_by("pk")),
        "notices": _notices(user, task),
        "shares": shares_of(task) if "share" in moves or access.sees_all else [],
        "can_unshare": "share" in moves,
        "can_ask": may_ask(user, task, in_sight=True),
        "order_url": reverse("admin:workorders_workorder_change", args=[order.pk]) if sees_order(user, order) else "",
        "minutes": minutes_left(task),
    }


def sees_order(user: Any, order: WorkOrder) -> bool:
    """Whether the reader may open the order's page. One query."""
    return access_of(user).has("workorders.view_workorder") and WorkOrder.objects.visible_to(user).filter(pk=order.pk).exists()


def minutes_left(task: Task) -> int:
    """What is left to do on the task, in minutes, by the plan of its process."""
    if task.status in (TaskStatus.COMPLETED, TaskStatus.CANCELLED):
        return 0
    process = task.step.process
    return (0 if task.started_at else process.setup_minutes) + task.left * process.minutes_per_1000 // 1000


def may_ask(user: Any, thing: Any, *, in_sight: bool) -> bool:
    """Whether the reader may ask why somebody sees the thing: an administrator always, a supervisor of what he sees himself."""
    access = access_of(user)
    return access.has("workorders.explain_workorder") or (in_sight and access.is_("supervisor"))
