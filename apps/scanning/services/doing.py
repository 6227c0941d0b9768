"""What one scan does: find its task, do its verb, or hold it for the supervisor. Called under an open transaction."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.accounts.models import Membership, User
from apps.accounts.roles import Role
from apps.core.errors import InvalidInput, NotAllowed, RuleError
from apps.notices.services import notify
from apps.scanning import codes
from apps.scanning.codes import BadCode, Kind
from apps.scanning.items import COUNTING, Item, read_item
from apps.scanning.models import Badge, Device, OperatorSession, Outcome, Scan
from apps.scanning.services import finding
from apps.scanning.services.finding import Warned
from apps.workorders import services as do
from apps.workorders.models import ReasonCode, Task, WorkEvent
from apps.workorders.services.locking import lock_task
from apps.workorders.states import ORDER_LIVE, TASK_ENDED, TASK_HELD, TaskStatus
from apps.workorders.transitions import refuse_unless_possible

# Refusals that come from the state of things, and not from what was sent.
_BY_STATE = frozenset({"wrong_state", "order_not_running", "order_ended", "already_claimed"})


@dataclass
class Sender:
    """Who sends, on what; `tasks` are those that this batch has seen, as they are now."""

    by: Any
    device: Device | None = None
    session: OperatorSession | None = None
    tasks: dict[int, Task] = field(default_factory=dict)
    badges: dict[str, bool] = field(default_factory=dict)

    def owns(self) -> Q:
        """The scans that this sender's keys are unique among: the handheld's; without one, the person's."""
        return Q(device=self.device) if self.device else Q(device=None, user=self.by)


@dataclass
class Told:
    """What became of a scan, before it is written down."""

    outcome: str
    code: str
    detail: str
    verb: str = ""
    task: Task | None = None
    is_shown: bool = True  # whether the answer may show the task
    warnings: list[Warned] = field(default_factory=list)
    error: RuleError | None = None


def read_or_wrong(raw: Any) -> tuple[Item | None, InvalidInput | None]:
    """The item that `raw` means, or what is wrong with it."""
    try:
        return read_item(raw), None
    except InvalidInput as wrong:
        return None, wrong


def do_scan(row: Scan, sender: Sender) -> Told:
    """Find what was scanned and do the verb, in a savepoint of its own. A refusal is an answer too."""
    item, wrong = read_or_wrong(row.raw)
    if item is None:
        return _refusal(wrong)
    verb, task, warnings = item.verb, None, []
    try:
        _check_badge(item, sender)
        found = _target(item, sender)
        task, warnings = found.task, finding.warnings_of(found, misses=False)
        verb = _meant(item, task)
        _refuse_before_closing(verb, task, row)
        with transaction.atomic():
            fresh = _apply_verb(task, verb, item, by=sender.by)
    except finding.UnknownCode as refusal:
        return _had_it(item, row, sender) or _refusal(refusal, verb)
    except (RuleError, PermissionDenied) as refusal:
        return _held_or_refused(refusal, item, verb, task, row, sender, warnings)
    fresh.line, fresh.products = task.line, task.products
    if fresh.good > fresh.planned and verb in COUNTING:
        warnings.append(Warned("over_plan", _("%(over)s more than planned are made.") % {"over": fresh.good - fresh.planned}))
    return Told(Outcome.APPLIED, "", _said(verb, task, fresh, item), verb, fresh, warnings=warnings)


def _refusal(error: Any, verb: str = "", task: Task | None = None, warnings: Iterable[Warned] = ()) -> Told:
    if isinstance(error, PermissionDenied):
        error = NotAllowed(str(error) or _("You may not do this. Ask your supervisor or the administrator."))
    return Told(Outcome.REFUSED, error.code, str(error.message), verb, task, warnings=list(warnings), error=error)


def _check_badge(item: Item, sender: Sender) -> None:
    """A badge that is scanned along has to be the signed-in person's own. No query for none, or one that this batch has seen."""
    if not item.badge:
        return
    if item.badge not in sender.badges:
        try:
            code = finding.read_code(item.badge)
        except BadCode:
            code = None
        is_own = code is not None and code.kind == Kind.BADGE
        sender.badges[item.badge] = is_own and Badge.objects.live().filter(pk=code.number, user=sender.by).exists()
    if not sender.badges[item.badge]:
        raise RuleError(
            _("This scan was made with another badge than that of %(person)s. Sign in with it and scan again.") % {"person": sender.by},
            code="badge_mismatch",
            field="badge",
        )


