"""Every change of an order or task is a verb here; every surface calls these and nothing else.

A verb takes the object and `by=`, opens its own transaction, locks the order first and then its tasks by pk, reads again,
asks permission, checks its guards, applies, rolls up, records, and returns the fresh object. It raises RuleError (a rule
forbids it), InvalidInput (the input is wrong) or PermissionDenied, each with a sentence that says what to do.
"""

from apps.workorders.checks import problems_before_submit
from apps.workorders.generation import warnings
from apps.workorders.services.creation import NewOrder, check_orders, create_order, create_orders
from apps.workorders.services.dispatching import dispatch_order, dispatch_task, preview_task
from apps.workorders.services.orders import (
    approve_order,
    cancel_order,
    copy_order,
    delete_order,
    hold_order,
    receive_material,
    refuse_unless_editable,
    reject_order,
    reopen_order,
    resume_order,
    revise_order,
    submit_order,
    withdraw_order,
)
from apps.workorders.services.reports import complete_task, report, reverse_event, undo_last
from apps.workorders.services.shares import share, unshare
from apps.workorders.services.tasks import (
    assign_task,
    cancel_task,
    claim_task,
    pause_task,
    release_task,
    resume_task,
    split_task,
    start_task,
)

__all__ = [
    "NewOrder",
    "approve_order",
    "assign_task",
    "cancel_order",
    "cancel_task",
    "check_orders",
    "claim_task",
    "complete_task",
    "copy_order",
    "create_order",
    "create_orders",
    "delete_order",
    "dispatch_order",
    "dispatch_task",
    "hold_order",
    "pause_task",
    "preview_task",
    "problems_before_submit",
    "receive_material",
    "refuse_unless_editable",
    "reject_order",
    "release_task",
    "reopen_order",
    "report",
    "resume_order",
    "resume_task",
    "reverse_event",
    "revise_order",
    "share",
    "split_task",
    "start_task",
    "submit_order",
    "undo_last",
    "unshare",
    "warnings",
    "withdraw_order",
]
