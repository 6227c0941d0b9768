"""Scans: stored raw before they are understood, counted once whatever happens on the way, each with its answer for ever.

A scan is written in a transaction of its own. Then one transaction does its verb and writes its outcome and answer; its last
statement is a compare-and-set on the row, so that of any number of senders at once one counts it and the others are rolled back
and hear what that one got. A crash between the two leaves `received`: sending it again, or the sweeper, finishes it.

The answer is kept as it was told, in the language of whoever scanned: it is what stood on the screen.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core.context import signed
from apps.core.errors import RuleError
from apps.core.problems import TooLarge
from apps.scanning.clocks import CLOCK_OFF
from apps.scanning.items import LONGEST_CODE, event_id_of, lane_of, read_item, storable
from apps.scanning.models import Device, OperatorSession, Outcome, Scan
from apps.scanning.services import finding
from apps.scanning.services.doing import Sender, Told, do_scan, good_of, read_or_wrong
from apps.scanning.services.finding import Warned, resolve, resolved_json
from apps.workorders.models import MOST

__all__ = ["Clock", "Result", "note_clock", "record_batch", "record_scan", "resolve", "resolved_json", "sweep"]
MOST_AT_ONCE = 200
BELIEVED_FOR = timedelta(days=7)  # nothing that waits longer on a handheld is dated by it
CLOCK_MOVED_MS = 5_000
OPEN = (Outcome.RECEIVED, Outcome.BLOCKED)  # not final


@dataclass(frozen=True)
class Result:
    """What one scan's sender hears. `result` says what this sending did, `outcome` what the first one got.

    `error` is the refusal itself, where this sending was refused.
    """

    client_event_id: str
    result: str
    outcome: str
    code: str
    detail: str
    verb: str = ""
    task: dict[str, Any] | None = None
    warnings: list[dict[str, str]] = field(default_factory=list)
    scan_id: int | None = None
    error: RuleError | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "error"}


@dataclass(frozen=True)
class Clock:
    """How far the handheld's clock is from the server's, in seconds; None where it did not say."""

    received_at: datetime
    offset: float | None = None

    @property
    def is_off(self) -> bool:
        return self.offset is not None and abs(self.offset) > CLOCK_OFF.total_seconds()

    @classmethod
    def of(cls, device_time: datetime | None, received_at: datetime) -> "Clock":
        return cls(received_at, (device_time - received_at).total_seconds() if device_time else None)

    def happened(self, captured_at: datetime | None) -> tuple[datetime, bool]:
        """When it was captured by the server's clock, and whether the handheld's clock is off. Never in the future."""
        off, now = self.is_off, self.received_at
        if captured_at is None:
            return now, off
        meant = captured_at - timedelta(seconds=self.offset or 0)
        if meant > now + CLOCK_OFF or now - meant > BELIEVED_FOR:
            return now, True
        return (min(meant, now) if self.offset is not None else now), off


class TooManyItems(TooLarge):
    """A batch of more than 200."""

    code = "too_many_items"


class _Overtaken(Exception):
    """Somebody else sent the same scan at this moment and was faster. Nothing of this attempt stays."""


# -- the doors


def record_scan(
    item: Any, *, by: Any, device: Device | None = None, session: OperatorSession | None = None, at: datetime | None = None
) -> Result:
    """Store one scan, do what it says, answer. A refusal is a Result with its `error`. Call it outside of a transaction.

    Raises InvalidInput, with nothing stored, only for an item without a usable client_event_id. Twelve queries for a report with
    who sends it, three more for the first one of an order.
    """
    at = at or timezone.now()
    sender = Sender(by, device, session)
    if event_id_of(item) is None:
        read_item(item)
    raw = storable(item)
    row = _row(raw, sender, at, None)
    note_clock(device, Clock.of(row.sent_at, at))
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return _take_up(Scan.objects.get(sender.owns(), client_event_id=row.client_event_id), raw, sender)
    return _settle(row, sender)


def record_batch(
    items: Sequence[Any],
    device_time: datetime | None,
    *,
    by: Any,
    device: Device | None = None,
    session: OperatorSession | None = None,
    at: datetime | None = None,
) -> list[Result]:
    """Store all of them at once, then do one after the other, each in its own transaction. One result for each, in their order.

    A lane goes in the order of its `seq`; what is behind a refused item of its lane is blocked, and looked at anew when it is sent
    again. Raises TooManyItems for more than 200. Call it outside of a transaction.
    """
    if len(items) > MOST_AT_ONCE:
        raise TooManyItems(_("At most %(most)s scans at once. Send the rest in another batch.") % {"most": MOST_AT_ONCE})
    at = at or timezone.now()
    sender = Sender(by, device, session)
    note_clock(device, Clock.of(device_time, at))
    raws = [storable(item) for item in items]
    rows: dict[UUID, Scan] = {}
    for raw in raws:
        key = event_id_of(raw)
        if key is not None and key not in rows:
            rows[key] = _row(raw, sender, at, device_time)
    with transaction.atomic():
        Scan.objects.bulk_create(rows.values(), ignore_conflicts=True)
    stored = {scan.client_event_id: scan for scan in Scan.objects.filter(sender.owns(), client_event_id__in=list(rows))}
    results: dict[int, Result] = {}
    refused: set[str] = set()
    for number in _in_lanes(raws):
        raw, (lane, _seq) = raws[number], lane_of(raws[number])
        result = _one_of_batch(raw, stored, sender, blocked=bool(lane) and lane in refused)
        if lane and Outcome.REFUSED in (result.result, result.outcome):
            refused.add(lane)
        results[number] = result
    return [results[number] for number in range(len(raws))]


def _in_lanes(raws: Sequence[Any]) -> list[int]:
    """The order to go through a batch: as it came, but the places of a lane are taken in the order of its `seq`."""
    lanes: dict[str, list[int]] = {}
    for number, raw in enumerate(raws):
        if lane := lane_of(raw)[0]:
            lanes.setdefault(lane, []).append(number)
    order = list(range(len(raws)))
    for places in lanes.values():
        for place, number in zip(places, sorted(places, key=lambda number: lane_of(raws[number])[1]), strict=True):
            order[place] = number
    return order


def _one_of_batch(raw: Any, stored: dict[UUID, Scan], sender: Sender, *, blocked: bool) -> Result:
    key = event_id_of(raw)
    if key is None:
        return _not_stored(raw)
    return _take_up(stored[key], raw, sender, blocked=blocked)


def _take_up(row: Scan, raw: Any, sender: Sender, *, blocked: bool = False) -> Result:
    """Go on with a stored scan: the answer of a final one, the work of an open one. Nobody goes on with somebody else's."""
    if row.user_id != sender.by.pk:
        error = RuleError(_("Somebody else made this scan. It is sent when he signs in on this handheld again."), code="other_person")
        return Result(str(row.client_event_id), Outcome.REFUSED, Outcome.REFUSED, error.code, str(error), error=error)
    result = _again(row) if row.outcome not in OPEN else _settle(row, sender, _behind() if blocked else None)
    if {**row.raw, "device_time": None} == {**raw, "device_time": None}:
        return result
    said = _("This scan was sent before with other contents. Only the first counts; a new scan needs a key of its own.")
    return replace(result, warnings=[*result.warnings, Warned("other_body", said).as_json()])


