"""The work on a run: planning, applying and taking back, in short transactions that can end after any of them.

One loop for all three. The rows say what is left to do, so that whoever comes after a kill goes on where it stopped; a thing
(all rows of an order) is written whole or not at all, and its rows are marked in the same transaction. How many things one
transaction takes follows from how long the last one took. Orders are written in sets; where a set is refused, it is halved until
the order that is at fault stands alone.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Any
from uuid import uuid4

from django.core.exceptions import PermissionDenied
from django.db import DataError, IntegrityError, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from apps.core.context import acting, signature
from apps.core.errors import RuleError
from apps.core.jobs import enqueue
from apps.imports.base import Outcome, Planned, ServiceResource
from apps.imports.files import tables_for
from apps.imports.models import LEASE, WORKING, ImportRow, ImportRun, ImportState, RowAction, RowState
from apps.imports.registry import KINDS, Kind
from apps.imports.staging import cells_of, keep_rows, let_others_write, resource_for, stage, uncollected, unmapped
from apps.imports.tables import Remark
from apps.notices.services import notify

log = logging.getLogger("docket.imports")
JOB_SECONDS = 45  # of one job; the rest is for the next, long before the queue would take it for lost
CHUNK_SECONDS = 0.5  # of one transaction: on SQLite everybody else's writes wait for it; each costs a tenth of a second besides
CHUNK_UNITS = 400  # things of one transaction, at most
FIRST_UNITS = 50  # and at least: on a busy machine, what a transaction costs without any would take all of its time

Unit = list[ImportRow]


class _Undone(Exception):
    """Takes back what was done inside the savepoint."""


@dataclass
class Pace:
    """How many things the next transaction takes, and where the last one ended: what is before it is done."""

    units: int
    part: int = 0
    number: int | None = None
    resource: ServiceResource | None = None

    def resource_for(self, run: ImportRun, kind: Kind, part: int) -> ServiceResource:
        """One for all transactions on a table: what it knows may still hold."""
        if self.resource is None or part != self.part:
            self.resource = resource_for(run, kind, part)
        else:
            self.resource.renew(run)
        return self.resource

    def learn(self, done: int, seconds: float) -> None:
        """Take as many as fit into CHUNK_SECONDS by what the last one took: at least FIRST_UNITS, at most twice as many."""
        fitting = int(done * CHUNK_SECONDS / max(seconds, 0.001))
        self.units = min(max(fitting, FIRST_UNITS), 2 * self.units, CHUNK_UNITS)


@unmapped()
def work(pk: int, *, seconds: float | None = None, told: Callable[[ImportRun], None] | None = None) -> None:
    """Go on with run `pk` until its work is done, or until `seconds` are up: the rest is then queued as a job. Does nothing where
    somebody else is at it. `told` hears of every step.
    """
    lease = uuid4().hex
    if not ImportRun.objects.working().filter(_free(), pk=pk).update(lease=lease, lease_until=timezone.now() + LEASE):
        return
    until, is_left = time.monotonic() + seconds if seconds is not None else None, False
    pace = Pace(min(FIRST_UNITS, CHUNK_UNITS))
    try:
        is_left = not _read(pk, until)
        while not is_left and _step(pk, lease, pace):
            let_others_write()
            if told:
                told(ImportRun.objects.get(pk=pk))
            is_left = until is not None and time.monotonic() > until
    finally:
        ImportRun.objects.filter(pk=pk, lease=lease).update(lease="", lease_until=None)
    if is_left:
        enqueue("imports.work", pk)


def _free() -> Q:
    return Q(lease_until=None) | Q(lease_until__lt=timezone.now())


def left_behind() -> list[int]:
    """Runs that should be worked on and are not: their job was lost, or its worker was killed."""
    return list(ImportRun.objects.working().filter(_free()).values_list("pk", flat=True))


def _read(pk: int, until: float | None) -> bool:
    """Keep the rows of a file that its page left to a job; False when there is more of it."""
    run = ImportRun.objects.select_related("owner").filter(pk=pk, state=ImportState.READING).first()
    kind = KINDS.get(run.resource) if run else None
    if run is None or kind is None:
        return True
    with translation.override(run.options.get("language")):
        try:
            if not stage(run, tables_for(run, kind), kind, until=until):
                return False
        except RuleError as refusal:
            run.rows.all().delete()
            _stop(run, str(refusal))
            return True
    return ImportRun.objects.filter(pk=pk, state=ImportState.READING).update(state=ImportState.PLANNING, steps_done=0) == 1


@uncollected()
def _step(pk: int, lease: str, pace: Pace) -> bool:
    """One short transaction of the work; False when nothing is left to do, or it is not ours to do any more."""
    began, units = time.monotonic(), 0
    with transaction.atomic():
        run = ImportRun.objects.select_related("owner").locked().filter(pk=pk, lease=lease, state__in=WORKING).first()
        if run is None:
            return False
        kind = KINDS.get(run.resource)
        if kind is None or not kind.allowed_to(run.owner):
            _stop(run, _("You may not import this any more. Ask a supervisor or a planner."))
            return False
        with acting(run.owner), translation.override(run.options.get("language")):
            try:
                units, rows = STEPS[run.state](run, kind, pace)
            except RuleError as refusal:  # of no single thing: who is to make the orders left, say
                _stop(run, str(refusal))
                return False
            if not units:
                ENDS[run.state](run)
                return False
        run.steps_done += rows
        run.lease_until = timezone.now() + LEASE
        run.save(update_fields=["steps_done", "lease_until"])
    pace.learn(units, time.monotonic() - began)
    return True


def _stop(run: ImportRun, reason: str) -> None:
    run.state, run.stopped_because, run.lease, run.lease_until = ImportState.STOPPED, reason[:300], "", None
    run.save()


def _units(run: ImportRun, leads: Any, pace: Pace, *, backwards: bool) -> tuple[int, list[Unit]]:
    """The next few things of one table: which table, and their rows. `leads` are the first rows of the things that are to be done."""
    leads = leads.order_by("-part", "-number") if backwards else leads.order_by("part", "number")
    found: list[tuple[int, int]] = []
    if pace.number is not None:  # looked for behind the last ones: what is done is not read again and again
        beyond = {"number__lt" if backwards else "number__gt": pace.number}
        found = list(leads.filter(part=pace.part, **beyond).values_list("part", "unit")[: pace.units])
    found = found or list(leads.values_list("part", "unit")[: pace.units])
    if not found:
        return 0, []
    part = found[0][0]
    order = [unit for one, unit in found if one == part]
    rows: dict[int, Unit] = defaultdict(list)
    # Put in order here: asked to, SQLite finds them by number, through all rows of the run.
    for row in sorted(run.rows.filter(part=part, unit__in=order).order_by(), key=attrgetter("number")):
        rows[row.unit].append(row)
    return part, [rows[unit] for unit in order]


def _each(
    run: ImportRun,
    kind: Kind,
    pace: Pace,
    leads: Any,
    do: Callable[[ServiceResource, list[Unit]], list[Unit]],
    fields: Sequence[str],
    *,
    backwards: bool = False,
) -> tuple[int, int]:
    """Do it to the next few things, for a moment; says how many things that were, and how many rows."""
    part, units = _units(run, leads, pace, backwards=backwards)
    if not units:
        return 0, 0
    resource = pace.resource_for(run, kind, part)
    if not backwards:
        resource.prepare([cells_of(row) for unit in units for row in unit])
    done = do(resource, units)
    rows = [row for unit in done for row in unit]
    keep_rows(rows, fields)
    pace.part, pace.number = part, done[-1][0].number
    return len(done), len(rows)


def _one_by_one(resource: ServiceResource, units: list[Unit], do: Callable[[ServiceResource, Unit], None]) -> list[Unit]:
    until, done = time.monotonic() + CHUNK_SECONDS, []
    for unit in units:
        do(resource, unit)
        done.append(unit)
        if time.monotonic() > until:
            break
    return done


def _cells(units: Iterable[Unit]) -> Iterable[list[dict[str, Any]]]:
    return ([cells_of(row) for row in unit] for unit in units)


# -- planning

_PLANNED = ["understood", "action", "what", "label", "details", "counts", "remarks", "seen"]


def _plan(run: ImportRun, kind: Kind, pace: Pace) -> tuple[int, int]:
    return _each(run, kind, pace, run.rows.open().leading().filter(action=RowAction.NONE), _plan_units, _PLANNED)


def _plan_units(resource: ServiceResource, units: list[Unit]) -> list[Unit]:
    if not resource.in_sets:
        return _one_by_one(resource, units, _plan_unit)
    for unit, outcome in zip(units, resource.read_units(_cells(units), writing=False), strict=True):
        _write_plan(unit, outcome)
    return units


def _plan_unit(resource: ServiceResource, unit: Unit) -> None:
    """The import itself, rolled back."""
    outcome = None
    try:
        with transaction.atomic():
            outcome = resource.run_unit([cells_of(row) for row in unit])
            raise _Undone
    except _Undone:
        _write_plan(unit, outcome)


def _write_plan(unit: Unit, outcome: Outcome) -> None:
    remarks = defaultdict(list)
    for remark in outcome.remarks:
        remarks[remark.row].append(asdict(remark))
    planned = outcome.planned if outcome.planned and not outcome.has_errors else None
    for row in unit:
        row.remarks, row.understood = remarks[row.number], outcome.understood.get(row.number, {})
        is_wrong = any(remark["level"] == "error" for remark in row.remarks)
        row.action = planned.action if planned else RowAction.ERROR if is_wrong else RowAction.HELD
        row.what = row.label = ""
        row.details, row.counts, row.seen = [], {}, None
    if planned:
        lead = unit[0]
        lead.what, lead.label, lead.seen = planned.what[:60], planned.label[:300], planned.seen
        lead.details, lead.counts = planned.details, planned.counts


def settle(run: ImportRun) -> None:
    """Write what the rows come to: the run's state and its counts. Three queries."""
    rows = run.rows.all()
    planned = rows.planned().order_by().values_list("counts", flat=True)
    run.rows_planned = sum(counts.get("lines", 1) for counts in planned.iterator(chunk_size=2000))
    done, opened = rows.filter(state=RowState.DONE).count(), rows.open().count()
    run.rows_done = done
    if rows.open().filter(action=RowAction.NONE).exists():
        run.state = ImportState.STOPPED
    elif done:
        run.state = ImportState.PARTLY if opened else ImportState.APPLIED
    elif not opened and rows.filter(state=RowState.UNDONE).exists():
        run.state = ImportState.REVERTED
    else:
        run.state = ImportState.FAULTY if rows.bad().exists() else ImportState.PLANNED
    run.lease, run.lease_until, run.stopped_because = "", None, ""
    run.save()


