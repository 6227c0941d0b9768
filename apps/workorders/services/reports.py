"""What the floor reports: increments of good and scrap, completion, and taking things back."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.accounts.models import Membership
from apps.core.context import acting
from apps.core.errors import InvalidInput, RuleError
from apps.notices.services import notify
from apps.workorders.models import Task, WorkEvent
from apps.workorders.moves import may_task, require_task
from apps.workorders.services.locking import lock_task, reason_text, whole_number
from apps.workorders.services.rollup import begin_order, roll_up
from apps.workorders.services.tasks import reason_code_of
from apps.workorders.states import OrderStatus, TaskStatus
from apps.workorders.transitions import _apply, one_insert, refuse_unless_possible

UNDOABLE = ("claim", "start", "pause", "resume", "report", "complete")


def report(task: Task, *, by: Any, good: int = 0, scrap: int = 0, reason_code: str = "", reason: str = "", note: str = "") -> Task:
    """Add pieces to a running task: ledger row, totals, roll-up, all or nothing. Scrap needs a reason code or a reason."""
    values = _increment(good, scrap, reason_code, reason, note)
    if not good and not scrap:
        raise InvalidInput(_("Nothing to report: enter the good or the scrapped pieces."), field="quantity", code="nothing")
    with acting(by, reason=values["reason"]), one_insert():
        fresh = lock_task(task, by=by)
        require_task(by, "report", fresh)
        _check_increment(fresh, "report", values, by=by)
        _apply(fresh, "report", TaskStatus.IN_PROGRESS, by=by, good=fresh.good + good, scrap=fresh.scrap + scrap, event=values)
        begin_order(fresh.order, by=by)
        _tell_overrun(fresh, good)
        return fresh


def complete_task(task: Task, *, by: Any, good: int = 0, scrap: int = 0, reason_code: str = "", reason: str = "", note: str = "") -> Task:
    """A last report and the completion in one. Completing short of plan needs a reason. The last completion completes step and order."""
    values = _increment(good, scrap, reason_code, reason, note)
    with acting(by, reason=values["reason"]), one_insert():
        fresh = lock_task(task, by=by)
        require_task(by, "complete", fresh)
        _check_increment(fresh, "complete", values, by=by)
        total = fresh.good + good
        if total < fresh.planned and not (values["reason"] or values["reason_code"]):
            raise RuleError(
                _("Task %(number)s has %(good)s good of %(planned)s planned. Say why it ends short, or report the rest first.")
                % {"number": fresh, "good": total, "planned": fresh.planned},
                code="short",
                field="reason",
                left=fresh.planned - total,
            )
        _apply(
            fresh, "complete", TaskStatus.COMPLETED, by=by, good=total, scrap=fresh.scrap + scrap, completed_at=timezone.now(), event=values
        )
        begin_order(fresh.order, by=by)
        _tell_overrun(fresh, good)
        roll_up(fresh.step, by=by)
        return fresh


def _increment(good: Any, scrap: Any, reason_code: str, reason: str, note: str) -> dict[str, Any]:
    """The checked values of one report, as an event has them."""
    values = {
        "good": whole_number(good, "quantity"),
        "scrap": whole_number(scrap, "scrap"),
        "reason_code": reason_code_of(reason_code),
        "reason": reason_text(reason, what=_("A report"), required=False),
        "note": reason_text(note, what=_("A note"), required=False),
    }
    if scrap and not (values["reason_code"] or values["reason"]):
        raise RuleError(_("Scrap needs a reason. Choose or write one."), code="reason_needed", field="reason")
    return values


def cap_of(task: Task) -> int:
    """Good pieces past which only a supervisor reports, with a reason."""
    return task.planned + task.planned * settings.DOCKET_OVERRUN_CAP // 100


def tolerated(task: Task) -> int:
    """Good pieces that the order's tolerance allows."""
    return int(task.planned + task.planned * task.order.over_percent / 100)


def _check_increment(task: Task, verb: str, values: dict[str, Any], *, by: Any) -> None:
    refuse_unless_possible(task, verb)
    total = task.good + values["good"]
    if values["good"] and total > cap_of(task):
        if not may_task(access_of(by), "correct", task):
            raise RuleError(
                _("%(total)s good is far over the %(planned)s planned. Check the number, or have your supervisor report it with a reason.")
                % {"total": total, "planned": task.planned},
                code="over_cap",
                field="quantity",
                most=cap_of(task) - task.good,
            )
        if not values["reason"]:
            raise RuleError(
                _("%(total)s good is far over the %(planned)s planned. Say why.") % {"total": total, "planned": task.planned},
                code="reason_needed",
                field="reason",
            )


