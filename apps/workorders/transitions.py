"""The only place that writes a status, and the only one that writes the ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.context import signature
from apps.core.errors import RuleError
from apps.workorders.models import Step, Task, WorkEvent, WorkOrder
from apps.workorders.states import ORDER_MOVES, STEP_MOVES, TASK_MOVES, OrderStatus, TaskStatus

WAYS_OUT = {
    (Task, TaskStatus.DRAFT): _("Its order has to be approved first."),
    (Task, TaskStatus.PENDING): _("Claim or assign it first."),
    (Task, TaskStatus.ASSIGNED): _("Start it first."),
    (Task, TaskStatus.IN_PROGRESS): _("Pause or complete it first."),
    (Task, TaskStatus.PAUSED): _("Resume it first."),
    (Task, TaskStatus.COMPLETED): _("Take its completion back first, if something is wrong with it."),
    (Task, TaskStatus.CANCELLED): _("Nothing more is done on it. Ask your supervisor."),
    (WorkOrder, OrderStatus.DRAFT): _("Submit it first."),
    (WorkOrder, OrderStatus.SUBMITTED): _("It waits for approval: approve or reject it first."),
    (WorkOrder, OrderStatus.REJECTED): _("Correct it and submit it again."),
    (WorkOrder, OrderStatus.APPROVED): _("It is in production: hold or cancel it, or copy it."),
    (WorkOrder, OrderStatus.IN_PROGRESS): _("It is in production: hold or cancel it, or copy it."),
    (WorkOrder, OrderStatus.ON_HOLD): _("Resume it first."),
    (WorkOrder, OrderStatus.COMPLETED): _("Reopen it first, if something is left to do."),
    (WorkOrder, OrderStatus.CANCELLED): _("Copy it, if it is wanted after all."),
}
MOVES = {WorkOrder: ORDER_MOVES, Step: STEP_MOVES, Task: TASK_MOVES}
# What the ledger already says better than the task's own history row would.
NAMES = {WorkOrder: _("Order %(name)s"), Step: _("Step %(name)s"), Task: _("Task %(name)s")}


def refuse_unless_possible(thing: WorkOrder | Step | Task, verb: str) -> None:
    """Raise RuleError `wrong_state` with the way out, unless `verb` is allowed from the thing's status."""
    kind = type(thing)
    if thing.status in MOVES[kind][verb][0]:
        return
    raise RuleError(
        _("%(thing)s is %(status)s. %(way_out)s")
        % {
            "thing": NAMES[kind] % {"name": thing},
            "status": thing.get_status_display(),
            "way_out": WAYS_OUT.get((kind, thing.status), ""),
        },
        code="wrong_state",
        status=str(thing.status),
    )


_waiting: ContextVar[list[WorkEvent] | None] = ContextVar("waiting", default=None)


@contextmanager
def one_insert() -> Iterator[None]:
    """Insert the events that are recorded inside at its end, in their order: one query for all of them. They have no key before.

    For a verb that moves a task and what is above it; nothing inside may read the ledger after it recorded.
    """
    token = _waiting.set([])
    try:
        yield
        WorkEvent.objects.bulk_create(_waiting.get() or [])
    finally:
        _waiting.reset(token)


def record(order: WorkOrder, verb: str, *, by: Any, step: Step | None = None, task: Task | None = None, **values: Any) -> WorkEvent:
    """Write one event, signed with the door, request and import row in force. One query, none inside `one_insert`."""
    now, waiting = signature(), _waiting.get()
    event = WorkEvent(
        order=order,
        order_number=order.number,
        step=step or (task.step if task else None),
        task=task,
        verb=verb,
        actor=by,
        import_run_id=now.import_run,
        import_row=now.import_row,
        **values,
    )
    if waiting is None:
        event.save(force_insert=True)
    else:
        waiting.append(event)
    return event


def _apply(
    thing: WorkOrder | Step | Task,
    verb: str,
    to: str,
    *,
    by: Any,
    at: datetime | None = None,
    event: dict[str, Any] | None = None,
    **fields: Any,
) -> WorkEvent:
    """Move a locked `thing` to status `to`, set `fields`, save it with its history, and record the event. Three queries.

    Raises RuleError `wrong_state` when the verb is not allowed from the present status.
    """
    refuse_unless_possible(thing, verb)
    if to not in MOVES[type(thing)][verb][1]:
        raise ValueError(f"{verb} does not lead to {to}.")
    before = thing.status
    thing.status = to
    for name, value in fields.items():
        setattr(thing, name, value)
    thing.save()
    order = thing if isinstance(thing, WorkOrder) else thing.order
    return record(
        order,
        verb,
        by=by,
        step=thing if isinstance(thing, Step) else None,
        task=thing if isinstance(thing, Task) else None,
        from_status=before,
        to_status=to if to != before else "",
        at=at or timezone.now(),
        **(event or {}),
    )
