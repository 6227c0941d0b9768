"""The rows that cannot be imported as a workbook with a reason beside each, and what comes back in it."""

import tempfile
from typing import Any

from django.core.files import File
from django.utils.translation import gettext as _
from openpyxl import Workbook

from apps.core.errors import InvalidInput
from apps.core.export import safe
from apps.core.reading import FORMULA_STARTS, is_blank, shown
from apps.imports.models import ImportRow, ImportRun
from apps.imports.preflight import check_size, refuse
from apps.imports.registry import Kind
from apps.imports.staging import as_typed, packed, unpacked
from apps.imports.tables import Broken, normal, read_sheets, read_table

WAS = "#was"  # the column that says which row of the run it is
ROW_HEADERS = ("Row", "行号")


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
        sheet.append([_("Row"), *(str(resource.columns()[name].label) for name in names), _("Reason")])
        for row in rows.iterator(chunk_size=1000):
            sheet.append([row.number, *(_out(row.cells.get(name)) for name in names), safe(_reason(row))])
    if not book.worksheets:
        book.create_sheet(_("Rows")).append([_("Row"), _("Reason")])
    stream = tempfile.TemporaryFile()  # noqa: SIM115  (the response closes it)
    book.save(stream)
    stream.seek(0)
    return stream


def _sheet_name(run: ImportRun, kind: Kind, part: int) -> str:
    return (run.tables[part]["sheet"] or kind.resources[part].sheet_names[0])[:31]


def _out(value: Any) -> Any:
    cell = unpacked(value)
    return safe(str(cell) if isinstance(cell, Broken) else cell)


def _reason(row: ImportRow) -> str:
    told = [f"{one['column']}: {one['message']}" if one["column"] else one["message"] for one in row.remarks if one["level"] == "error"]
    return " ".join(told) or _("Another row of the same order cannot be imported.")


def read_back(run: ImportRun, kind: Kind, uploaded: File) -> dict[int, dict[str, Any]]:
    """{pk of a row: {column: cell}} as a downloaded workbook says after somebody corrected it. Raises InvalidInput (field "file")."""
    check_size(uploaded.size)
    sheets = read_sheets(uploaded.read())
    found: dict[int, dict[str, Any]] = {}
    for part, resource in enumerate(kind.resources):
        name = normal(_sheet_name(run, kind, part))
        named = [sheet for sheet in sheets if normal(sheet.name) == name] or (sheets[:1] if len(kind.resources) == 1 else [])
        for sheet in named:
            headers = resource.headers() | {normal(header): WAS for header in (*ROW_HEADERS, _("Row"))}
            table = read_table(sheet, headers, [WAS])
            if not isinstance(table, list):
                _read_sheet(run, part, table.dataset.dict, found)
    if not found:
        raise refuse(
            _("No corrected row was found. Download the rows, correct them in that file, and keep its column of row numbers."),
            "file_columns",
        )
    return found


def _read_sheet(run: ImportRun, part: int, rows: list[dict[str, Any]], found: dict[int, dict[str, Any]]) -> None:
    open_rows = {row.number: row for row in run.rows.open().filter(part=part)}
    for row in rows:
        number = row.pop(WAS)
        try:
            target = open_rows[int(str(number).removesuffix(".0"))]
        except (ValueError, KeyError):
            raise InvalidInput(
                _("Row %(got)s of the file is no row of this import that is still to be imported.") % {"got": shown(number)},
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