def _end_plan(run: ImportRun) -> None:
    door = signature().source
    settle(run)
    if door == "job":  # nobody waits for the page
        notify([run.owner], "import_planned", url=page_of(run), run=run.pk, rows=run.rows_planned)


# -- applying

_APPLIED = ["state", "action", "remarks", "address", "name", "after", "undo"]


def _apply(run: ImportRun, kind: Kind, pace: Pace) -> tuple[int, int]:
    return _each(run, kind, pace, run.rows.open().planned(), _apply_units, _APPLIED)


def _apply_units(resource: ServiceResource, units: list[Unit]) -> list[Unit]:
    if not resource.in_sets:
        return _one_by_one(resource, units, _apply_unit)
    _write_units(resource, units)
    return units


def _write_units(resource: ServiceResource, units: list[Unit]) -> None:
    """Write the things together, as far as that does exactly what their plans say; what does not is a conflict, and not written."""
    good = []
    for unit, outcome in zip(units, resource.read_units(_cells(units), writing=True), strict=True):
        if _keeps_promise(unit, outcome):
            good.append((unit, outcome))
        else:
            _write_conflict(unit, outcome)
    try:
        with transaction.atomic():
            resource.write([outcome for _unit, outcome in good])
    except (RuleError, PermissionDenied, IntegrityError, DataError) as refusal:
        if len(good) == 1:
            _write_conflict(*good[0], refusal)
            return
        middle = len(good) // 2
        for half in (good[:middle], good[middle:]):  # read again: what was half written is of no use
            _write_units(resource, [unit for unit, _outcome in half])
    else:
        for unit, outcome in good:
            _write_done(unit, outcome)


