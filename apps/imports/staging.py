"""Rows of a file as they are kept between upload and apply: outside every domain table, as JSON."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from apps.imports.base import ServiceResource
from apps.imports.models import ImportRow, ImportRun, RowAction, RowState
from apps.imports.registry import Kind
from apps.imports.tables import ROW, SPOILT, Broken, Table

BATCH = 500


def packed(value: Any) -> Any:
    """A cell as JSON keeps it: text, numbers and nothing as they are, days and broken cells with their kind."""
    if isinstance(value, dt.datetime):
        return {"time": value.isoformat()}
    if isinstance(value, dt.date):
        return {"day": value.isoformat()}
    if isinstance(value, Broken):
        return {"broken": value.text}
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def unpacked(value: Any) -> Any:
    """The cell that `packed` kept."""
    if not isinstance(value, dict):
        return value
    ((kind, text),) = value.items()
    return {"time": dt.datetime.fromisoformat, "day": dt.date.fromisoformat, "broken": Broken}[kind](text)


def as_typed(value: Any) -> str:
    """A kept cell as a person would type it."""
    cell = unpacked(value)
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        cell = cell.date()
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return "" if cell is None else str(cell)


def stage(run: ImportRun, tables: Sequence[tuple[type[ServiceResource], Table]], kind: Kind) -> None:
    """Keep the tables' rows and what is to be said of the file as a whole. As many queries as there are batches."""
    parts = {kind.resources.index(resource): table for resource, table in tables}
    run.tables = [
        {"sheet": parts[part].sheet.name, "columns": [name for name in parts[part].dataset.headers if name not in (ROW, SPOILT)]}
        if part in parts
        else {"sheet": "", "columns": []}
        for part in range(len(kind.resources))
    ]
    several = len(tables) > 1
    for part, table in parts.items():
        sheet = table.sheet.name if several else ""
        run.notes += [{**asdict(remark), "part": part, "sheet": sheet} for remark in table.remarks]
        rows = [
            ImportRow(run=run, part=part, number=number, unit=number, cells={name: packed(cell) for name, cell in cells.items()})
            for number, cells in ((row.pop(ROW), row) for row in table.dataset.dict)
        ]
        ImportRow.objects.bulk_create(rows, batch_size=BATCH)
        run.rows_total += len(rows)


def cells_of(row: ImportRow) -> dict[str, Any]:
    """The row as a resource reads it."""
    return {SPOILT: "", **{name: unpacked(value) for name, value in row.cells.items()}, ROW: row.number}


def resource_for(run: ImportRun, kind: Kind, part: int) -> ServiceResource:
    return kind.resources[part](by=run.owner, run=run, options=run.options)


def regroup(run: ImportRun, kind: Kind, again: Iterable[int] | None = None) -> int:
    """Find out anew which rows are one thing, and mark those to be planned: the rows `again` (None: all), with all that belong to
    the same things now or did before. Rows that are imported stay as they are. Says how many are to be planned.
    """
    chosen = None if again is None else set(again)
    waiting = 0
    for part in range(len(kind.resources)):
        rows = list(run.rows.filter(part=part, state=RowState.OPEN))
        if rows:
            waiting += _regroup_part(rows, resource_for(run, kind, part), chosen)
    return waiting


def _regroup_part(rows: list[ImportRow], resource: ServiceResource, chosen: set[int] | None) -> int:
    cells = [cells_of(row) for row in rows]
    resource.prepare(cells)
    first: dict[Any, int] = {}
    units = {row.pk: first.setdefault(resource.unit_of(cell), row.number) for row, cell in zip(rows, cells, strict=True)}
    touched = {
        number
        for row in rows
        if chosen is None or row.pk in chosen or row.action == RowAction.NONE or row.unit != units[row.pk]
        for number in (row.unit, units[row.pk])
    }
    changed = [row for row in rows if row.unit in touched or units[row.pk] in touched]
    # A new run's rows are as they should be, but for the second lines of orders.
    stale = [row for row in changed if row.action != RowAction.NONE or row.unit != units[row.pk]]
    for row in stale:
        row.unit, row.action = units[row.pk], RowAction.NONE
    ImportRow.objects.bulk_update(stale, ["unit", "action"], batch_size=BATCH)
    return len(changed)
