"""The verbs of an import: take a file in and plan it, correct rows, apply, stop, take back, and throw away what nobody applied."""

import hashlib
import logging
import posixpath
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, astuple
from datetime import timedelta
from enum import Enum
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
from apps.core.jobs import enqueue
from apps.core.reading import shown
from apps.core.validation import validated
from apps.imports.base import ServiceResource
from apps.imports.files import choose_tables, kept_matches
from apps.imports.matching import Match, propose, tables_of
from apps.imports.models import GOOD, LEASE, UNTOUCHED, ImportProfile, ImportRow, ImportRun, ImportState, RowAction, RowState
from apps.imports.preflight import check_size, sniff
from apps.imports.registry import KINDS, Kind
from apps.imports.staging import regroup, stage
from apps.imports.tables import Reading, Remark, Sheet, Table, read_sheets
from apps.imports.working import work

log = logging.getLogger("docket.imports")


class Ask(Enum):
    """Whether the person is asked which column is which."""

    NEVER = "never"
    NEEDED = "needed"
    ALWAYS = "always"


EXPIRES = timedelta(hours=24)  # a plan that nobody applied
FILE_KEPT = timedelta(days=90)  # of an applied import
READ_AT_ONCE = 5_000  # rows that are kept while a person waits for the page
AT_ONCE = 2.0  # seconds that a person waits for a page: what is left after them is done by a job
LONGEST_CELL = 5_000  # characters that a person types into one


def plan_import(
    resource: str,
    uploaded: File,
    *,
    by: Any,
    options: dict[str, Any] | None = None,
    reading: Reading | None = None,
    profile: ImportProfile | None = None,
    ask: Ask = Ask.NEVER,
    seconds: float | None = None,
    told: Callable[[ImportRun], None] | None = None,
) -> ImportRun:
    """Take a file in, keep its rows outside of every domain table, and say what importing them would do. The run is `by`'s own.

    What is not planned after so many `seconds` (None: as long as it takes) is planned by a job. Raises InvalidInput (field "file")
    for a file that is no safe, whole table with the needed columns: nothing is kept then. Problems of single rows are kept with them.
    `profile` says which column is which. `ask`: whether the person may be asked for that, or wants to be: the run then waits for
    `match_columns`.
    """
    is_page = seconds is not None
    run = take_in(resource, uploaded, by=by, options=options, reading=reading, profile=profile, ask=ask, is_page=is_page)
    if run.state != ImportState.MATCHING:
        _begin(run, seconds=seconds, told=told)
    return run


def take_in(
    resource: str,
    uploaded: File,
    *,
    by: Any,
    options: dict[str, Any] | None = None,
    reading: Reading | None = None,
    profile: ImportProfile | None = None,
    ask: Ask = Ask.NEVER,
    is_page: bool = False,
) -> ImportRun:
    """The first half of `plan_import`: the file is checked, read and kept; its rows wait to be planned. Where a page waits for that
    (`is_page`), the rows of a long file are left for a job to keep.
    """
    kind = _kind_for(resource, by)
    check_size(uploaded.size)
    content = uploaded.read()
    sheets = read_sheets(content, reading)
    tables = None if ask == Ask.ALWAYS else _tables(kind, sheets, profile, ask)
    run = ImportRun(
        resource=kind.key,
        owner=by,
        file_name=bare_name(uploaded.name),
        sha256=hashlib.sha256(content).hexdigest(),
        options={
            **(options or {}),
            "language": translation.get_language(),
            "reading": astuple(reading or Reading()),
            "profile": profile.pk if profile else None,
        },
        state=ImportState.READING,
        lease="page",
        lease_until=timezone.now() + LEASE,
    )
    run.file.save(f"{uuid4().hex}.{sniff(content)}", ContentFile(content), save=False)
    kept = False
    try:
        _tell_repeat(run)
        if tables is None:
            run.state, run.lease, run.lease_until = ImportState.MATCHING, "", None
            run.save()
        else:
            _keep(run, tables, kind, is_page=is_page)
        kept = True
    finally:
        if not kept:
            run.file.delete(save=False)
            if run.pk:
                run.delete()
    return run


