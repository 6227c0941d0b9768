"""Looks at an uploaded file before anything parses it, and refuses in a moment what could hurt.

A workbook of a few kilobytes can hold a cell at row 1,048,576 or unpack to gigabytes; readers only find out by dying.
"""

import io
import re
import zipfile
import zlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from typing import Any
from xml.parsers import expat

from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.core.reading import shown

MEGABYTE = 1024 * 1024
MOST_BYTES = 20 * MEGABYTE
MOST_UNPACKED = 200 * MEGABYTE
MOST_TEXT = 50 * MEGABYTE  # characters of all cells, written out
MOST_RATIO = 100
MOST_PARTS = 500
MOST_ROWS = 100_000  # rows with values, below the header
MOST_COLUMNS = 200
LAST_ROW = 110_000  # the furthest cell: sheets carry some empty, formatted rows below their values
MOST_CELLS = 3_000_000  # of the area that a sheet spans: a single far cell makes a reader fill all of it
CHUNK = 256 * 1024
_NO_TABLE = (b"<", b"%PDF", b"MZ", b"\x7fELF", b"\x89PNG", b"\x1f\x8b", b"{\\rtf", b'{"', b"[{")
_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})")


def refuse(message: str, code: str) -> InvalidInput:
    return InvalidInput(message, code=code, field="file")


def strange() -> InvalidInput:
    return refuse(_("The workbook is built in a strange way. Copy the table into a new one."), "file_parts")


class Area:
    """How far the cells of a sheet reach. Refuses one that reaches further than is read, or spans more than a reader can fill."""

    def __init__(self) -> None:
        self._rows = self._columns = 0

    def reach(self, row: int, column: int) -> None:
        self._rows, self._columns = max(self._rows, row), max(self._columns, column)
        if row > LAST_ROW or column > MOST_COLUMNS:
            message = _(
                "The workbook has a cell in row %(row)s, column %(column)s; %(rows)s rows and %(columns)s columns are read. "
                "Copy the table into a new one."
            )
            raise refuse(message % {"row": row, "column": column, "rows": LAST_ROW, "columns": MOST_COLUMNS}, "file_range")
        if self._rows * self._columns > MOST_CELLS:
            message = _(
                "A sheet of the workbook spans %(rows)s rows and %(columns)s columns, which is too much. Copy the table into a new one."
            )
            raise refuse(message % {"rows": self._rows, "columns": self._columns}, "file_range")


