"""What the worker does for orders. Each finds its work in the tables, so it may run twice, or never and the sweeper finds it."""

import logging

from django.utils import timezone

from apps.accounts.services import system_user
from apps.core.jobs import job
from apps.workorders.models import Task, TaskGroupShare, TaskUserShare, WorkOrder, WorkOrderGroupShare, WorkOrderUserShare
from apps.workorders.services import dispatch_order
from apps.workorders.states import ORDER_RUNNING

log = logging.getLogger("docket.dispatch")


@job("workorders.dispatch")
def dispatch(order_id: int) -> int:
    """Dispatch what the order's approval left to be dispatched. Returns how many tasks it was."""
    order = WorkOrder.objects.filter(pk=order_id, status__in=ORDER_RUNNING).first()
    return len(dispatch_order(order, by=system_user())) if order else 0


@job("workorders.sweep")
def sweep() -> int:
    """Dispatch the tasks of every order whose hint was lost. Returns how many tasks it was."""
    waiting = Task.objects.needing_dispatch().filter(order__status__in=ORDER_RUNNING, is_pinned=False)
    orders = sorted(set(waiting.order_by().values_list("order", flat=True)[:1000]))
    if orders:
        log.warning("sweep finds %s orders that wait for dispatch", len(orders))
    return sum(dispatch(pk) for pk in orders)


@job("workorders.expire_shares")
def expire_shares() -> int:
    """Delete shares that have run out; they gave nothing since then."""
    models = (WorkOrderUserShare, WorkOrderGroupShare, TaskUserShare, TaskGroupShare)
    return sum(model.objects.filter(expires_at__lte=timezone.now()).delete()[0] for model in models)
