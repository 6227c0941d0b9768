"""From task to step to order: what a task's move means for the things above it. The order is locked by the caller."""

from typing import Any

from django.db.models import Count, Q, Sum
from django.utils import timezone

from apps.notices.services import notify
from apps.workorders.models import Step, Task, WorkOrder
from apps.workorders.states import ORDER_RUNNING, STEP_ENDED, OrderStatus, StepStatus, TaskStatus
from apps.workorders.transitions import _apply

TASK_BEGUN = (TaskStatus.IN_PROGRESS, TaskStatus.PAUSED, TaskStatus.COMPLETED)


def begin_step(task: Task, *, by: Any) -> None:
    """The step of a started task has begun. No query, if it had before."""
    if task.step.status == StepStatus.WAITING:
        _apply(task.step, "begin", StepStatus.IN_PROGRESS, by=by)


def begin_order(order: WorkOrder, *, by: Any) -> None:
    """The first report on any task sets an approved order to in progress. No query, if it was before."""
    if order.status == OrderStatus.APPROVED:
        _apply(order, "begin", OrderStatus.IN_PROGRESS, by=by)
    elif order.status == OrderStatus.ON_HOLD and order.status_before_hold == OrderStatus.APPROVED:
        order.status_before_hold = OrderStatus.IN_PROGRESS
        order.save()


def end_step(step: Step, *, by: Any, is_done: bool) -> None:
    """Complete the step, or skip it where nothing of it was completed."""
    _apply(step, "complete" if is_done else "skip", StepStatus.COMPLETED if is_done else StepStatus.SKIPPED, by=by)


def roll_up(step: Step, *, by: Any) -> None:
    """After a task of the step ended or came back: plan, status of the step, then of the order. A cancelled task never blocks.

    One query, and what each change costs.
    """
    rows = {row["pk"]: row for row in _figures(step.order)}
    own = rows.pop(step.pk)
    if step.planned != own["live_planned"]:
        step.planned = own["live_planned"]
        step.save()
    if own["completed"] < own["live"]:
        proper = StepStatus.IN_PROGRESS if own["begun"] else StepStatus.WAITING
        if step.status in STEP_ENDED or (step.status == StepStatus.IN_PROGRESS and proper == StepStatus.WAITING):
            _apply(step, "reopen", proper, by=by)
    elif step.status not in STEP_ENDED:
        end_step(step, by=by, is_done=own["completed"] > 0)
    _end_order(step.order, {step.status, *(row["status"] for row in rows.values())}, by=by)


def _figures(order: WorkOrder) -> Any:
    """Each step's status, and of its tasks that are not cancelled the plan and how many there are, are completed, are begun."""
    live = ~Q(tasks__status=TaskStatus.CANCELLED)
    completed = Q(tasks__status=TaskStatus.COMPLETED)
    begun = Q(tasks__status__in=TASK_BEGUN) | Q(tasks__good__gt=0) | Q(tasks__scrap__gt=0)
    return (
        order.steps.order_by()
        .values("pk", "status")
        .annotate(
            live_planned=Sum("tasks__planned", filter=live, default=0),
            live=Count("tasks", filter=live),
            completed=Count("tasks", filter=completed),
            begun=Count("tasks", filter=live & begun),
        )
    )


def roll_up_order(order: WorkOrder, *, by: Any) -> None:
    """Complete a running order whose steps have all ended and of which something was made. One query."""
    _end_order(order, set(order.steps.values_list("status", flat=True)), by=by)


def _end_order(order: WorkOrder, statuses: set[str], *, by: Any) -> None:
    if order.status not in ORDER_RUNNING:
        return
    if statuses <= STEP_ENDED and StepStatus.COMPLETED in statuses:
        begin_order(order, by=by)
        _apply(order, "complete", OrderStatus.COMPLETED, by=by, completed_at=timezone.now())
        concerned = {order.maker_id, order.created_by_id, order.customer.salesperson_id if order.customer else None}
        notify(concerned, "order_completed", url=order.get_absolute_url(), number=order.number)