def _keep(run: ImportRun, tables: Sequence[tuple[type[ServiceResource], Table]], kind: Kind, *, is_page: bool) -> None:
    """Keep the rows, for them to be planned; or, where a page would wait too long for that, leave the file to a job."""
    number = sum(len(table.dataset) for _resource, table in tables)
    if is_page and number > READ_AT_ONCE:
        run.steps_total = number
    else:
        stage(run, tables, kind)
        run.state = ImportState.PLANNING
    run.lease, run.lease_until = "", None
    run.save()


def _tables(kind: Kind, sheets: Sequence[Sheet], profile: ImportProfile | None, ask: Ask) -> list | None:
    """What each resource reads, or None where the person has to say it."""
    try:
        return tables_of(propose(kind, sheets, profile=profile.columns)) if profile else choose_tables(kind, sheets)
    except InvalidInput as refusal:
        if ask == Ask.NEVER or refusal.code != "file_columns":
            raise
        return None


def match_columns(
    run: ImportRun, matches: Sequence[Match], *, by: Any, save_as: str = "", is_shared: bool = False, seconds: float | None = None
) -> ImportRun:
    """Say which column of the file is which, and plan it; `save_as` keeps that as a profile of this name. Locks the run."""
    kind = _kind_for(run.resource, by)
    with acting(by):
        fresh = _locked(run, by)
        if fresh.state != ImportState.MATCHING:
            raise RuleError(_("The columns of import %(run)s are chosen already.") % {"run": fresh.pk}, code="matched")
        tables = tables_of(matches)
        if save_as.strip():
            save_profile(kind, save_as, matches, by=by, is_shared=is_shared)
        fresh.state, fresh.lease, fresh.lease_until = ImportState.READING, "page", timezone.now() + LEASE
        fresh.options = {**fresh.options, "matches": kept_matches(matches)}
        fresh.save(update_fields=["state", "lease", "lease_until", "options"])
    try:
        _keep(fresh, tables, kind, is_page=seconds is not None)
    except RuleError:  # to be asked again
        fresh.rows.all().delete()
        fresh.state, fresh.lease, fresh.lease_until, fresh.rows_total = ImportState.MATCHING, "", None, 0
        fresh.save()
        raise
    _begin(fresh, seconds=seconds)
    return fresh


def save_profile(kind: Kind, name: str, matches: Sequence[Match], *, by: Any, is_shared: bool = False) -> ImportProfile:
    """Keep how the columns were matched, under a name; one's own profile of this name is changed. Raises InvalidInput (save_as)."""
    with acting(by):
        own = ImportProfile.objects.locked().filter(owner=by, resource=kind.key, name=name.strip()).first()
        profile = own or ImportProfile(owner=by, resource=kind.key, name=name.strip())
        # Cells without a header are known by their place: only those that were chosen are worth remembering.
        profile.columns = {
            str(match.part): {key: column for key, column in match.chosen.items() if column or not key.startswith("#")}
            for match in matches
            if match.places
        }
        profile.is_shared = profile.is_shared or is_shared  # its own page ends that
        try:
            validated(profile)
        except InvalidInput as refusal:
            raise InvalidInput(str(refusal), code=refusal.code, field="save_as") from refusal
        profile.save()
        return profile


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
    if run.state == ImportState.READING:
        enqueue("imports.work", run.pk)
    else:
        work(run.pk, seconds=seconds, told=told)
        run.refresh_from_db()