def _tell_overrun(task: Task, good: int) -> None:
    """Tell the leads once, when the tolerance is passed. No query below it."""
    allowed = tolerated(task)
    if task.good > allowed >= task.good - good:
        leads = Membership.objects.leading([task.department_id]).values_list("user", flat=True)
        over = round(100 * (task.good - task.planned) / task.planned)
        notify(leads, "task_overrun", url=task.get_absolute_url(), number=str(task), order=task.order.number, percent=over)


def undo_last(task: Task, *, by: Any, reason: str = "") -> Task:
    """Take back one's own last event on the task, within the window: an operator's is short, a supervisor's a day.

    Refused, with the reason, when something later depends on it.
    """
    reason = reason_text(reason, what=_("Undoing"), required=False)
    with acting(by, reason=reason), one_insert():
        fresh = lock_task(task, by=by)
        events = WorkEvent.objects.filter(task=fresh, reverses=None, reversed_by=None)
        last = events.filter(actor=by, verb__in=UNDOABLE).order_by("-pk").first()
        if last is None:
            require_task(by, "undo", fresh)
            raise RuleError(_("You have nothing to take back on task %(number)s.") % {"number": fresh}, code="nothing_to_undo")
        supervises = may_task(access_of(by), "correct", fresh)
        window = timedelta(hours=settings.DOCKET_SUPERVISOR_UNDO_HOURS) if supervises else timedelta(minutes=settings.DOCKET_UNDO_MINUTES)
        if timezone.now() - last.at > window:
            raise RuleError(
                _("This was more than %(minutes)s minutes ago. Ask your supervisor to correct it.")
                % {"minutes": int(window.total_seconds() // 60)},
                code="too_late",
            )
        _reverse(last, fresh, by=by, reason=reason, verb="undo")
        return fresh


def reverse_event(event: WorkEvent, *, by: Any, reason: str) -> WorkEvent:
    """Correct a report: a supervisor's reversing event, with a reason. Each event can be reversed once; nothing is overwritten."""
    reason = reason_text(reason, what=_("A correction"))
    with acting(by, reason=reason), one_insert():
        if event.task_id is None or event.verb not in ("report", "complete"):
            raise RuleError(_("Only reports and completions can be taken back."), code="not_reversible")
        fresh = lock_task(event.task_id, by=by)
        require_task(by, "correct", fresh)
        event = WorkEvent.objects.select_related("step", "reversed_by").get(pk=event.pk)
        if event.reverses_id or hasattr(event, "reversed_by"):
            raise RuleError(_("This was taken back already. Look at the task's events."), code="already_reversed")
        return _reverse(event, fresh, by=by, reason=reason, verb="correct")


def _reverse(event: WorkEvent, task: Task, *, by: Any, reason: str, verb: str) -> WorkEvent:
    """Write the opposite of `event`, which nothing has taken back: quantities negated, and its move undone, if it is still the last."""
    if task.order.status in (OrderStatus.COMPLETED, OrderStatus.CANCELLED):
        raise RuleError(
            _("Order %(number)s is %(status)s, so nothing on it is taken back. Reopen it first, if it is completed.")
            % {"number": task.order.number, "status": task.order.get_status_display()},
            code="order_ended",
        )
    moved = bool(event.to_status)
    later = WorkEvent.objects.filter(task=task, pk__gt=event.pk, reverses=None, reversed_by=None)
    if (moved or verb == "undo") and later.exists():
        raise RuleError(
            _("Something happened on task %(number)s after it. Take the later things back first.") % {"number": task}, code="later_events"
        )
    fields: dict[str, Any] = {"good": task.good - event.good, "scrap": task.scrap - event.scrap}
    to = task.status
    if moved:
        to = event.from_status
        fields["completed_at"] = None
        if event.verb == "claim":
            fields["operator"] = None
    values = {"good": -event.good, "scrap": -event.scrap, "reason": reason, "reverses": event, "data": {"verb": event.verb}}
    made = _apply(task, "undo", to, by=by, event=values, **fields)
    roll_up(task.step, by=by)
    return made
