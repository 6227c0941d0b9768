"""The verbs of an import: take a file in and plan it, correct rows, apply, stop, take back, and throw away what nobody applied."""

import hashlib
import logging
import posixpath
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.core.exceptions import PermissionDenied
from django.core.files import File
from django.core.files.base import ContentFile
from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from apps.core.context import acting
from apps.core.errors import InvalidInput, RuleError
from apps.core.reading import shown
from apps.imports.base import ServiceResource
from apps.imports.models import UNTOUCHED, ImportRow, ImportRun, ImportState, RowAction, RowState
from apps.imports.preflight import check_size, refuse, sniff
from apps.imports.registry import KINDS, Kind
from apps.imports.staging import regroup, stage
from apps.imports.tables import Reading, Remark, Sheet, Table, read_sheets
from apps.imports.working import work

log = logging.getLogger("docket.imports")
EXPIRES = timedelta(hours=24)  # a plan that nobody applied
FILE_KEPT = timedelta(days=90)  # of an applied import
AT_ONCE = 2.0  # seconds that a person waits for a page: what is left after them is done by a job
LONGEST_CELL = 5_000  # characters that a person types into one


def plan_import(
    resource: str,
    uploaded: File,
    *,
    by: Any,
    options: dict[str, Any] | None = None,
    reading: Reading | None = None,
    seconds: float | None = None,
    told: Callable[[ImportRun], None] | None = None,
) -> ImportRun:
    """Take a file in, keep its rows outside of every domain table, and say what importing them would do. The run is `by`'s own.

    What is not planned after so many `seconds` (None: as long as it takes) is planned by a job. Raises InvalidInput (field "file")
    for a file that is no safe, whole table with the needed columns: nothing is kept then. Problems of single rows are kept with them.
    """
    run = take_in(resource, uploaded, by=by, options=options, reading=reading)
    _begin(run, seconds=seconds, told=told)
    return run


def take_in(resource: str, uploaded: File, *, by: Any, options: dict[str, Any] | None = None, reading: Reading | None = None) -> ImportRun:
    """The first half of `plan_import`: the file is checked, read and kept; its rows wait to be planned."""
    kind = _kind_for(resource, by)
    check_size(uploaded.size)
    content = uploaded.read()
    tables = choose_tables(kind, read_sheets(content, reading))
    run = ImportRun(
        resource=kind.key,
        owner=by,
        file_name=bare_name(uploaded.name),
        sha256=hashlib.sha256(content).hexdigest(),
        options={**(options or {}), "language": translation.get_language()},
    )
    run.file.save(f"{uuid4().hex}.{sniff(content)}", ContentFile(content), save=False)
    kept = False
    try:
        with transaction.atomic():
            run.save()
            stage(run, tables, kind)
            _tell_repeat(run)
            run.steps_total = regroup(run, kind)
            run.save()
        kept = True
    finally:
        if not kept:
            run.file.delete(save=False)
    return run


def _tell_repeat(run: ImportRun) -> None:
    """Recognise a file that was imported before."""
    same = ImportRun.objects.filter(resource=run.resource, sha256=run.sha256, owner=run.owner).exclude(state__in=UNTOUCHED)
    earlier = same.order_by("-pk").first()
    if earlier is None:
        return
    when = timezone.localtime(earlier.applied_at or earlier.created_at).strftime("%Y-%m-%d %H:%M")
    message = _("You uploaded this very file before: import %(run)s of %(when)s, which is %(state)s.")
    told = message % {"run": earlier.pk, "when": when, "state": earlier.get_state_display()}
    run.notes = [{**asdict(Remark(told, level="warning")), "part": 0, "sheet": ""}, *run.notes]


def _begin(run: ImportRun, *, seconds: float | None = None, told: Callable[[ImportRun], None] | None = None) -> None:
    work(run.pk, seconds=seconds, told=told)
    run.refresh_from_db()


def correct_rows(run: ImportRun, corrections: Mapping[int, Mapping[str, str]], *, by: Any, seconds: float | None = None) -> ImportRun:
    """Write corrected cells, {pk of the row: {column: text}}, and plan those rows again with all that belong to them. Locks the run.

    Rows that are imported already, and columns that the resource does not have, are refused.
    """
    kind = _kind_for(run.resource, by)
    with acting(by):
        fresh = _locked(run, by)
        _refuse_unless_open(fresh)
        rows = {row.pk: row for row in fresh.rows.open().filter(pk__in=corrections)}
        if rows.keys() != corrections.keys():
            raise RuleError(_("A row of the form is imported already, or not of this import. Load the page again."), code="foreign_row")
        for pk, cells in corrections.items():
            _correct(rows[pk], cells, kind)
        ImportRow.objects.bulk_update(rows.values(), ["cells", "is_corrected"], batch_size=200)
        _plan_again(fresh, kind, rows)
    _begin(run, seconds=seconds)
    return run


