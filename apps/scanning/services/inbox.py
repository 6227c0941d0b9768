"""Scans that came late, and what a supervisor does about them; and scans that nobody could make, entered by hand.

Every decision is one transaction of the verbs that people use: what is closed is opened, counted and closed again, so the ledger
tells all of it and the totals stay its sums.
"""

import uuid
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.accounts.models import User
from apps.core.context import acting, signature, signed
from apps.core.errors import InvalidInput, RuleError
from apps.scanning.items import COUNTING
from apps.scanning.models import Decision, Outcome, Scan
from apps.scanning.services import finding
from apps.workorders import services as do
from apps.workorders.models import Task, WorkEvent
from apps.workorders.moves import may_task, require_task
from apps.workorders.services.locking import lock_task, reason_text
from apps.workorders.states import OrderStatus, TaskStatus

BY_HAND = ("start", "pause", "resume", "report", "complete")


def may_decide(by: Any, scan: Scan) -> bool:
    """Whether `by` may decide on a scan that he sees. No query, with its task and handheld loaded."""
    access = access_of(by)
    if not access.has("scanning.decide_scan"):
        return False
    if scan.task is not None:
        return may_task(access, "correct", scan.task)
    return access.is_superuser or bool(scan.device and scan.device.department_id in access.leads)


def apply_scan(scan: Scan, *, by: Any, reason: str) -> Scan:
    """Count a late scan as it was made. Raises RuleError where its task takes no pieces any more."""
    return _decide(scan, Decision.APPLIED, by=by, reason=reason)


def correct_scan(scan: Scan, *, by: Any, good: int, scrap: int, reason: str) -> Scan:
    """Count a late scan with other numbers. What was scanned stays as it came."""
    if not good and not scrap:
        raise InvalidInput(_("Enter the good or the scrapped pieces; if there are none, dismiss the scan."), field="good", code="nothing")
    return _decide(scan, Decision.CORRECTED, by=by, reason=reason, good=good, scrap=scrap)


def dismiss_scan(scan: Scan, *, by: Any, reason: str) -> Scan:
    """Decide that a late scan counts nothing. It stays, with the reason."""
    return _decide(scan, Decision.DISMISSED, by=by, reason=reason)


def _decide(scan: Scan, decision: Decision, *, by: Any, reason: str, good: int | None = None, scrap: int | None = None) -> Scan:
    reason = reason_text(reason, what=_("A decision on a late scan"))
    with acting(by, reason=reason):
        # The scan first, then the order and its tasks. Whoever records a scan never waits for the row of one that is held.
        fresh = Scan.objects.visible_to(by).locked().filter(pk=scan.pk).first()
        if fresh is None or not may_decide(by, fresh):
            raise PermissionDenied(_("You may not decide on this scan. Ask the supervisor of its department."))
        if fresh.outcome != Outcome.HELD:
            raise RuleError(
                _("This scan does not wait for a decision: it was %(outcome)s.") % {"outcome": fresh.get_outcome_display()}, code="not_held"
            )
        if fresh.decision:
            said = _("%(person)s decided on this scan already: %(decision)s.")
            raise RuleError(said % {"person": fresh.decided_by, "decision": fresh.get_decision_display()}, code="already_decided")
        if decision != Decision.DISMISSED:
            _count_late(fresh, fresh.quantity if good is None else good, fresh.scrap if scrap is None else scrap, by=by, reason=reason)
        fresh.decision, fresh.decided_by, fresh.decided_at, fresh.decision_reason = decision, by, timezone.now(), reason
        fresh.save(update_fields=["decision", "decided_by", "decided_at", "decision_reason"])
        return fresh


def _count_late(scan: Scan, good: int, scrap: int, *, by: Any, reason: str) -> None:
    if scan.verb not in COUNTING or scan.task is None:
        raise RuleError(
            _("This scan counts no pieces: applied, it would change nothing. If it is still due, do it on the task; then dismiss it."),
            code="nothing_to_apply",
        )
    note = _("Late scan of %(person)s, made %(when)s") % {
        "person": scan.user,
        "when": date_format(timezone.localtime(scan.happened_at), "SHORT_DATETIME_FORMAT"),
    }
    source = {"source": "scan", "device": scan.device.name if scan.device else ""}
    _count(scan, scan.task, scan.verb, good, scrap, by=by, reason=reason, note=note, source=source)


