"""Plan an import, apply it once, and throw away what nobody applied. The plan is the import itself, rolled back."""

import hashlib
import logging
import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.core.exceptions import PermissionDenied
from django.core.files import File
from django.core.files.base import ContentFile
from django.db import transaction
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from apps.core.context import acting
from apps.core.errors import InvalidInput, RuleError
from apps.core.reading import shown
from apps.imports.base import ServiceResource
from apps.imports.models import ImportRun, ImportState
from apps.imports.preflight import check_size, refuse, sniff
from apps.imports.registry import KINDS, Kind
from apps.imports.tables import Sheet, Table, read_sheets
from apps.notices.services import notify

log = logging.getLogger("docket.imports")
EXPIRES = timedelta(hours=24)  # a plan that nobody applied
FILE_KEPT = timedelta(days=90)  # of an applied import


@dataclass
class Outcome:
    """What one pass over a file did or would do."""

    plan: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0

    @property
    def has_errors(self) -> bool:
        return any(problem["level"] == "error" for problem in self.problems)

    def promise(self) -> list[dict[str, Any]]:
        """The plan without what only applying makes known."""
        return [{key: value for key, value in entry.items() if key not in ("address", "name")} for entry in self.plan]


class _Undone(Exception):
    """Carries an outcome out of the transaction that it takes back."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def plan_import(resource: str, uploaded: File, *, by: Any, options: dict[str, Any] | None = None) -> ImportRun:
    """Take a file in and say what importing it would do. The run is `by`'s own.

    Raises InvalidInput (field "file") for a file that is no safe, whole table with the needed columns: nothing is kept then.
    Problems of single rows are kept in the run, whose state is then `faulty`.
    """
    kind = _kind_for(resource, by)
    check_size(uploaded.size)
    content = uploaded.read()
    sheets = read_sheets(content)
    tables = choose_tables(kind, sheets)
    run = ImportRun(
        resource=kind.key,
        owner=by,
        state=ImportState.FAULTY,
        file_name=bare_name(uploaded.name),
        sha256=hashlib.sha256(content).hexdigest(),
        options={**(options or {}), "language": translation.get_language()},
    )
    run.file.save(f"{uuid4().hex}.{sniff(content)}", ContentFile(content), save=False)
    planned = False
    try:
        run.save()
        _keep(run, _rehearse(run, kind, tables, by))
        planned = True
    finally:
        if not planned:
            _discard(run)
    return run


def apply_import(run: ImportRun, *, by: Any) -> ImportRun:
    """Do what the plan says: all of it or nothing, once. Locks the run.

    Raises RuleError when it was applied before, has errors, is too old, or when the same file would now do something else:
    the run then shows the new plan, and nothing is changed.
    """
    kind = _kind_for(run.resource, by)
    tables = choose_tables(kind, _sheets_again(run))
    with acting(by):
        fresh = ImportRun.objects.visible_to(by).locked().filter(pk=run.pk).first()
        _refuse_unless_ready(fresh, by)
        try:
            with transaction.atomic():
                outcome = _work(fresh, kind, tables, by)
                if outcome.has_errors or outcome.promise() != fresh.plan:
                    raise _Undone(outcome)
        except _Undone as undone:
            _keep(fresh, undone.outcome)
        else:
            _finish(fresh, outcome)
    if fresh.state != ImportState.APPLIED:
        raise RuleError(
            _("Something changed since this plan was made, and nothing was imported. Look at the new plan and decide again."),
            code="plan_changed",
        )
    log.info("import %s applied: %s rows", fresh.pk, fresh.rows_planned)
    return fresh


def purge() -> int:
    """Throw away plans that nobody applied in a day, with their files, and the files of old imports; says how many."""
    now, gone = timezone.now(), 0
    for run in ImportRun.objects.exclude(state=ImportState.APPLIED).filter(created_at__lt=now - EXPIRES):
        with transaction.atomic():
            # Locked and asked again: somebody may be applying it this moment.
            if ImportRun.objects.exclude(state=ImportState.APPLIED).filter(pk=run.pk).locked().exists():
                _discard(run)
                gone += 1
    for run in ImportRun.objects.filter(state=ImportState.APPLIED, applied_at__lt=now - FILE_KEPT).exclude(file=""):
        run.file.delete(save=False)
        run.save(update_fields=["file"])
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
    if not chosen:
        raise refuse(
            _("No header row with the needed columns was found. Missing: %(columns)s.") % {"columns": ", ".join(lacking)}, "file_columns"
        )
    if not any(len(table.dataset) for _resource, table in chosen):
        raise refuse(_("The table has a header, but no rows."), "file_empty")
    return sorted(chosen, key=lambda pair: kind.resources.index(pair[0]))


def bare_name(name: str | None) -> str:
    """The file's own name: no path of any system, no control signs, at most 200 characters."""
    bare = posixpath.basename((name or "").replace("\\", "/"))
    return "".join(sign for sign in bare if sign.isprintable())[-200:] or "?"