def _target(item: Item, sender: Sender) -> finding.Resolved:
    """The task that the scan is about, with what it was found by. Raises RuleError for a code that nothing can be done with alone."""
    with suppress(BadCode):
        code = finding.read_code(item.code)
        if code.kind == Kind.TASK and code.number in sender.tasks:
            task = sender.tasks[code.number]
            return finding.Resolved(item.code, "task", code.revision, order=task.order, task=task)
    try:
        found = finding.find(item.code, by=sender.by)
    except finding.UnknownCode as unknown:
        raise _taken_by_another(item.code, item.verb, sender.by) or unknown from None
    if found.kind == "order":
        found.task = finding.choose(found.tasks, item.verb, by=sender.by, order=found.order)
    if found.task is None:
        first = {
            "badge": _("This is a badge. Sign in with it first; then scan the task's code."),
            "command": _("This is a command. Scan the task's code first, then the command."),
            "reason": _("This is a reason. Scan the task's code and what you do with it first, then the reason."),
        }
        raise RuleError(first[found.kind], code="scan_task_first", field="code")
    return found


def _taken_by_another(code: str, verb: str, by: Any) -> RuleError | None:
    """Who would take a task out of his own queue hears who was faster, and not that nobody knows it. One query."""
    with suppress(BadCode):
        read = finding.read_code(code)
        if read.kind != Kind.TASK or verb not in ("", "claim", "start"):
            return None
        access = access_of(by)
        queue = Task.objects.filter(department__in=access.member_of | access.leads, status__in=TASK_HELD).exclude(operator=by.pk)
        if taken := queue.select_related("operator").filter(pk=read.number).first():
            said = _("Task %(number)s is taken: %(operator)s has it.") % {"number": taken, "operator": taken.operator}
            return RuleError(said, code="already_claimed", operator=str(taken.operator))
    return None


def _meant(item: Item, task: Task) -> str:
    """The verb that the scan means on the task as it is: the next natural one, where none was said. Raises RuleError."""
    if item.verb in COUNTING:
        return item.verb
    if item.pieces:
        raise RuleError(
            _("%(count)s pieces came with a scan that counts none. Say report or complete.") % {"count": (item.good or 0) + item.scrap},
            code="verb_needed",
            field="verb",
        )
    if item.verb in ("", "start") and task.status == TaskStatus.PAUSED:
        return "resume"
    if item.verb:
        return item.verb
    if task.status == TaskStatus.IN_PROGRESS:
        raise RuleError(_("Task %(number)s is running. Say report or complete.") % {"number": task}, code="verb_needed", field="verb")
    if task.status not in (TaskStatus.PENDING, TaskStatus.ASSIGNED):
        refuse_unless_possible(task, "start")
    return "start"


def good_of(item: Item) -> int:
    """The good pieces that it counts: as said, or as the press counted. Raises RuleError where the two disagree."""
    if item.counter is None:
        return item.good or 0
    start, end = item.counter
    if end < start:
        raise RuleError(
            _("The counter ends at %(end)s, before its start at %(start)s. Read it again.") % {"start": start, "end": end},
            code="counter_backwards",
            field="counter",
        )
    good = end - start - item.scrap
    if good < 0 or (item.good is not None and item.good != good):
        raise RuleError(
            _("The counter made %(made)s from %(start)s to %(end)s; %(good)s good and %(scrap)s scrap do not agree. Count again.")
            % {"made": end - start, "start": start, "end": end, "good": item.good or 0, "scrap": item.scrap},
            code="counter_mismatch",
            field="counter",
        )
    return good


def _why(item: Item) -> dict[str, str]:
    """The reason of a scan: one of the floor's codes, by name or as the code on paper, or a text."""
    code, reason = item.reason_code, item.reason
    if not code and reason.lower() in ReasonCode.values:
        code, reason = reason.lower(), ""
    elif not code and reason[:1] in ("R", "r"):
        with suppress(BadCode):
            scanned = finding.read_code(reason)
            if scanned.kind == Kind.REASON and scanned.number in codes.REASONS:
                code, reason = codes.REASONS[scanned.number], ""
    return {"reason_code": code, "reason": reason}


def _apply_verb(task: Task, verb: str, item: Item, *, by: Any) -> Task:
    """The verb's own service. Returns the fresh task."""
    why = _why(item)
    if verb in COUNTING:
        note = _("Counter %(start)s → %(end)s") % {"start": item.counter[0], "end": item.counter[1]} if item.counter else ""
        service = do.report if verb == "report" else do.complete_task
        return service(task, by=by, good=good_of(item), scrap=item.scrap, note=note, **why)
    if verb == "pause":
        return do.pause_task(task, by=by, **why)
    if verb in ("claim", "resume"):
        return {"claim": do.claim_task, "resume": do.resume_task}[verb](task, by=by)
    reason = why["reason"] or (str(ReasonCode(why["reason_code"]).label) if why["reason_code"] else "")
    return {"start": do.start_task, "release": do.release_task, "undo": do.undo_last}[verb](task, by=by, reason=reason)