def correct_rows(run: ImportRun, corrections: Mapping[int, Mapping[str, str]], *, by: Any, seconds: float | None = None) -> ImportRun:
    """Write corrected cells, {pk of the row: {column: text}}, and plan those rows again with all that belong to them. Locks the run.

    A row whose cells would all be blank is left out as it stands; `take_in_left_out` takes it in again. Rows that are imported
    already, and columns that the resource does not have, are refused; so is leaving out all there is.
    """
    kind = _kind_for(run.resource, by)
    with acting(by):
        fresh = _locked(run, by)
        _refuse_unless_open(fresh)
        rows = {row.pk: row for row in fresh.rows.open().filter(pk__in=corrections)}
        if rows.keys() != corrections.keys():
            raise RuleError(_("A row of the form is imported already, or not of this import. Load the page again."), code="foreign_row")
        beside: set[int] = set()
        for pk, cells in corrections.items():
            row, part, unit = rows[pk], rows[pk].part, rows[pk].unit
            _correct(row, cells, kind)
            if row.state == RowState.LEFT:
                beside |= set(fresh.rows.open().filter(part=part, unit=unit).values_list("pk", flat=True))
        ImportRow.objects.bulk_update(rows.values(), ["cells", "is_corrected", "state", "unit", "action", "remarks"], batch_size=200)
        if not fresh.rows.exclude(state=RowState.LEFT).exists():
            message = _(
                "All rows of this import would be left out. Nothing is to be done then: what nobody applies is thrown away after a day."
            )
            raise RuleError(message, code="all_left_out")
        _plan_again(fresh, kind, beside.union(rows))
    _begin(run, seconds=seconds)
    return run


def _correct(row: ImportRow, cells: Mapping[str, Any], kind: Kind) -> None:
    columns = kind.resources[row.part].columns()
    wanted = {name: row.cells.get(name) for name in columns} | dict(cells)
    if all(value in ("", None) for value in wanted.values()):
        row.state, row.unit, row.action, row.remarks = RowState.LEFT, 0, RowAction.NONE, []
        return
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


def take_in_left_out(run: ImportRun, *, by: Any, seconds: float | None = None) -> ImportRun:
    """Take the rows in again that were left out, as they stood, and plan them with all that belong to them. Locks the run."""
    kind = _kind_for(run.resource, by)
    with acting(by):
        fresh = _locked(run, by)
        _refuse_unless_open(fresh)
        left = list(fresh.rows.left_out().values_list("pk", flat=True))
        if not left:
            raise RuleError(_("No row of import %(run)s is left out.") % {"run": fresh.pk}, code="none_left_out")
        fresh.rows.left_out().update(state=RowState.OPEN)
        _plan_again(fresh, kind, left)
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
        fresh.steps_total = fresh.rows.open().filter(action__in=GOOD).count()
        fresh.save()
    _begin(fresh, seconds=seconds, told=told)
    return fresh


def stop(run: ImportRun, *, by: Any) -> ImportRun:
    """Stop the work after the thing that is being written now. What is imported stays; it can be gone on with, or taken back."""
    with acting(by):
        fresh = _locked(run, by)
        if not fresh.is_working:
            raise RuleError(_("Nothing is being done with import %(run)s, so there is nothing to stop.") % {"run": fresh.pk}, code="idle")
        if fresh.state == ImportState.READING:
            raise RuleError(
                _("The file of import %(run)s is still being read. Stop it when it is planned.") % {"run": fresh.pk}, code="reading"
            )
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


def bare_name(name: str | None) -> str:
    """The file's own name: no path of any system, no control signs, at most 200 characters."""
    bare = posixpath.basename((name or "").replace("\\", "/"))
    return "".join(sign for sign in bare if sign.isprintable())[-200:] or "?"


def totals(run: ImportRun) -> dict[str, int]:
    """The sums that the plan page shows: how many things of each action, and what they count."""
    counted: Counter[str] = Counter()
    for action, counts in run.rows.planned().order_by().values_list("action", "counts").iterator(chunk_size=2000):
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
    if run.state == ImportState.MATCHING:
        raise RuleError(_("Choose the columns of import %(run)s first.") % {"run": run.pk}, code="not_matched")
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
