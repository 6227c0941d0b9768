"""How every verb gets its rows, and how it reads its input."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput, RuleError
from apps.workorders.models import MOST, Task, WorkOrder


def lock_order(order: WorkOrder | int, *, by: Any) -> WorkOrder:
    """The order, fresh and locked, if `by` sees it. One query. Order first, then its tasks: every verb locks so, none deadlocks."""
    pk = getattr(order, "pk", order)
    orders = WorkOrder.objects.all() if by.is_system else WorkOrder.objects.visible_to(by)
    fresh = orders.select_related("customer").locked().filter(pk=pk).first()
    if fresh is None:
        raise PermissionDenied(_("You cannot see this order. Ask for it to be shared with you."))
    return fresh


def lock_task(task: Task | int, *, by: Any) -> Task:
    """The task, fresh and locked, its order locked before it. Two queries (three, for a pk instead of a task).

    Whether `by` may do anything with it is for the caller to ask: after the lock, so that the loser of a race hears who won.
    """
    order_id = task.order_id if isinstance(task, Task) else Task.objects.values_list("order_id", flat=True).get(pk=task)
    pk = getattr(task, "pk", task)
    order = WorkOrder.objects.select_related("customer").locked().get(pk=order_id)
    fresh = Task.objects.select_related("step__process", "department", "operator").locked().get(pk=pk)
    fresh.order = fresh.step.order = order
    return fresh


def whole_number(value: Any, field: str, *, least: int = 0) -> int:
    """`value` as pieces. Raises InvalidInput with what it got and what is expected."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
        raise InvalidInput(
            _("%(field)s is '%(value)s'. Enter a whole number from %(least)s to %(most)s.")
            % {"field": field, "value": str(value)[:40], "least": least, "most": MOST},
            field=field,
            code="bad_number",
        )
    return value


def reason_text(reason: str, *, what: str, required: bool = True) -> str:
    """The stripped reason. Raises RuleError `reason_needed` when one is due and none was given."""
    reason = (reason or "").replace("\x00", "").strip()
    if required and not reason:
        raise RuleError(_("%(what)s needs a reason. Say why.") % {"what": what}, code="reason_needed", field="reason")
    if len(reason) > 1000:
        raise InvalidInput(_("The reason is longer than 1,000 characters. Shorten it."), field="reason", code="too_long")
    return reason
