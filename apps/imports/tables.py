"""From a checked file to rows: sheets of a workbook or one text table, the header found, blank and total rows left out."""

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

from defusedxml import ElementTree
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy
from import_export.formats import base_formats
from python_calamine import CalamineError, CalamineWorkbook
from tablib import Dataset

from apps.core.reading import is_blank, plain, shown
from apps.imports.opendocument import scan_ods
from apps.imports.preflight import MOST_COLUMNS, MOST_ROWS, check_size, check_workbook, refuse, scan_xlsx, sniff

HEADER_WITHIN = 30  # rows from the top
TOTALS = {"合计", "总计", "小计", "共计", "total", "totals", "sum", "grand total", "subtotal"}
SEPARATORS = {
    ",": pgettext_lazy("separator", "comma"),
    ";": pgettext_lazy("separator", "semicolon"),
    "\t": pgettext_lazy("separator", "tab"),
    "|": pgettext_lazy("separator", "bar"),
}
ENCODINGS = {"utf-8-sig": "UTF-8", "gb18030": "GBK", "utf-16": "UTF-16"}
ROW, SPOILT = "#row", "#spoilt"  # columns of the dataset that no file has: where the row stood, and what is wrong with it as a whole


@dataclass(frozen=True)
class Broken:
    """A cell whose value the file does not hold: a formula that nobody computed, or an error like #REF!."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Remark:
    """Something about the file that the person should know. A row with an error is not imported.

    `name` is the column's own name, `column` what people call it; `nearest` is the valid value that was probably meant.
    """

    message: str
    row: int | None = None
    column: str = ""
    value: str = ""
    level: str = "note"
    name: str = ""
    nearest: str = ""


@dataclass(frozen=True)
class Reading:
    """How a text file is to be read: a key of ENCODINGS and one of SEPARATORS, "" for what is recognised."""

    encoding: str = ""
    separator: str = ""


@dataclass
class Sheet:
    """The cells of one sheet as they stand: `rows[0]` is row 1."""

    name: str
    rows: list[list[Any]]
    remarks: list[Remark] = field(default_factory=list)
    is_ragged: bool = False  # a text file: a row's own number of cells means something


@dataclass
class Table:
    """A sheet read for one resource: `dataset` has the resource's column names, and ROW and SPOILT."""

    sheet: Sheet
    dataset: Dataset
    remarks: list[Remark]
    score: int


def normal(header: Any) -> str:
    """A header as it is compared: narrow, lower case, without blanks, dots, colons and stars."""
    return re.sub(r"[\s.:*_/-]", "", plain(header)).casefold()


class Workbook(base_formats.XLSX):
    """xlsx by calamine, after the preflight."""

    look = staticmethod(scan_xlsx)

    def parts(self, content: bytes) -> dict[str, str]:
        """Sheet name -> the part of the archive that holds it."""
        return _parts_by_name(content)

    def sheets(self, content: bytes, _reading: Reading) -> list[Sheet]:
        scan = check_workbook(content, self.look)
        try:
            with CalamineWorkbook.from_filelike(io.BytesIO(content)) as workbook:
                parts = self.parts(content)
                names = [sheet.name for sheet in workbook.sheets_metadata if str(sheet.typ).endswith("WorkSheet")]
                return [self._sheet(workbook, name, scan.broken.get(parts.get(name, name), {})) for name in names]
        except (CalamineError, ElementTree.ParseError, KeyError) as error:
            raise refuse(_("The workbook is damaged or cut off. Open it, save it again and upload that."), "file_damaged") from error

    @staticmethod
    def _sheet(workbook: CalamineWorkbook, name: str, broken: dict[tuple[int, int], str]) -> Sheet:
        rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
        rows = [[None if cell == "" else cell for cell in row] for row in rows]
        for (row, column), text in broken.items():
            rows += [[] for _missing in range(row - len(rows))]
            cells = rows[row - 1]
            cells += [None] * (column - len(cells))
            cells[column - 1] = Broken(text)
        return Sheet(name, rows)


