"""Which column of a file is which column of a resource, where its headers do not say so, or the person knows better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.core.reading import is_blank, shown
from apps.imports.base import ServiceResource
from apps.imports.preflight import refuse
from apps.imports.registry import Kind
from apps.imports.tables import HEADER_WITHIN, Sheet, Table, find_header, normal, read_table

Columns = Mapping[str, str]  # key of a header -> column of the resource, "" for one that is left out


@dataclass
class Match:
    """How one resource reads one sheet: `columns` has, for each cell of the header, its key, text, first value and column."""

    part: int
    resource: type[ServiceResource]
    sheet_at: int
    sheet: Sheet
    header_at: int
    columns: list[dict[str, str]]

    @property
    def what(self) -> str:
        return str(self.resource._meta.model._meta.verbose_name_plural)

    @property
    def places(self) -> dict[int, str]:
        return {place: one["column"] for place, one in enumerate(self.columns) if one["column"]}

    @property
    def missing(self) -> list[str]:
        """The needed columns that nothing is chosen for, as sentences name them."""
        columns = self.resource.columns()
        return [columns[name].expected() for name in self.resource.required() if name not in self.places.values()]

    @property
    def chosen(self) -> dict[str, str]:
        return {one["key"]: one["column"] for one in self.columns}


def keys_of(header: Sequence[Any]) -> list[str]:
    """What each cell of a header is known by: its text, or `#3` where it has none or repeats another."""
    keys: list[str] = []
    for place, cell in enumerate(header, 1):
        key = "" if is_blank(cell) else normal(cell)[:100]
        keys.append(key if key and key not in keys else f"#{place}")
    return keys


def propose(
    kind: Kind, sheets: Sequence[Sheet], *, profile: Mapping[str, Columns] | None = None, looks: Mapping[int, tuple[int, int]] | None = None
) -> list[Match]:
    """A match for each resource that a sheet is left for. `looks` says which sheet and header row (index) the person wants to see,
    `profile` has the columns of each part; what it does not know is recognised as ever.
    """
    matches, taken = [], set()
    for part, resource in enumerate(kind.resources):
        known = (profile or {}).get(str(part), {})
        wanted = (looks or {}).get(part)
        if wanted and 0 <= wanted[0] < len(sheets) and 0 <= wanted[1] < max(len(sheets[wanted[0]].rows), 1):
            sheet_at, header_at = wanted
        else:
            left = [at for at, sheet in enumerate(sheets) if at not in taken and any(map(_fills, sheet.rows))]
            if not left:
                continue
            sheet_at = max(left, key=lambda at: (_known(sheets[at], known)[0], resource.fit(sheets[at]), -at))
            header_at = _header(sheets[sheet_at], resource, known)
        taken.add(sheet_at)
        matches.append(_match(part, resource, sheet_at, sheets[sheet_at], header_at, known))
    return matches


def _fills(row: Sequence[Any]) -> int:
    return sum(not is_blank(cell) for cell in row)


def _known(sheet: Sheet, known: Columns) -> tuple[int, int]:
    """How many of the known headers the best row has, and which row that is."""
    counts = [(sum(key in known for key in keys_of(row)), -at) for at, row in enumerate(sheet.rows[:HEADER_WITHIN])]
    best = max(counts, default=(0, 0))
    return best[0], -best[1]


def _header(sheet: Sheet, resource: type[ServiceResource], known: Columns) -> int:
    """The row that says the most: by the profile, by the usual headers, else the first that is about as full as the fullest."""
    number, at = _known(sheet, known)
    if number:
        return at
    at, found = find_header(sheet, resource.headers())
    if found:
        return at
    fills = [_fills(row) for row in sheet.rows[:HEADER_WITHIN]]
    return next((at for at, fill in enumerate(fills) if fill * 3 >= max(fills) * 2), 0)


def _match(part: int, resource: type[ServiceResource], sheet_at: int, sheet: Sheet, header_at: int, known: Columns) -> Match:
    header = sheet.rows[header_at] if sheet.rows else []
    usual = resource.headers()
    columns, taken = [], {name for key, name in known.items() if name and key in keys_of(header)}
    for place, (key, cell) in enumerate(zip(keys_of(header), header, strict=True)):
        column = known.get(key)
        if column is None:
            guess = "" if is_blank(cell) else usual.get(normal(cell), "")
            column = "" if guess in taken else guess
            taken.add(column)
        first = next((row[place] for row in sheet.rows[header_at + 1 :] if place < len(row) and not is_blank(row[place])), "")
        if is_blank(cell) and is_blank(first):
            column = ""
        columns.append({"key": key, "header": "" if is_blank(cell) else shown(cell), "first": shown(first), "column": column})
    return Match(part, resource, sheet_at, sheet, header_at, columns)


def tables_of(matches: Sequence[Match]) -> list[tuple[type[ServiceResource], Table]]:
    """The tables as they were matched; a resource that no column was chosen for is left out. Raises InvalidInput (field "file")."""
    tables = []
    for match in matches:
        names = list(match.places.values())
        if not names:
            continue
        if match.missing:
            raise refuse(_("Choose a column of the file for: %(columns)s.") % {"columns": ", ".join(match.missing)}, "file_columns")
        double = next((name for name in names if names.count(name) > 1), None)
        if double:
            label = match.resource.columns()[double].label
            raise refuse(_("%(column)s is chosen for several columns of the file. Keep one of them.") % {"column": label}, "file_columns")
        table = read_table(match.sheet, {}, match.resource.required(), chosen=(match.header_at, match.places))
        tables.append((match.resource, table))
    if not tables:
        raise refuse(_("No column was chosen. Say what the columns of the file are."), "file_columns")
    if not any(len(table.dataset) for _resource, table in tables):
        raise refuse(_("The table has a header, but no rows."), "file_empty")
    return tables