def _behind() -> Told:
    said = _("A scan before it was refused. Look at that one; then this one is sent again.")
    return Told(Outcome.BLOCKED, "behind_refused", said)


def sweep(before: datetime) -> int:
    """Finish what a crash left `received` before that moment, as the person who scanned it. Says how many there were.

    What was tried more often comes last, so that one that cannot be finished holds nothing up.
    """
    left = Scan.objects.filter(outcome=Outcome.RECEIVED, received_at__lt=before).select_related("user", "device", "session")
    rows = list(left.order_by("attempts", "user", "device", "lane", "seq", "pk")[:1000])
    for row in rows:
        Scan.objects.filter(pk=row.pk).update(attempts=F("attempts") + 1)
        sender = Sender(row.user, row.device, row.session)
        with signed(request_id=row.request_id):
            _settle(row, sender, _behind() if _behind_refused(row, sender) else None)
    return len(rows)


def _behind_refused(row: Scan, sender: Sender) -> bool:
    """Whether something before it in its lane, sent with it, was refused. One query for a scan in a lane."""
    if not row.lane or row.seq is None:
        return False
    sent_with = Scan.objects.filter(sender.owns(), lane=row.lane, request_id=row.request_id, seq__lt=row.seq)
    return sent_with.filter(outcome__in=(Outcome.REFUSED, Outcome.BLOCKED)).exists()


# -- rows and answers