def _apply_unit(resource: ServiceResource, unit: Unit) -> None:
    outcome = None
    try:
        with transaction.atomic():
            outcome = resource.run_unit([cells_of(row) for row in unit])
            if not _keeps_promise(unit, outcome):
                raise _Undone
    except _Undone:
        _write_conflict(unit, outcome)
    else:
        _write_done(unit, outcome)


def _write_done(unit: Unit, outcome: Outcome) -> None:
    lead = unit[0]
    for row in unit:
        row.state = RowState.DONE
    lead.address, lead.name = outcome.planned.address, outcome.planned.name[:120]
    lead.after, lead.undo = outcome.planned.after, outcome.planned.undo


def _keeps_promise(unit: Unit, outcome: Outcome) -> bool:
    lead = unit[0]
    promised = Planned(lead.number, lead.action, lead.what, lead.label, lead.details, lead.counts, lead.seen).promise
    return not outcome.has_errors and outcome.planned is not None and _kept(outcome.planned) == promised


def _kept(planned: Planned) -> tuple:
    """The promise as the table keeps it."""
    action, what, label, *others = planned.promise
    return (str(action), what[:60], label[:300], *others)


def _write_conflict(unit: Unit, outcome: Outcome, refusal: Exception | None = None) -> None:
    wrong = [remark.message for remark in outcome.remarks if remark.level == "error"]
    if isinstance(refusal, RuleError | PermissionDenied):
        wrong.append(str(refusal))
    elif refusal:
        log.warning("import %s, row %s: the database refuses it: %s", unit[0].run_id, unit[0].number, refusal)
        wrong.append(_("it does not go with what is there already"))
    now = wrong or (outcome.planned.details if outcome.planned else [])
    message = _("This changed after the plan was made, and was not imported. It would now be: %(now)s. Plan again and decide anew.")
    remark = asdict(Remark(message % {"now": "; ".join(now) or _("the same")}, unit[0].number, level="error"))
    for row in unit:
        row.action = RowAction.CONFLICT
    unit[0].remarks = [*unit[0].remarks, remark]


