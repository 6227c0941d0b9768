"""The file of a run: its sheets, and the tables that the resources read in them."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.imports.base import ServiceResource
from apps.imports.matching import Match, propose, tables_of
from apps.imports.models import ImportProfile, ImportRun
from apps.imports.preflight import refuse
from apps.imports.registry import KINDS, Kind
from apps.imports.tables import Reading, Sheet, Table, read_sheets


def sheets_of(run: ImportRun) -> list[Sheet]:
    """The file of a run that waits for its columns, read again."""
    with run.file.open("rb") as stream:
        return read_sheets(stream.read(), Reading(*run.options.get("reading", ())))


def kept_matches(matches: Sequence[Match]) -> list[list[Any]]:
    """How the columns were matched, as a run keeps it."""
    return [[match.part, match.sheet_at, match.header_at, match.chosen] for match in matches]


def tables_for(run: ImportRun, kind: Kind) -> list[tuple[type[ServiceResource], Table]]:
    """The tables of a file that was taken in, read again in the same way. Raises InvalidInput."""
    sheets = sheets_of(run)
    if kept := run.options.get("matches"):
        columns = {str(part): chosen for part, _sheet, _header, chosen in kept}
        return tables_of(propose(kind, sheets, profile=columns, looks={part: (sheet, header) for part, sheet, header, _chosen in kept}))
    if profile := ImportProfile.objects.filter(pk=run.options.get("profile")).first():
        return tables_of(propose(kind, sheets, profile=profile.columns))
    return choose_tables(kind, sheets)


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
    """The kind that reads all it needs from the sheet and the most of its columns, if that is another one than `kind`."""
    fits = [
        (one.fit(sheet), other)
        for other in KINDS.values()
        for one in other.resources
        if other is not kind and isinstance(one.table_of(sheet), Table)
    ]
    most, best = max(fits, key=lambda pair: pair[0], default=(0, None))
    return best if most > resource.fit(sheet) else None