def _row(raw: dict, sender: Sender, at: datetime, sent_at: datetime | None) -> Scan:
    """The scan as it came, unsaved; of one that cannot be read, what can."""
    item, _wrong = read_or_wrong(raw)
    row = Scan(
        device=sender.device, session=sender.session, user=sender.by, client_event_id=event_id_of(raw), raw=raw, received_at=at,
        happened_at=at,
    )  # fmt: skip
    if item is None:
        row.code = str(raw.get("code", ""))[:LONGEST_CODE]
        row.lane, row.seq = lane_of(raw)
        return row
    row.sent_at = sent_at or item.device_time
    row.happened_at, row.is_clock_off = Clock.of(row.sent_at, at).happened(item.captured_at)
    row.code, row.verb, row.scrap, row.reason, row.badge = item.code, item.verb, item.scrap, item.reason or item.reason_code, item.badge
    row.captured_at, row.lane, row.seq = item.captured_at, item.lane, item.seq
    with suppress(RuleError):
        row.quantity = min(good_of(item), MOST)
    return row


def _not_stored(raw: Any) -> Result:
    """The answer to an item that has no key to be kept under."""
    _item, wrong = read_or_wrong(raw)
    key = str(raw.get("client_event_id") or "")[:80] if isinstance(raw, dict) else ""
    return Result(key, Outcome.REFUSED, Outcome.REFUSED, wrong.code if wrong else "", str(wrong), error=wrong)


def _again(row: Scan) -> Result:
    """What the first sending was told, told again."""
    answer = row.answer or {}
    return Result(
        client_event_id=str(row.client_event_id),
        result="duplicate",
        outcome=str(row.outcome),
        code=answer.get("code", ""),
        detail=answer.get("detail", ""),
        verb=answer.get("verb", ""),
        task=answer.get("task"),
        warnings=answer.get("warnings", []),
        scan_id=row.pk,
    )


def _keep_and_answer(row: Scan, told: Told, sender: Sender) -> Result:
    """Write what became of it and the answer. One query. Raises _Overtaken where somebody else has."""
    warnings = [*told.warnings]
    if row.is_clock_off:
        said = _("The clock of this handheld is wrong. Set it; until then the time of arrival counts where its own cannot be believed.")
        warnings.append(Warned("clock_off", said))
    answer = {
        "code": told.code,
        "detail": told.detail,
        "verb": told.verb,
        "task": finding.task_json(told.task, by=sender.by) if told.task and told.is_shown else None,
        "warnings": [one.as_json() for one in warnings],
    }
    values = {"outcome": told.outcome, "outcome_code": told.code, "answer": answer}
    if told.task is not None:
        values |= {"task_id": told.task.pk, "order_id": told.task.order_id}
    if not Scan.objects.filter(pk=row.pk, outcome__in=OPEN).update(**values):
        raise _Overtaken
    for name, value in values.items():
        setattr(row, name, value)
    return Result(
        str(row.client_event_id), told.outcome, told.outcome, told.code, told.detail, told.verb, answer["task"], answer["warnings"],
        row.pk, told.error,
    )  # fmt: skip


def _settle(row: Scan, sender: Sender, told: Told | None = None) -> Result:
    """Do what an open scan says (or nothing but what is `told`) and keep its outcome, both in one transaction; or hear what
    somebody faster got."""
    device = sender.device.name if sender.device else ""
    try:
        with transaction.atomic(), signed(source="scan", device=device, scan=row.pk, actor=sender.by):
            told = told or do_scan(row, sender)
            result = _keep_and_answer(row, told, sender)
    except (_Overtaken, IntegrityError):
        # Of two at once the ledger lets one count a scan, and the row lets one write its outcome: the other finds it final.
        fresh = Scan.objects.get(pk=row.pk)
        if fresh.outcome in OPEN:
            raise
        return _again(fresh)
    if told.task is not None and told.is_shown:
        sender.tasks[told.task.pk] = told.task
    return result


def note_clock(device: Device | None, clock: Clock) -> None:
    """Keep how far the handheld's clock is off, where it moved. No query, or one."""
    if device is None or clock.offset is None:
        return
    now, before = round(clock.offset * 1000), device.clock_offset_ms
    if before is None or abs(now - before) > CLOCK_MOVED_MS:
        device.clock_offset_ms = now
        Device.objects.filter(pk=device.pk).update(clock_offset_ms=now)