def totals(run: ImportRun) -> dict[str, int]:
    """The sums that the plan page shows: how many things of each action, and what they count."""
    counted: Counter[str] = Counter()
    for entry in run.plan:
        counted[entry["action"]] += 1
        counted.update(entry["counts"])
    return dict(counted)


def _kind_for(resource: str, by: Any) -> Kind:
    kind = KINDS.get(resource)
    if kind is None:
        raise InvalidInput(_("%(what)s cannot be imported.") % {"what": shown(resource)}, field="resource", code="unknown")
    if not kind.allowed_to(by):
        raise PermissionDenied(_("You may not import this. Ask a supervisor or a planner."))
    return kind


def _work(run: ImportRun, kind: Kind, tables: Sequence[tuple[type[ServiceResource], Table]], by: Any) -> Outcome:
    """Import the tables in the caller's transaction. What cannot be imported is in the outcome's problems.

    Told in the language of the first plan, so that the second can be compared with it.
    """
    outcome = Outcome()
    for resource_class, table in tables:
        resource = resource_class(by=by, run=run, options=run.options)
        with translation.override(run.options.get("language")):
            resource.run_table(table)
        sheet = table.sheet.name if len(tables) > 1 else ""
        outcome.rows += len(table.dataset)
        outcome.plan += [{"sheet": sheet, **asdict(entry)} for entry in sorted(resource.plan, key=lambda entry: entry.row)]
        outcome.problems += [{"sheet": sheet, **asdict(remark)} for remark in sorted(resource.remarks, key=lambda one: one.row or 0)]
    return outcome


def _rehearse(run: ImportRun, kind: Kind, tables: Sequence[tuple[type[ServiceResource], Table]], by: Any) -> Outcome:
    try:
        with transaction.atomic():
            raise _Undone(_work(run, kind, tables, by))
    except _Undone as undone:
        return undone.outcome


def _keep(run: ImportRun, outcome: Outcome) -> None:
    run.state = ImportState.FAULTY if outcome.has_errors else ImportState.PLANNED
    run.plan, run.problems, run.rows_total = outcome.promise(), outcome.problems, outcome.rows
    run.rows_planned = sum(entry["counts"].get("lines", 1) for entry in outcome.plan)
    run.save()


def _finish(run: ImportRun, outcome: Outcome) -> None:
    run.state, run.applied_at, run.plan = ImportState.APPLIED, timezone.now(), outcome.plan
    run.save()
    notify([run.owner], "import_applied", url=reverse("admin:imports_importrun_change", args=[run.pk]), run=run.pk, rows=run.rows_planned)


def _sheets_again(run: ImportRun) -> list[Sheet]:
    """The stored file's sheets, if it is still the file that was planned."""
    if run.state == ImportState.APPLIED:
        raise _applied_already(run)
    try:
        with run.file.open("rb") as stored:
            content = stored.read()
    except (FileNotFoundError, ValueError) as error:
        raise RuleError(_("The file of import %(run)s is gone. Upload it again.") % {"run": run.pk}, code="file_gone") from error
    if hashlib.sha256(content).hexdigest() != run.sha256:
        raise RuleError(
            _("The file of import %(run)s is not the one that was planned. Upload it again.") % {"run": run.pk}, code="file_changed"
        )
    return read_sheets(content)


def _applied_already(run: ImportRun) -> RuleError:
    when = timezone.localtime(run.applied_at).strftime("%Y-%m-%d %H:%M")
    return RuleError(
        _("Import %(run)s was applied already, on %(when)s. Nothing was done again.") % {"run": run.pk, "when": when},
        code="already_applied",
    )


def _refuse_unless_ready(run: ImportRun | None, by: Any) -> None:
    if run is None or run.owner_id != by.pk:
        raise PermissionDenied(_("An import is applied by the person who uploaded the file."))
    if run.state == ImportState.APPLIED:
        raise _applied_already(run)
    if run.created_at < timezone.now() - EXPIRES:
        raise RuleError(_("Import %(run)s is older than a day. Upload the file again.") % {"run": run.pk}, code="expired")
    if run.state != ImportState.PLANNED:
        raise RuleError(_("Import %(run)s has errors. Correct the file and upload it again.") % {"run": run.pk}, code="has_errors")


def _discard(run: ImportRun) -> None:
    run.file.delete(save=False)
    if run.pk:
        run.delete()
