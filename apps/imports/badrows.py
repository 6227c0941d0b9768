"""The rows that cannot be imported as a workbook with a reason beside each, and what comes back in it."""

import re
import tempfile
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.files import File
from django.utils import translation
from django.utils.translation import gettext as _
from openpyxl import Workbook

from apps.core.errors import InvalidInput
from apps.core.export import safe
from apps.core.reading import FORMULA_STARTS, is_blank, shown
from apps.imports.models import ImportRow, ImportRun
from apps.imports.preflight import check_size, refuse
from apps.imports.registry import Kind
from apps.imports.staging import as_typed, packed, unpacked
from apps.imports.tables import Broken, Sheet, normal, read_sheets, read_table

WAS = "#was"  # the column that says which row of the run it is
WHY = "#why"  # the column that says what is wrong; nothing is read from it


def columns_of(run: ImportRun, kind: Kind, part: int) -> list[str]:
    """The columns that the run's table had, and the needed ones that it should have had."""
    resource, present = kind.resources[part], run.tables[part]["columns"]
    return [name for name in resource.columns() if name in present or name in resource.required()]


def as_workbook(run: ImportRun, kind: Kind) -> Any:
    """An open temporary file: a sheet for each table, with the row's number, its cells as they are, and why it is not imported."""
    book = Workbook(write_only=True)
    for part, resource in enumerate(kind.resources):
        rows = run.rows.bad().filter(part=part)
        if not rows.exists():
            continue
        sheet = book.create_sheet(_sheet_name(run, kind, part))
        names = columns_of(run, kind, part)
        sheet.append([_row_header(run.pk), *(str(resource.columns()[name].label) for name in names), _why_header()])
        for row in rows.iterator(chunk_size=1000):
            sheet.append([row.number, *(_out(row.cells.get(name)) for name in names), safe(_reason(row))])
    if not book.worksheets:
        book.create_sheet(_("Rows")).append([_row_header(run.pk), _why_header()])
    stream = tempfile.TemporaryFile()  # noqa: SIM115  (the response closes it)
    book.save(stream)
    stream.seek(0)
    return stream


def _row_header(run: Any) -> str:
    """Names the run, so that the rows of one import are never taken for those of another."""
    return _("Row of import %(run)s") % {"run": run}


def _why_header() -> str:
    """No resource has a column of this name."""
    return _("Why it is not imported")


def _in_each_language(header: Callable[[], str]) -> list[str]:
    found = []
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            found.append(header())
    return found


def _sheet_name(run: ImportRun, kind: Kind, part: int) -> str:
    return (run.tables[part]["sheet"] or kind.resources[part].sheet_names[0])[:31]


def _out(value: Any) -> Any:
    cell = unpacked(value)
    return safe(str(cell) if isinstance(cell, Broken) else cell)


def _reason(row: ImportRow) -> str:
    told = [f"{one['column']}: {one['message']}" if one["column"] else one["message"] for one in row.remarks if one["level"] == "error"]
    return " ".join(told) or _("Another row that belongs to this one cannot be imported.")


def read_back(run: ImportRun, kind: Kind, uploaded: File) -> dict[int, dict[str, Any]]:
    """{pk of a row: {column: cell}} as a downloaded workbook says after somebody corrected it. Raises InvalidInput (field "file").

    A row that is not in it any more stays as it is; one whose cells were emptied has None in each.
    """
    check_size(uploaded.size)
    sheets = read_sheets(uploaded.read())
    found: dict[int, dict[str, Any]] = {}
    marks = {normal(header): WAS for header in _in_each_language(lambda: _row_header(run.pk))}
    marks |= {normal(header): WHY for header in _in_each_language(_why_header)}
    is_ours = False
    for part, resource in enumerate(kind.resources):
        name = normal(_sheet_name(run, kind, part))
        named = [sheet for sheet in sheets if normal(sheet.name) == name] or (sheets[:1] if len(kind.resources) == 1 else [])
        for sheet in named:
            table = read_table(sheet, resource.headers() | marks, [WAS])
            if not isinstance(table, list):
                is_ours = True
                _read_sheet(run, part, table.dataset.dict, found)
    if not is_ours:
        _refuse_rows_of_another(sheets)
        raise refuse(
            _("This file has no rows of this import. Download the rows, correct them in that file, and keep its first column."),
            "file_columns",
        )
    if not found:
        raise refuse(_("Nothing was changed in this file. Correct the wrong cells, save it, and upload it again."), "unchanged")
    return found


def _refuse_rows_of_another(sheets: list[Sheet]) -> None:
    """Say which import the rows are of, where the first cell of a sheet tells."""
    patterns = [normal(header).replace("0", r"(\d+)") for header in _in_each_language(lambda: _row_header(0))]
    for sheet in sheets:
        first = normal(sheet.rows[0][0]) if sheet.rows and sheet.rows[0] else ""
        for pattern in patterns:
            if other := re.fullmatch(pattern, first):
                raise refuse(_("These are the rows of import %(run)s. Upload the file there.") % {"run": other[1]}, "foreign_row")


def _read_sheet(run: ImportRun, part: int, rows: list[dict[str, Any]], found: dict[int, dict[str, Any]]) -> None:
    open_rows = {row.number: row for row in run.rows.open().filter(part=part)}
    for row in rows:
        number = row.pop(WAS)
        try:
            target = open_rows[int(str(number).removesuffix(".0"))]
        except (ValueError, KeyError):
            raise InvalidInput(
                _("Row %(got)s of the file is no row of this import that is still to be imported. Keep the numbers as they were.")
                % {"got": shown(number)},
                code="foreign_row",
                field="file",
            ) from None
        cells = {name: packed(_in(cell)) for name, cell in row.items() if not name.startswith("#")}
        changed = {name: cell for name, cell in cells.items() if as_typed(cell) != as_typed(target.cells.get(name))}
        if changed:
            found[target.pk] = changed


def _in(cell: Any) -> Any:
    """The cell without the quote that kept it from being a formula."""
    if isinstance(cell, str) and cell[:1] == "'" and cell[1:2] in FORMULA_STARTS and cell[1:]:
        return cell[1:]
    return None if is_blank(cell) else cell