def _correct(row: ImportRow, cells: Mapping[str, Any], kind: Kind) -> None:
    columns = kind.resources[row.part].columns()
    for name, value in cells.items():
        if name not in columns:
            raise InvalidInput(_("There is no column %(name)s.") % {"name": shown(name)}, code="unknown")
        if isinstance(value, str) and len(value) > LONGEST_CELL:
            raise InvalidInput(_("A cell holds at most %(most)s characters. Shorten it.") % {"most": LONGEST_CELL}, code="too_long")
        row.cells[name] = value if value not in ("", None) else None
    row.cells["#spoilt"] = ""
    row.is_corrected = True


def plan_again(run: ImportRun, *, by: Any, seconds: float | None = None) -> ImportRun:
    """Plan everything that is not imported anew: after a conflict, or when what the rows refer to was added meanwhile."""
    kind = _kind_for(run.resource, by)
    with acting(by):
        fresh = _locked(run, by)
        _refuse_unless_open(fresh)
        _plan_again(fresh, kind, None)
    _begin(run, seconds=seconds)
    return run


def _plan_again(run: ImportRun, kind: Kind, rows: Any) -> None:
    run.steps_total, run.steps_done, run.state = regroup(run, kind, rows), 0, ImportState.PLANNING
    run.options = {**run.options, "language": translation.get_language()}
    run.save()


def apply_import(
    run: ImportRun,
    *,
    by: Any,
    only_good: bool = False,
    seconds: float | None = None,
    told: Callable[[ImportRun], None] | None = None,
) -> ImportRun:
    """Do what the plan says, thing by thing. What would now do something else is a conflict and not written. Locks the run.

    `only_good` leaves out the rows that cannot be imported; they stay in the run, to be corrected. What is not done after `seconds`
    (None: as long as it takes) is done by a job. Raises RuleError when the run was applied before, has errors (without `only_good`),
    is too old, or is being worked on.
    """
    _kind_for(run.resource, by)
    with acting(by):
        fresh = _locked(run, by)
        _refuse_unless_ready(fresh, only_good)
        fresh.state, fresh.steps_done = ImportState.APPLYING, 0
        wanted = set(fresh.rows.open().planned().values_list("part", "unit"))
        fresh.steps_total = sum(place in wanted for place in fresh.rows.open().values_list("part", "unit"))
        fresh.save()
    _begin(fresh, seconds=seconds, told=told)
    return fresh


def stop(run: ImportRun, *, by: Any) -> ImportRun:
    """Stop the work after the thing that is being written now. What is imported stays; it can be gone on with, or taken back."""
    with acting(by):
        fresh = _locked(run, by)
        if not fresh.is_working:
            raise RuleError(_("Nothing is being done with import %(run)s, so there is nothing to stop.") % {"run": fresh.pk}, code="idle")
        fresh.state, fresh.stopped_because = ImportState.STOPPED, _("%(who)s stopped it.") % {"who": by}
        fresh.rows_done = fresh.rows.filter(state=RowState.DONE).count()
        fresh.lease, fresh.lease_until = "", None
        fresh.save()
    return fresh


def revert_import(run: ImportRun, *, by: Any, seconds: float | None = None, told: Callable[[ImportRun], None] | None = None) -> ImportRun:
    """Take back what the run did, last first. What something depends on, or was changed since, stays, and its row says why.

    Locks the run. What is not done after `seconds` (None: as long as it takes) is done by a job.
    """
    _kind_for(run.resource, by)
    with acting(by):
        fresh = _locked(run, by)
        _refuse_while_working(fresh)
        done = fresh.rows.filter(state=RowState.DONE)
        fresh.steps_total, fresh.steps_done = done.count(), 0
        if not fresh.steps_total:
            raise RuleError(_("Import %(run)s has nothing to take back.") % {"run": fresh.pk}, code="nothing_done")
        done.update(kept_because="")
        fresh.state = ImportState.REVERTING
        fresh.save()
    _begin(fresh, seconds=seconds, told=told)
    return fresh


def purge() -> int:
    """Throw away plans that nobody applied in a day, with their files, and the files of old imports; says how many."""
    now, gone = timezone.now(), 0
    for run in ImportRun.objects.filter(state__in=UNTOUCHED, created_at__lt=now - EXPIRES):
        with transaction.atomic():
            # Locked and asked again: somebody may be applying it this moment.
            if ImportRun.objects.filter(state__in=UNTOUCHED, pk=run.pk).locked().exists():
                run.file.delete(save=False)
                run.delete()
                gone += 1
    for run in ImportRun.objects.filter(created_at__lt=now - FILE_KEPT).exclude(state__in=UNTOUCHED).exclude(file=""):
        run.file.delete(save=False)
        ImportRun.objects.filter(pk=run.pk).update(file="")
        gone += 1
    return gone