class OpenDocument(Workbook):
    """ods by calamine, after the preflight."""

    look = staticmethod(scan_ods)

    def parts(self, _content: bytes) -> dict[str, str]:
        """All sheets are in one part, by their names."""
        return {}


def _parts_by_name(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        book, links = (ElementTree.fromstring(archive.read(name)) for name in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels"))
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    return {sheet.get("name", ""): _part(targets.get(_relation(sheet), "")) for sheet in book.iter() if sheet.tag.endswith("}sheet")}


def _relation(sheet: Element) -> str | None:
    return next((value for name, value in sheet.attrib.items() if name.endswith("}id")), None)


def _part(target: str) -> str:
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


class TextTable(base_formats.CSV):
    """Separated text: UTF-8 with or without its mark, UTF-16, or GBK as a Chinese Excel writes it; comma, semicolon, tab or bar.

    Both are recognised, unless the person says what they are.
    """

    def sheets(self, content: bytes, reading: Reading) -> list[Sheet]:
        text, encoding = self._decode(content, reading.encoding)
        separator = reading.separator or self._separator(text)
        named = {"encoding": ENCODINGS[encoding], "separator": SEPARATORS[separator]}
        remarks = [Remark(_("Read as text in %(encoding)s, cells separated by %(separator)s.") % named)]
        if text and not text.endswith(("\n", "\r")):
            remarks.append(
                Remark(_("The file does not end with a line break: it may be cut off. Compare the counts and sums below."), level="warning")
            )
        try:
            lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
            rows = []
            for cells in lines:
                # A quoted cell may span lines: rows are counted as a spreadsheet shows them, not as lines.
                rows.append([cell if cell.strip() else None for cell in cells])
                if len(rows) > MOST_ROWS + HEADER_WITHIN + 1000:
                    raise too_many_rows()
        except csv.Error as error:
            raise refuse(
                _("The table breaks off or has a stray quotation mark near line %(line)s. Save it again as .csv or .xlsx.")
                % {"line": lines.line_num},
                "file_damaged",
            ) from error
        return [Sheet("", rows, remarks, is_ragged=True)]

    @staticmethod
    def _decode(content: bytes, chosen: str) -> tuple[str, str]:
        """The text, and the encoding that it is in."""
        encodings = [chosen] if chosen else ["utf-8-sig", "gb18030"]
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encodings = ["utf-16"]
        elif content.startswith(codecs.BOM_UTF8):
            encodings = ["utf-8-sig"]
        for encoding in encodings:
            try:
                text = content.decode(encoding)
            except UnicodeError:
                continue
            if "\0" not in text:
                return text, encoding
        raise refuse(_("The text of this file cannot be read. Save it as .xlsx, or as .csv in UTF-8."), "file_encoding")

    @staticmethod
    def _separator(text: str) -> str:
        """The sign that cuts the first lines into the most columns, the same number in each."""

        def regularity(sign: str) -> tuple[int, int]:
            counts = [line.count(sign) for line in text.splitlines()[:HEADER_WITHIN] if line.strip()]
            most = max(counts, default=0)
            return (counts.count(most) if most else 0, most)

        return max(SEPARATORS, key=regularity)


FORMATS = {"xlsx": Workbook, "ods": OpenDocument, "csv": TextTable}


def too_many_rows() -> Exception:
    return refuse(_("The table has more than %(most)s rows. Split it.") % {"most": MOST_ROWS}, "file_too_long")


def read_sheets(content: bytes, reading: Reading | None = None) -> list[Sheet]:
    """The sheets of an uploaded file. Raises InvalidInput (field "file") for whatever is no safe, whole table."""
    check_size(len(content))
    sheets = FORMATS[sniff(content)]().sheets(content, reading or Reading())
    if not any(not is_blank(cell) for sheet in sheets for row in sheet.rows for cell in row):
        raise refuse(_("The file has no rows. Choose the file that holds them."), "file_empty")
    return sheets


def find_header(sheet: Sheet, headers: dict[str, str]) -> tuple[int, dict[int, str]]:
    """The row index that has the most known headers, and its cell index -> column name. `headers`: normal form -> column name."""
    best: tuple[int, dict[int, str]] = (0, {})
    for index, row in enumerate(sheet.rows[:HEADER_WITHIN]):
        found = {place: headers[normal(cell)] for place, cell in enumerate(row) if isinstance(cell, str) and normal(cell) in headers}
        if len(set(found.values())) > len(set(best[1].values())):
            best = (index, found)
    return best


def read_table(
    sheet: Sheet, headers: dict[str, str], required: Iterable[str], *, chosen: tuple[int, dict[int, str]] | None = None
) -> Table | list[str]:
    """The sheet's rows under the names of the resource's columns, or the names of the required columns that it lacks.

    `chosen` is what `find_header` would find, where somebody said it.
    """
    header_at, places = chosen or find_header(sheet, headers)
    missing = [name for name in required if name not in places.values()]
    if missing:
        return missing
    remarks = list(sheet.remarks)
    names = list(places.values())
    doubles = {name for name in names if names.count(name) > 1}
    places = {place: name for place, name in places.items() if name not in list(places.values())[: list(places).index(place)]}
    for name in sorted(doubles):
        message = _("Several columns can be read as %(column)s: the first one counts.") % {"column": name}
        remarks.append(Remark(message, header_at + 1, name, level="warning"))
    header = sheet.rows[header_at]
    unknown = [shown(cell) for place, cell in enumerate(header) if not is_blank(cell) and place not in places]
    if unknown:
        remarks.append(Remark(_("Columns that are not read: %(columns)s.") % {"columns": ", ".join(unknown)}, header_at + 1))
    if any(not is_blank(cell) for row in sheet.rows[:header_at] for cell in row):
        remarks.append(Remark(_("The header is in row %(row)s; what stands above it was left out.") % {"row": header_at + 1}))
    dataset = Dataset(headers=[*places.values(), ROW, SPOILT])
    _fill(dataset, sheet, header_at, places, remarks)
    return Table(sheet, dataset, remarks, len(places))


def _fill(dataset: Dataset, sheet: Sheet, header_at: int, places: dict[int, str], remarks: list[Remark]) -> None:
    header, blank = sheet.rows[header_at], 0
    width = max(place + 1 for place, cell in enumerate(header) if not is_blank(cell) or place in places)
    last = max((index for index, row in enumerate(sheet.rows) if any(not is_blank(cell) for cell in row)), default=0)
    for index in range(header_at + 1, last + 1):
        row, number = sheet.rows[index], index + 1
        filled = [cell for cell in row if not is_blank(cell)]
        if not filled:
            blank += 1
        elif normal(filled[0]) in TOTALS:
            remarks.append(Remark(_("The row of totals was left out."), number))
        elif [normal(cell) for cell in filled] == [normal(cell) for cell in header if not is_blank(cell)]:
            remarks.append(Remark(_("The header stands here again; the row was left out."), number))
        else:
            if len(dataset) >= MOST_ROWS:
                raise too_many_rows()
            dataset.append([*_cells(row, places), number, _spoilt(row, width, sheet, is_last=index == last)])
    if blank:
        remarks.append(Remark(_("Blank rows left out: %(count)s.") % {"count": blank}))


def _cells(row: Sequence[Any], places: dict[int, str]) -> list[Any]:
    return [row[place] if place < len(row) else None for place in places]


def _spoilt(row: Sequence[Any], width: int, sheet: Sheet, *, is_last: bool) -> str:
    """Why a row of a text file cannot be trusted as a whole, or ""."""
    if not sheet.is_ragged:
        return ""
    if any(not is_blank(cell) for cell in row[width:]) or len(row) > MOST_COLUMNS:
        return _("The row has %(got)s cells, the header %(expected)s: put cells that hold the separator in quotation marks.") % {
            "got": len(row),
            "expected": width,
        }
    if len(row) < width and is_last and any(remark.level == "warning" for remark in sheet.remarks):
        return _("The last row has %(got)s of %(expected)s cells: the file is cut off.") % {"got": len(row), "expected": width}
    return ""