def check_size(size: int | None) -> None:
    """Refuse an empty file and one above the limit; `size` is what the sender or the disk says."""
    if not size:
        raise refuse(_("The file is empty. Choose the file that holds the rows."), "file_empty")
    if size > MOST_BYTES:
        raise refuse(
            _("The file has %(size)s MB; at most %(most)s MB are taken. Split it.")
            % {"size": f"{ceil(size / MEGABYTE * 10) / 10:,.1f}".removesuffix(".0"), "most": MOST_BYTES // MEGABYTE},
            "file_too_large",
        )


def sniff(content: bytes) -> str:
    """What the bytes are, whatever the name says: "xlsx", "ods" or "csv". Raises InvalidInput for everything else."""
    if content.startswith(b"PK\x03\x04"):
        # An OpenDocument file says first, and unpacked, what it is.
        return "ods" if content[30:].startswith(b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet") else "xlsx"
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise refuse(_("This is an old or a password-protected workbook. Save it as .xlsx or .ods, without a password."), "file_type")
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    head = content[:4096]
    if not wide and (b"\0" in head or head.lstrip().startswith(_NO_TABLE)):
        raise refuse(_("This file is neither a workbook nor a table. Save the table as .xlsx, .ods or .csv."), "file_type")
    return "csv"


@dataclass
class Scan:
    """What the look into a workbook found. `broken` maps a sheet's part name (ods: its own name) to its cells without a usable value."""

    broken: dict[str, dict[tuple[int, int], str]] = field(default_factory=dict)


def check_workbook(content: bytes, look: Callable[[zipfile.ZipFile], "Scan"]) -> Scan:
    """Refuse a workbook whose sizes, parts or cell addresses are out of bounds. Reads every part once, in chunks."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_parts(archive, len(content))
            return look(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise refuse(_("The workbook is damaged or cut off. Open it, save it again and upload that."), "file_damaged") from error
    except expat.ExpatError as error:
        raise refuse(_("The workbook is damaged or cut off. Open it, save it again and upload that."), "file_damaged") from error


def _check_parts(archive: zipfile.ZipFile, size: int) -> None:
    parts = archive.infolist()
    names = {part.filename for part in parts}
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > MOST_PARTS or len(names) != len(parts):
        raise strange()
    if unpacked > MOST_UNPACKED or unpacked > MOST_RATIO * size:
        raise refuse(
            _("The workbook unpacks to %(size)s MB, which is too much. Copy the table into a new one.")
            % {"size": f"{unpacked / MEGABYTE:,.0f}"},
            "file_bomb",
        )
    if any(part.filename.lower().endswith("vbaproject.bin") for part in parts):
        raise refuse(_("The workbook holds macros. Save it as .xlsx, which has none."), "file_macros")


def scan_xlsx(archive: zipfile.ZipFile) -> Scan:
    """What `check_workbook` looks for in the parts of an xlsx."""
    if "xl/workbook.xml" not in archive.namelist():
        raise refuse(_("This file is no workbook. Save the table as .xlsx, .ods or .csv."), "file_type")
    scan, lengths, written = Scan(), array("I"), 0
    # The texts that cells share come first: a cell says only which one.
    for part in sorted(archive.infolist(), key=lambda part: not part.filename.lower().endswith("sharedstrings.xml")):
        is_xml = part.filename.lower().endswith((".xml", ".rels"))
        sheet = _SheetScan(lengths, MOST_TEXT - written) if is_xml else None
        with archive.open(part) as stream:
            while chunk := stream.read(CHUNK):
                if sheet:
                    sheet.feed(chunk)
        if sheet:
            sheet.close()
            written += sheet.written
            if sheet.broken:
                scan.broken[part.filename] = sheet.broken
            if sheet.strange_target:
                raise strange()
    return scan


class XmlWalk:
    """Walks one XML part of a workbook, element by element; one with a document type is refused."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def feed(self, chunk: bytes) -> None:
        self._parser.Parse(chunk, False)

    def close(self) -> None:
        self._parser.Parse(b"", True)

    def _doctype(self, *_arguments: Any) -> None:
        raise strange()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def _end(self, name: str) -> None:
        raise NotImplementedError


class _SheetScan(XmlWalk):
    """Refuses far cells, remembers formulas without a result and error values.

    `lengths` are those of the shared texts, which a part may add to; its cells may write out `most` characters of them.
    """

    def __init__(self, lengths: "array[int]", most: int) -> None:
        super().__init__()
        self.written, self._lengths, self._most = 0, lengths, most
        self._is_shared = False
        self.broken: dict[tuple[int, int], str] = {}
        self.strange_target = False
        self._row = self._column = 0
        self._area = Area()
        self._text: list[str] | None = None
        self._formula: str | None = None
        self._value = ""
        self._is_error = False

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if tag == "c":
            self._place(attributes.get("r"))
            self._formula, self._value, self._is_error = None, "", attributes.get("t") == "e"
            self._is_shared = attributes.get("t") == "s"
        elif tag == "row":
            self._row = int(attributes["r"]) if attributes.get("r", "").isdecimal() else self._row + 1
            self._column = 0
            self._check()
        elif tag in ("f", "v", "si"):
            self._text = []
            self._parser.CharacterDataHandler = self._text.append
        elif tag == "Relationship" and attributes.get("Type", "").endswith("/worksheet"):
            self.strange_target |= not attributes.get("Target", "").lower().endswith(".xml")

    def _end(self, name: str) -> None:
        tag = name.rpartition(" ")[2]
        if tag in ("f", "v") and self._text is not None:
            text, self._text = "".join(self._text), None
            self._parser.CharacterDataHandler = None
            if tag == "f":
                self._formula = text
            else:
                self._value = text
                self._count_shared(text)
        elif tag == "si" and self._text is not None:
            self._lengths.append(sum(map(len, self._text)))
            self._text, self._parser.CharacterDataHandler = None, None
        elif tag == "c" and (self._is_error or (self._formula is not None and not self._value.strip())):
            self.broken[self._row, self._column] = self._value if self._is_error else f"={self._formula}"
            self._formula = None

    def _count_shared(self, text: str) -> None:
        if self._is_shared and text.isdecimal() and int(text[:9]) < len(self._lengths):
            self.written += self._lengths[int(text[:9])]
            if self.written > self._most:
                raise strange()

    def _place(self, reference: str | None) -> None:
        if reference is None:
            self._column += 1
        elif found := _REFERENCE.fullmatch(reference):
            self._row, self._column = int(found[2]), 0
            for letter in found[1]:
                self._column = self._column * 26 + ord(letter) - 64
        else:
            raise refuse(_("The workbook has a cell %(cell)s, which no sheet has.") % {"cell": shown(reference)}, "file_range")
        self._check()

    def _check(self) -> None:
        self._area.reach(self._row, self._column)