def _said(verb: str, before: Task, task: Task, item: Item) -> str:
    """What the screen says when it is done."""
    told = {
        "number": task, "process": task.step.process.label, "order": task.order.number, "status": task.get_status_display(),
        "good": task.good - before.good, "scrap": item.scrap, "total": task.good, "planned": task.planned, "left": task.left,
    }  # fmt: skip
    if verb == "report":
        if task.left:
            return _("%(number)s: %(good)s good and %(scrap)s scrap counted, %(left)s left.") % told
        return _("%(number)s: %(good)s good and %(scrap)s scrap counted. All %(planned)s are made: complete it.") % told
    sentences = {
        "claim": _("%(number)s is yours: %(process)s, order %(order)s."),
        "release": _("%(number)s is back in the queue."),
        "start": _("%(number)s runs: %(process)s, order %(order)s, %(left)s to make."),
        "pause": _("%(number)s is paused."),
        "resume": _("%(number)s runs again, %(left)s left."),
        "complete": _("%(number)s is completed with %(total)s of %(planned)s."),
        "undo": _("Taken back. %(number)s is %(status)s with %(total)s of %(planned)s."),
    }
    return sentences[verb] % told


# -- what comes late


def _refuse_before_closing(verb: str, task: Task, row: Scan) -> None:
    """An undo that was meant before the task was closed must not take back the closing. One query for an undo on a closed task."""
    if verb == "undo" and task.status in TASK_ENDED and row.captured_at is not None and row.happened_at < _closed_at(task):
        refuse_unless_possible(task, "pause")


def _closed_at(task: Task) -> datetime:
    closing = WorkEvent.objects.filter(task=task, verb__in=("complete", "cancel"), reversed_by=None).order_by("-pk")
    return closing.values_list("at", flat=True).first() or task.updated_at


def _held_or_refused(refusal: Any, item: Item, verb: str, task: Task | None, row: Scan, sender: Sender, warnings: Iterable[Warned]) -> Told:
    """A scan whose task was closed meanwhile is held: one with pieces always, any other if it was captured before. Else refused.

    The task is locked and read again, so that what is held was closed for certain.
    """
    if task is None or not (isinstance(refusal, PermissionDenied) or refusal.code in _BY_STATE):
        return _refusal(refusal, verb, task, warnings)
    fresh = lock_task(task, by=sender.by)
    fresh.line, fresh.products = task.line, task.products
    is_closed = fresh.status in TASK_ENDED or fresh.order.status not in ORDER_LIVE
    counts = verb in COUNTING and item.pieces
    if is_closed and (counts or (verb and row.captured_at is not None and row.happened_at < _closed_at(fresh))):
        state = fresh.get_status_display() if fresh.status in TASK_ENDED else fresh.order.get_status_display()
        said = _("%(number)s is %(status)s since before this scan came. Nothing is lost: your supervisor decides.")
        return _hold("late", said % {"number": fresh, "status": state}, verb, fresh, warnings)
    # He saw it in his queue a moment ago; now it is somebody's, and out of his sight.
    if isinstance(refusal, PermissionDenied) and (taken := _taken_by_another(finding.code_of(fresh), verb, sender.by)):
        return _refusal(taken, verb)
    return _refusal(refusal, verb, fresh, warnings)


def _had_it(item: Item, row: Scan, sender: Sender) -> Told | None:
    """Pieces of a task that was this person's when he made them and is somebody else's now: held. One query, another if it is so."""
    if item.verb not in COUNTING or not item.pieces:
        return None
    with suppress(BadCode):
        code = finding.read_code(item.code)
        had = WorkEvent.objects.filter(task=code.number, actor=sender.by).exists() if code.kind == Kind.TASK else False
        task = finding.shown_tasks().filter(pk=code.number).first() if had else None
        if task is not None:
            said = _("%(number)s is not yours any more. Nothing is lost: your supervisor decides.") % {"number": task}
            told = _hold("not_yours", said, item.verb, task, ())
            told.is_shown = False
            return told
    return None


def _hold(code: str, detail: str, verb: str, task: Task, warnings: Iterable[Warned]) -> Told:
    """Put it into the inbox and tell who decides. Two queries."""
    leads: Any = Membership.objects.leading([task.department_id]).values_list("user", flat=True) if task.department_id else ()
    told = list(leads) or list(User.objects.with_role(Role.PLANNER).values_list("pk", flat=True))
    notify(told, "scan_held", url=inbox_url(), number=str(task), order=task.order.number)
    return Told(Outcome.HELD, code, detail, verb, task, warnings=list(warnings))


def inbox_url() -> str:
    return reverse("admin:scanning_scan_changelist") + "?inbox=yes"