def _count(scan: Scan, task: Task, verb: str, good: int, scrap: int, *, by: Any, reason: str, note: str, source: dict[str, str]) -> Task:
    """Count pieces on the task in whatever state it is. A completed one is opened for it and completed again with what its own
    completion said; the order too. Raises RuleError for a cancelled one.

    The event with the pieces is signed with the scan, those around it with the door.
    """
    task = lock_task(task, by=by)
    require_task(by, "correct", task)
    if task.status == TaskStatus.CANCELLED or task.order.status == OrderStatus.CANCELLED:
        raise RuleError(
            _("Task %(number)s was cancelled: no pieces are counted on it. Enter them by hand on another task, and dismiss this.")
            % {"number": task},
            code="task_cancelled",
        )
    service, values = do.report, {"good": good, "scrap": scrap, "reason": reason, "note": note}
    if task.status == TaskStatus.COMPLETED:
        if task.order.status == OrderStatus.COMPLETED:
            do.reopen_order(task.order, by=by, reason=reason)
        last = WorkEvent.objects.filter(task=task, verb="complete", reversed_by=None).order_by("-pk").first()
        do.reverse_event(last, by=by, reason=reason)
        with signed(scan=scan.pk, **source):
            do.report(task, by=by, **values)
        return do.complete_task(task, by=by, good=last.good, scrap=last.scrap, reason_code=last.reason_code, reason=reason, note=last.note)
    was_paused = task.status == TaskStatus.PAUSED
    if was_paused:
        do.resume_task(task, by=by)
    if verb == "complete":
        service, was_paused = do.complete_task, False
    with signed(scan=scan.pk, **source):
        task = service(task, by=by, **values)
    return do.pause_task(task, by=by, reason=reason) if was_paused else task


def enter_scan(
    task: Task,
    *,
    by: Any,
    person: User,
    verb: str,
    good: int = 0,
    scrap: int = 0,
    reason: str,
    happened_at: datetime | None = None,
) -> Scan:
    """What `person` did and could not scan, entered by a supervisor: the same row and the same events as of a scan, from `hand`.

    The event's actor is the supervisor, who answers for it. Raises RuleError, InvalidInput, PermissionDenied; nothing stays then.
    """
    reason = reason_text(reason, what=_("A scan entered by hand"))
    now = timezone.now()
    with acting(by, reason=reason):
        seen = Task.objects.visible_to(by).filter(pk=task.pk).first()
        if seen is None or not access_of(by).has("scanning.enter_scan"):
            raise PermissionDenied(_("You may not enter a scan on this task. Ask the supervisor of its department."))
        require_task(by, "correct", seen)
        if verb not in BY_HAND:
            raise InvalidInput(
                _("Only these are entered by hand: %(verbs)s.") % {"verbs": ", ".join(BY_HAND)}, field="verb", code="bad_verb"
            )
        if verb not in COUNTING and (good or scrap):
            raise InvalidInput(_("Only a report or a completion counts pieces."), field="quantity", code="verb_needed")
        if happened_at is not None and happened_at > now:
            raise InvalidInput(_("It cannot have happened in the future."), field="happened_at", code="in_future")
        if not User.objects.visible_to(by).filter(pk=person.pk, is_active=True).exists():
            raise InvalidInput(_("Choose somebody of your departments."), field="user", code="unknown")
        raw = {"task": task.pk, "verb": verb, "quantity": good, "scrap": scrap, "reason": reason}
        scan = Scan.objects.create(
            user=person, entered_by=by, source="hand", client_event_id=uuid.uuid4(), raw=raw, verb=verb, quantity=good, scrap=scrap,
            code=finding.code_of(task), reason=reason, received_at=now, happened_at=happened_at or now,
            captured_at=happened_at, outcome=Outcome.APPLIED, task=seen, order_id=seen.order_id, request_id=signature().request_id,
        )  # fmt: skip
        _do_by_hand(scan, seen, by=by, person=person, reason=reason)
        scan.answer = {"code": "", "detail": _("Entered by hand."), "verb": verb, "task": None, "warnings": []}
        scan.save(update_fields=["answer"])
        return scan


def _do_by_hand(scan: Scan, task: Task, *, by: Any, person: User, reason: str) -> None:
    if scan.verb in COUNTING:
        note = _("Entered by hand for %(person)s") % {"person": person}
        _count(scan, task, scan.verb, scan.quantity, scan.scrap, by=by, reason=reason, note=note, source={"source": "hand"})
        return
    with signed(source="hand", scan=scan.pk):
        if scan.verb == "start":
            if task.status == TaskStatus.PENDING:
                do.assign_task(task, by=by, operator=person, reason=reason)
            do.start_task(task, by=by, reason=reason)
        elif scan.verb == "pause":
            do.pause_task(task, by=by, reason=reason)
        else:
            do.resume_task(task, by=by)
