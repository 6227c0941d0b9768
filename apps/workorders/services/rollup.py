"""From task to step to order: what a task's move means for the things above it. The order is locked by the caller."""

from typing import Any

from django.db.models import Q, Sum
from django.utils import timezone

from apps.notices.services import notify
from apps.workorders.models import Step, Task, WorkOrder
from apps.workorders.states import ORDER_RUNNING, STEP_ENDED, OrderStatus, StepStatus, TaskStatus
from apps.workorders.transitions import _apply


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


def end_step(step: Step, *, by: Any) -> None:
    """Complete the step, or skip it where nothing of it was completed."""
    done = step.tasks.filter(status=TaskStatus.COMPLETED).exists()
    _apply(step, "complete" if done else "skip", StepStatus.COMPLETED if done else StepStatus.SKIPPED, by=by)


def roll_up(step: Step, *, by: Any) -> None:
    """After a task of the step ended or came back: plan, status of the step, then of the order. A cancelled task never blocks."""
    live = step.tasks.exclude(status=TaskStatus.CANCELLED)
    planned = live.aggregate(planned=Sum("planned"))["planned"] or 0
    if step.planned != planned:
        step.planned = planned
        step.save()
    if live.exclude(status=TaskStatus.COMPLETED).exists():
        begun = live.filter(
            Q(status__in=[TaskStatus.IN_PROGRESS, TaskStatus.PAUSED, TaskStatus.COMPLETED]) | Q(good__gt=0) | Q(scrap__gt=0)
        )
        proper = StepStatus.IN_PROGRESS if begun.exists() else StepStatus.WAITING
        if step.status in STEP_ENDED or (step.status == StepStatus.IN_PROGRESS and proper == StepStatus.WAITING):
            _apply(step, "reopen", proper, by=by)
    elif step.status not in STEP_ENDED:
        end_step(step, by=by)
    roll_up_order(step.order, by=by)


def roll_up_order(order: WorkOrder, *, by: Any) -> None:
    """Complete a running order whose steps have all ended and of which something was made."""
    if order.status not in ORDER_RUNNING:
        return
    statuses = set(order.steps.values_list("status", flat=True))
    if statuses <= STEP_ENDED and StepStatus.COMPLETED in statuses:
        begin_order(order, by=by)
        _apply(order, "complete", OrderStatus.COMPLETED, by=by, completed_at=timezone.now())
        concerned = {order.maker_id, order.created_by_id, order.customer.salesperson_id if order.customer else None}
        notify(concerned, "order_completed", url=order.get_absolute_url(), number=order.number)