def _end_apply(run: ImportRun) -> None:
    before = run.rows_done
    settle(run)
    if run.rows_done and (run.rows_done > before or run.applied_at is None):  # all of it may be conflicts
        run.applied_at = timezone.now()
        run.save(update_fields=["applied_at"])
    left = run.rows.open().count()
    kind = ("import_partly" if run.rows_done else "import_nothing") if left else "import_applied"
    notify([run.owner], kind, url=page_of(run), run=run.pk, rows=run.rows_done, left=left)
    log.info("import %s applied: %s rows, %s left", run.pk, run.rows_done, left)


# -- taking back


def _revert(run: ImportRun, kind: Kind, pace: Pace) -> tuple[int, int]:
    """Last first: what was made later may stand on what was made before."""
    leads = run.rows.filter(state=RowState.DONE, kept_because="").leading()
    return _each(run, kind, pace, leads, _revert_units, ["state", "kept_because"], backwards=True)


def _revert_units(resource: ServiceResource, units: list[Unit]) -> list[Unit]:
    return _one_by_one(resource, units, _revert_unit)


def _revert_unit(resource: ServiceResource, unit: Unit) -> None:
    lead = unit[0]
    try:
        with transaction.atomic(), resource.signing(lead.number):
            if lead.action != RowAction.SAME:
                resource.take_back(lead)
    except (RuleError, PermissionDenied) as refusal:
        lead.kept_because = str(refusal)[:500]
    else:
        for row in unit:
            row.state, row.kept_because = RowState.UNDONE, ""


def _end_revert(run: ImportRun) -> None:
    settle(run)
    if run.rows_done == 0:
        run.state, run.reverted_at = ImportState.REVERTED, timezone.now()
        run.save(update_fields=["state", "reverted_at"])
    kept = run.rows.exclude(kept_because="").count()
    notify([run.owner], "import_kept" if kept else "import_reverted", url=page_of(run), run=run.pk, kept=kept)
    log.info("import %s taken back, %s rows kept", run.pk, run.rows_done)


STEPS = {ImportState.PLANNING: _plan, ImportState.APPLYING: _apply, ImportState.REVERTING: _revert}
ENDS = {ImportState.PLANNING: _end_plan, ImportState.APPLYING: _end_apply, ImportState.REVERTING: _end_revert}


def page_of(run: ImportRun) -> str:
    return reverse("admin:imports_importrun_change", args=[run.pk])


def outlook(run: ImportRun) -> dict[str, Any]:
    """How far the work is: `percent`, and whether anybody seems to be at it."""
    total = max(run.steps_total, 1)
    waiting = run.lease_until is None or run.lease_until < timezone.now()
    return {"percent": min(100, 100 * run.steps_done // total), "done": run.steps_done, "total": run.steps_total, "is_waiting": waiting}