def choose_tables(kind: Kind, sheets: Sequence[Sheet]) -> list[tuple[type[ServiceResource], Table]]:
    """Which sheet each resource reads: the one that has the most of its columns. Raises InvalidInput where none fits."""
    chosen: list[tuple[type[ServiceResource], Table]] = []
    left = list(sheets)
    lacking: list[str] = []
    pairs = sorted(((resource.fit(sheet), resource, sheet) for resource in kind.resources for sheet in sheets), key=lambda one: -one[0])
    for _score, resource, sheet in pairs:
        if sheet not in left or any(resource is other for other, _table in chosen):
            continue
        table = resource.table_of(sheet)
        if isinstance(table, Table):
            chosen.append((resource, table))
            left.remove(sheet)
        elif not lacking:
            lacking = [resource.columns()[name].expected() for name in table]
    for resource, sheet in [(resource, table.sheet) for resource, table in chosen] or [pair[1:] for pair in pairs[:1]]:
        if better := _better_kind(kind, resource, sheet):
            raise refuse(_("This looks like %(kind)s. Choose that, and upload the file again.") % {"kind": better.label}, "file_kind")
    if not chosen:
        raise refuse(
            _("No header row with the needed columns was found. Missing: %(columns)s.") % {"columns": ", ".join(lacking)}, "file_columns"
        )
    if not any(len(table.dataset) for _resource, table in chosen):
        raise refuse(_("The table has a header, but no rows."), "file_empty")
    return sorted(chosen, key=lambda pair: kind.resources.index(pair[0]))


def _better_kind(kind: Kind, resource: type[ServiceResource], sheet: Sheet) -> Kind | None:
    """Another kind that reads all it needs from the sheet, and more of its columns than `resource` does."""
    mine = resource.fit(sheet)
    for other in KINDS.values():
        if other is not kind and any(one.fit(sheet) > mine and isinstance(one.table_of(sheet), Table) for one in other.resources):
            return other
    return None


def bare_name(name: str | None) -> str:
    """The file's own name: no path of any system, no control signs, at most 200 characters."""
    bare = posixpath.basename((name or "").replace("\\", "/"))
    return "".join(sign for sign in bare if sign.isprintable())[-200:] or "?"


def totals(run: ImportRun) -> dict[str, int]:
    """The sums that the plan page shows: how many things of each action, and what they count."""
    counted: Counter[str] = Counter()
    for action, counts in run.rows.planned().values_list("action", "counts"):
        counted[action] += 1
        counted.update(counts)
    return dict(counted)


def _kind_for(resource: str, by: Any) -> Kind:
    kind = KINDS.get(resource)
    if kind is None:
        raise InvalidInput(_("%(what)s cannot be imported.") % {"what": shown(resource)}, field="resource", code="unknown")
    if not kind.allowed_to(by):
        raise PermissionDenied(_("You may not import this. Ask a supervisor or a planner."))
    return kind


def _locked(run: ImportRun, by: Any) -> ImportRun:
    fresh = ImportRun.objects.visible_to(by).locked().filter(pk=run.pk).first()
    if fresh is None or fresh.owner_id != by.pk:
        raise PermissionDenied(_("This is done by the person who uploaded the file."))
    return fresh


def _refuse_while_working(run: ImportRun) -> None:
    if run.is_working:
        raise RuleError(
            _("Import %(run)s is %(state)s. Wait for the end, or stop it first.") % {"run": run.pk, "state": run.get_state_display()},
            code="working",
        )


def _refuse_unless_open(run: ImportRun) -> None:
    _refuse_while_working(run)
    if run.state == ImportState.APPLIED:
        raise _applied_already(run)
    if run.state == ImportState.REVERTED:
        raise RuleError(_("Import %(run)s was taken back. Upload the file again.") % {"run": run.pk}, code="reverted")
    if run.state in UNTOUCHED and run.created_at < timezone.now() - EXPIRES:
        raise RuleError(_("Import %(run)s is older than a day. Upload the file again.") % {"run": run.pk}, code="expired")


def _applied_already(run: ImportRun) -> RuleError:
    when = timezone.localtime(run.applied_at).strftime("%Y-%m-%d %H:%M")
    return RuleError(
        _("Import %(run)s was applied already, on %(when)s. Nothing was done again.") % {"run": run.pk, "when": when},
        code="already_applied",
    )


def _refuse_unless_ready(run: ImportRun, only_good: bool) -> None:
    _refuse_unless_open(run)
    rows = run.rows.open()
    if rows.filter(action=RowAction.NONE).exists():
        raise RuleError(_("Rows of import %(run)s are not planned yet. Plan again first.") % {"run": run.pk}, code="not_planned")
    if not only_good and rows.bad().exists():
        raise RuleError(
            _("Import %(run)s has rows that cannot be imported. Correct them, or import only the good ones.") % {"run": run.pk},
            code="has_errors",
        )
    if not rows.planned().exists():
        raise RuleError(_("Import %(run)s has no row that can be imported. Correct them first.") % {"run": run.pk}, code="nothing_good")
