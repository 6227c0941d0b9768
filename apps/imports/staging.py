"""Rows of a file as they are kept between upload and apply: outside every domain table, as JSON."""

import datetime as dt
import gc
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import dropwhile, islice
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Max
from django.utils import timezone

from apps.imports.base import ServiceResource
from apps.imports.models import LEASE, ImportRow, ImportRun, RowAction, RowState
from apps.imports.registry import Kind
from apps.imports.tables import ROW, SPOILT, Broken, Table

BATCH = 500
BREAK = 0.11  # seconds


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


def stage(run: ImportRun, tables: Sequence[tuple[type[ServiceResource], Table]], kind: Kind, *, until: float | None = None) -> bool:
    """Keep the tables' rows and what is to be said of the file as a whole, in short transactions: as many as there are batches.

    The run is being read until all of it is there. Goes on behind the rows that are kept already; False when the moment `until`
    (of time.monotonic) came before the end.
    """
    parts = {kind.resources.index(resource): table for resource, table in tables}
    if not run.rows_total:
        _begin(run, parts, kind)
    is_going_on = False
    for part, table in parts.items():
        first: dict[Any, int] = {}
        headers, rows = table.dataset.headers, iter(table.dataset)
        last = run.rows.filter(part=part).aggregate(last=Max("number"))["last"]
        if last is not None:
            is_going_on, place = True, headers.index(ROW)
            rows = dropwhile(lambda row, place=place, last=last: row[place] <= last, rows)
        while batch := [dict(zip(headers, row, strict=True)) for row in islice(rows, BATCH)]:
            with uncollected(), transaction.atomic():
                resource = resource_for(run, kind, part)
                resource.prepare(batch)
                units = [first.setdefault(resource.unit_of(cells), cells[ROW]) for cells in batch]
                ImportRow.objects.bulk_create(
                    ImportRow(run=run, part=part, number=cells.pop(ROW), unit=unit, cells=_packed(cells))
                    for unit, cells in zip(units, batch, strict=True)
                )
                done = F("steps_done") + len(batch)
                ImportRun.objects.filter(pk=run.pk).update(steps_done=done, lease_until=timezone.now() + LEASE)
            if len(batch) == BATCH:
                let_others_write()
                if until is not None and time.monotonic() > until:
                    return False
    if is_going_on:  # who went on did not know which things the rows before were
        regroup(run, kind)
    return True


def _begin(run: ImportRun, parts: dict[int, Table], kind: Kind) -> None:
    """Keep what is to be said of the file as a whole."""
    run.tables = [
        {"sheet": parts[part].sheet.name, "columns": [name for name in parts[part].dataset.headers if name not in (ROW, SPOILT)]}
        if part in parts
        else {"sheet": "", "columns": []}
        for part in range(len(kind.resources))
    ]
    for part, table in parts.items():
        sheet = table.sheet.name if len(parts) > 1 else ""
        run.notes += [{**asdict(remark), "part": part, "sheet": sheet} for remark in table.remarks]
        run.rows_total += len(table.dataset)
    run.steps_total = run.rows_total
    run.save()


def _packed(cells: dict[str, Any]) -> dict[str, Any]:
    return {name: packed(cell) for name, cell in cells.items()}


@contextmanager
def uncollected() -> Iterator[None]:
    """For the time of one short transaction no garbage is looked for. Python looks after every 700 new objects, and goes through all
    rows that are being made, which are not garbage: a third of an apply's time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def let_others_write() -> None:
    """On SQLite, who waits to write looks every tenth of a second whether he may: without a break between two transactions of ours
    he would hardly ever find the database free.
    """
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        time.sleep(BREAK)


@contextmanager
def unmapped() -> Iterator[None]:
    """For the time of a long job, SQLite reads its file and does not map it: a page is made a little faster from a mapped file, but a job
    that goes through all of it would be seen to hold all of it in memory.
    """
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        was = cursor.execute("PRAGMA mmap_size").fetchone()[0]
        cursor.execute("PRAGMA mmap_size=0")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA mmap_size={was:d}")


def keep_rows(rows: Sequence[ImportRow], fields: Sequence[str]) -> None:
    """Write these fields of rows that are there: as one statement of a few hundred rows, several times faster than an update."""
    ImportRow.objects.bulk_create(rows, update_conflicts=True, unique_fields=["pk"], update_fields=fields, batch_size=BATCH)


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
    return sum(_regroup_part(run, kind, part, chosen) for part in range(len(kind.resources)))


@dataclass(slots=True)
class _Place:
    """A row without its cells: there may be a hundred thousand."""

    pk: int
    number: int
    was: int
    unit: int
    is_planned: bool


def _regroup_part(run: ImportRun, kind: Kind, part: int, chosen: set[int] | None) -> int:
    places = list(_places(run, kind, part))
    touched = {
        number
        for one in places
        if chosen is None or one.pk in chosen or not one.is_planned or one.was != one.unit
        for number in (one.was, one.unit)
    }
    changed = [one for one in places if one.was in touched or one.unit in touched]
    moved = {one.pk: one.unit for one in changed if one.was != one.unit}
    stale = [one.pk for one in changed if one.is_planned or one.pk in moved]
    for pks in batches(stale):
        ImportRow.objects.filter(pk__in=pks).update(action=RowAction.NONE)
    for pks in batches(list(moved)):
        rows = list(ImportRow.objects.filter(pk__in=pks))
        for row in rows:
            row.unit = moved[row.pk]
        keep_rows(rows, ["unit"])
    return len(changed)


def _places(run: ImportRun, kind: Kind, part: int) -> Iterator[_Place]:
    first: dict[Any, int] = {}
    after = 0
    while rows := list(run.rows.filter(part=part, state=RowState.OPEN, number__gt=after).order_by("number")[:BATCH]):
        cells, resource = [cells_of(row) for row in rows], resource_for(run, kind, part)
        with transaction.atomic():  # what the rows refer to is locked for a moment
            resource.prepare(cells)
        for row, cell in zip(rows, cells, strict=True):
            unit = first.setdefault(resource.unit_of(cell), row.number)
            yield _Place(row.pk, row.number, row.unit, unit, row.action != RowAction.NONE)
        after = rows[-1].number


def batches(pks: Sequence[int]) -> Iterator[Sequence[int]]:
    return (pks[start : start + BATCH] for start in range(0, len(pks), BATCH))
