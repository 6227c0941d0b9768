"""Who may do which verb on which order or task: asked by the services, and by every surface that shows buttons.

No queries, as long as the object came with `for_list()`.
"""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _

from apps.accounts.access import Access, access_of
from apps.accounts.roles import Role
from apps.workorders.models import Task, WorkOrder
from apps.workorders.querysets import shares_of
from apps.workorders.states import (
    ORDER_EDITABLE,
    ORDER_LIVE,
    ORDER_MOVES,
    ORDER_RUNNING,
    TASK_HELD,
    TASK_MOVES,
    TASK_OPEN,
    OrderStatus,
    TaskStatus,
)


def _decides(access: Access, order: WorkOrder) -> bool:
    """A supervisor who sees the order, or the customer's salesperson."""
    if access.is_superuser or access.is_(Role.SUPERVISOR):
        return True
    return bool(order.customer and order.customer.salesperson_id == access.user_id)


def _made(access: Access, order: WorkOrder) -> bool:
    return access.user_id in (order.maker_id, order.created_by_id)


def may_order(access: Access, verb: str, order: WorkOrder) -> bool:
    """Whether `access` may do `verb` on an order that he sees, whatever its status."""
    if access.is_superuser:
        return True
    if verb in ("edit", "submit", "delete"):
        return access.has("workorders.submit_workorder") and (_made(access, order) or _decides(access, order))
    if verb in ("approve", "reject"):
        own = access.user_id in (order.maker_id, order.submitted_by_id)
        return access.has("workorders.approve_workorder") and _decides(access, order) and not own
    if verb in ("hold", "resume"):
        return access.has("workorders.hold_workorder") and _decides(access, order)
    if verb == "cancel":
        early = order.status in ORDER_EDITABLE or order.status == OrderStatus.SUBMITTED
        return access.has("workorders.cancel_workorder") and (_decides(access, order) or (early and _made(access, order)))
    if verb == "copy":
        return access.has("workorders.add_workorder")
    if verb == "receive":
        return access.has("workorders.change_ordermaterial") and (_made(access, order) or _decides(access, order))
    return access.has(f"workorders.{verb}_workorder") and (_decides(access, order) or access.sees_all)


def order_moves(user: Any, order: WorkOrder) -> list[str]:
    """The verbs that `user` may use on `order` now, in the order of the buttons."""
    access = access_of(user)
    possible = {
        "edit": order.status in ORDER_EDITABLE,
        "submit": order.status in ORDER_EDITABLE,
        "copy": True,
        "delete": order.status in ORDER_EDITABLE,
        "dispatch": order.status in ORDER_RUNNING,
        "share": order.status in ORDER_LIVE,
        "cancel": order.status in ORDER_LIVE,
    }
    verbs = ("edit", "submit", "approve", "reject", "resume", "hold", "dispatch", "reopen", "copy", "share", "cancel", "delete")
    return [
        verb for verb in verbs if possible.get(verb, order.status in ORDER_MOVES.get(verb, ((),))[0]) and may_order(access, verb, order)
    ]


def may_task(access: Access, verb: str, task: Task) -> bool:
    """Whether `access` may do `verb` on `task`, whatever its status."""
    if access.is_superuser:
        return True
    leads = task.department_id in access.leads
    if verb in ("assign", "split", "cancel", "dispatch", "share", "correct"):
        homeless = task.department_id is None and access.is_(Role.PLANNER) and verb in ("assign", "dispatch")
        permission = {"correct": "assign"}.get(verb, verb)
        return access.has(f"workorders.{permission}_task") and (leads or homeless)
    if not access.has("workorders.work_task"):
        return False
    if verb == "claim":
        return leads or task.department_id in access.member_of or _works_by_share(access, task)
    return leads or task.operator_id == access.user_id


def _works_by_share(access: Access, task: Task) -> bool:
    """Whether a share lets `access` take the task. No query for a row of `in_sight_of` this user, or once his shares are read."""
    if getattr(task, "read_for", None) == access.user_id:
        return task.works_by_share
    return task.pk in shares_of(access).to_work


def task_moves(user: Any, task: Task) -> list[str]:
    """The verbs that `user` may use on `task` now. Needs `task.order` loaded."""
    access = access_of(user)
    running = task.order.status in ORDER_RUNNING
    possible = {
        "claim": running and task.status == TaskStatus.PENDING,
        # Starting a queued task claims it first.
        "start": running and task.status in {TaskStatus.PENDING, TaskStatus.ASSIGNED},
        "resume": running and task.status == TaskStatus.PAUSED,
        "undo": task.status in TASK_HELD | {TaskStatus.COMPLETED} and task.order.status != OrderStatus.COMPLETED,
        "assign": task.status in TASK_OPEN,
        "cancel": task.status in TASK_OPEN,
        "dispatch": running and task.status == TaskStatus.PENDING,
        "share": task.status in TASK_OPEN,
    }
    verbs = ("claim", "start", "resume", "report", "pause", "complete", "undo", "release", "assign", "split", "dispatch", "share", "cancel")
    return [
        verb
        for verb in verbs
        if possible.get(verb, task.status in TASK_MOVES.get(verb, ((),))[0])
        and may_task(access, "claim" if verb == "start" and task.status == TaskStatus.PENDING else verb, task)
    ]


def require_order(user: Any, verb: str, order: WorkOrder) -> None:
    """Raise PermissionDenied, with whom to ask, unless `user` may do `verb` on `order`."""
    if not may_order(access_of(user), verb, order):
        own = verb in ("approve", "reject") and user.pk in (order.maker_id, order.submitted_by_id)
        if own:
            raise PermissionDenied(_("Order %(number)s is your own. Somebody else has to decide on it.") % {"number": order.number})
        raise PermissionDenied(
            _("You may not do this with order %(number)s. Ask a supervisor or the customer's salesperson.") % {"number": order.number}
        )


def require_task(user: Any, verb: str, task: Task) -> None:
    """Raise PermissionDenied, with whom to ask, unless `user` may do `verb` on `task`."""
    if not may_task(access_of(user), verb, task):
        raise PermissionDenied(_("You may not do this with task %(number)s. Ask the supervisor of its department.") % {"number": task})
