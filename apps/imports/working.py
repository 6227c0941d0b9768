"""The work on a run: planning, applying and taking back, in short transactions that can end after any of them.

One loop for all three. The rows say what is left to do, so that whoever comes after a kill goes on where it stopped; a thing
(all rows of an order) is written in one savepoint, and its rows are marked in the same transaction.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from apps.core.context import acting, signature
from apps.core.errors import RuleError
from apps.core.jobs import enqueue
from apps.imports.base import Outcome, Planned, ServiceResource
from apps.imports.models import WORKING, ImportRow, ImportRun, ImportState, RowAction, RowState
from apps.imports.registry import KINDS, Kind
from apps.imports.staging import cells_of, resource_for
from apps.imports.tables import Remark
from apps.notices.services import notify

log = logging.getLogger("docket.imports")
JOB_SECONDS = 45  # of one job; the rest is for the next, long before the queue would take it for lost
CHUNK_SECONDS = 0.25  # of one transaction: on SQLite everybody else's writes wait for it
CHUNK_UNITS = 25
LEASE = timedelta(seconds=60)

Unit = list[ImportRow]


class _Undone(Exception):
    """Takes back what was done inside the savepoint."""


def work(pk: int, *, seconds: float | None = None, told: Callable[[ImportRun], None] | None = None) -> None:
    """Go on with run `pk` until its work is done, or until `seconds` are up: the rest is then queued as a job. Does nothing where
    somebody else is at it. `told` hears of every step.
    """
    lease = uuid4().hex
    if not ImportRun.objects.working().filter(_free(), pk=pk).update(lease=lease, lease_until=timezone.now() + LEASE):
        return
    until, is_left = time.monotonic() + seconds if seconds is not None else None, False
    try:
        while _step(pk, lease):
            if told:
                told(ImportRun.objects.get(pk=pk))
            if until and time.monotonic() > until:
                is_left = True
                break
    finally:
        ImportRun.objects.filter(pk=pk, lease=lease).update(lease="", lease_until=None)
    if is_left:
        enqueue("imports.work", pk)


def _free() -> Q:
    return Q(lease_until=None) | Q(lease_until__lt=timezone.now())


def left_behind() -> list[int]:
    """Runs that should be worked on and are not: their job was lost, or its worker was killed."""
    return list(ImportRun.objects.working().filter(_free()).values_list("pk", flat=True))


def _step(pk: int, lease: str) -> bool:
    """One short transaction of the work; False when nothing is left to do, or it is not ours to do any more."""
    with transaction.atomic():
        run = ImportRun.objects.select_related("owner").locked().filter(pk=pk, lease=lease, state__in=WORKING).first()
        if run is None:
            return False
        kind = KINDS.get(run.resource)
        if kind is None or not kind.allowed_to(run.owner):
            _stop(run, _("You may not import this any more. Ask a supervisor or a planner."))
            return False
        with acting(run.owner), translation.override(run.options.get("language")):
            done = STEPS[run.state](run, kind)
            if not done:
                ENDS[run.state](run)
                return False
        run.steps_done += done
        run.lease_until = timezone.now() + LEASE
        run.save(update_fields=["steps_done", "lease_until"])
    return True


def _stop(run: ImportRun, reason: str) -> None:
    run.state, run.stopped_because, run.lease, run.lease_until = ImportState.STOPPED, reason[:300], "", None
    run.save()


def _units(run: ImportRun, leads: Any) -> tuple[int, list[Unit]]:
    """The next few things of one table: which table, and their rows. `leads` are the first rows of things, in the order of work."""
    found = list(leads.values_list("part", "unit")[:CHUNK_UNITS])
    if not found:
        return 0, []
    part = found[0][0]
    order = [unit for one, unit in found if one == part]
    rows: dict[int, Unit] = defaultdict(list)
    for row in run.rows.filter(part=part, unit__in=order).order_by("number"):
        rows[row.unit].append(row)
    return part, [rows[unit] for unit in order]


def _each(
    run: ImportRun, kind: Kind, leads: Any, do: Callable[[ServiceResource, Unit], None], fields: Sequence[str], *, prepared: bool = True
) -> int:
    """Do it to the next few things, for a moment; says how many rows that were."""
    part, units = _units(run, leads)
    if not units:
        return 0
    resource = resource_for(run, kind, part)
    if prepared:
        resource.prepare([cells_of(row) for unit in units for row in unit])
    until, touched = time.monotonic() + CHUNK_SECONDS, []
    for unit in units:
        do(resource, unit)
        touched += unit
        if time.monotonic() > until:
            break
    ImportRow.objects.bulk_update(touched, fields, batch_size=200)
    return len(touched)


# -- planning

_PLANNED = ["understood", "action", "what", "label", "details", "counts", "remarks", "seen"]


def _plan(run: ImportRun, kind: Kind) -> int:
    return _each(run, kind, run.rows.open().leading().filter(action=RowAction.NONE), _plan_unit, _PLANNED)


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
    run.rows_planned = sum(counts.get("lines", 1) for counts in rows.planned().values_list("counts", flat=True))
    done, opened = rows.filter(state=RowState.DONE).count(), rows.open().count()
    run.rows_done = done
    if rows.open().filter(action=RowAction.NONE).exists():
        run.state = ImportState.STOPPED
    elif done:
        run.state = ImportState.PARTLY if opened else ImportState.APPLIED
    elif not opened:
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


def _apply(run: ImportRun, kind: Kind) -> int:
    return _each(run, kind, run.rows.open().planned(), _apply_unit, _APPLIED)


def _apply_unit(resource: ServiceResource, unit: Unit) -> None:
    """Write one thing, if that does exactly what its plan says; else it is a conflict, and nothing of it is written."""
    lead, outcome = unit[0], None
    promised = Planned(lead.number, lead.action, lead.what, lead.label, lead.details, lead.counts, lead.seen).promise
    try:
        with transaction.atomic():
            outcome = resource.run_unit([cells_of(row) for row in unit])
            if outcome.has_errors or outcome.planned is None or _kept(outcome.planned) != promised:
                raise _Undone
    except _Undone:
        _write_conflict(unit, outcome)
    else:
        for row in unit:
            row.state = RowState.DONE
        lead.address, lead.name = outcome.planned.address, outcome.planned.name[:120]
        lead.after, lead.undo = outcome.planned.after, outcome.planned.undo


def _kept(planned: Planned) -> tuple:
    """The promise as the table keeps it."""
    action, what, label, *others = planned.promise
    return (str(action), what[:60], label[:300], *others)


def _write_conflict(unit: Unit, outcome: Outcome) -> None:
    wrong = [remark.message for remark in outcome.remarks if remark.level == "error"]
    now = wrong or (outcome.planned.details if outcome.planned else [])
    message = _("This changed after the plan was made, and was not imported. It would now be: %(now)s. Plan again and decide anew.")
    remark = asdict(Remark(message % {"now": "; ".join(now) or _("the same")}, unit[0].number, level="error"))
    for row in unit:
        row.action = RowAction.CONFLICT
    unit[0].remarks = [*unit[0].remarks, remark]


def _end_apply(run: ImportRun) -> None:
    run.applied_at = timezone.now()
    settle(run)
    left = run.rows_total - run.rows_done
    kind = "import_partly" if left else "import_applied"
    notify([run.owner], kind, url=page_of(run), run=run.pk, rows=run.rows_done, left=left)
    log.info("import %s applied: %s rows, %s left", run.pk, run.rows_done, left)


# -- taking back


def _revert(run: ImportRun, kind: Kind) -> int:
    """Last first: what was made later may stand on what was made before."""
    leads = run.rows.filter(state=RowState.DONE, kept_because="").leading().order_by("-part", "-unit")
    return _each(run, kind, leads, _revert_unit, ["state", "kept_because"], prepared=False)


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
