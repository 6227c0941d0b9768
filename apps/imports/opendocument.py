"""Looks into an OpenDocument table (.ods) before anything parses it.

Its cells have no addresses: a few bytes say that a cell or a row stands there a million times over. Empty runs at the end are what
every office writes, and cost nothing; one that would put a value out of bounds is refused.
"""

import zipfile
from typing import Any

from django.utils.translation import gettext as _

from apps.imports.preflight import CHUNK, MOST_TEXT, Area, Scan, XmlWalk, refuse, strange

CONTENT, MANIFEST = "content.xml", "META-INF/manifest.xml"
CELLS = ("table-cell", "covered-table-cell")
MOST_BROKEN = 20_000  # cells without a usable value that are remembered
_MOST_DIGITS = 9


def scan_ods(archive: zipfile.ZipFile) -> Scan:
    """What `check_workbook` looks for in the parts of an ods. Reads every part once, in chunks; raises InvalidInput for what could hurt."""
    names = archive.namelist()
    if CONTENT not in names:
        raise refuse(_("This file is no workbook. Save the table as .xlsx, .ods or .csv."), "file_type")
    if any(name.startswith(("Basic/", "Scripts/")) for name in names):
        raise refuse(_("The workbook holds macros. Save it without them, as .xlsx or .ods."), "file_macros")
    found: dict[str, dict[tuple[int, int], str]] = {}
    # What says that the rest is encrypted comes first.
    for name in sorted(names, key=lambda name: name != MANIFEST):
        walk = _Walk(found if name == CONTENT else {}) if name.lower().endswith((".xml", ".rdf")) else None
        with archive.open(name) as stream:
            while chunk := stream.read(CHUNK):
                if walk:
                    walk.feed(chunk)
        if walk:
            walk.close()
    return Scan({name: broken for name, broken in found.items() if broken})


class _Walk(XmlWalk):
    """Walks one part, counting where its cells stand once all repetitions are written out."""

    def __init__(self, found: dict[str, dict[tuple[int, int], str]]) -> None:
        super().__init__()
        self.found = found
        self._broken: dict[tuple[int, int], str] = {}
        self._row = self._column = self._row_repeats = 0
        self._area = Area()
        self._written = 0  # characters of text, with every repetition
        self._row_text = 0
        self._holds = False  # the row has a value
        self._cell: dict[str, Any] | None = None
        self._texts: list[str] = []

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if tag in CELLS:
            self._open_cell(attributes)
        elif tag == "table-row":
            self._row_repeats, self._column, self._row_text, self._holds = _repeats(attributes, "rows"), 0, 0, False
        elif tag == "table":
            self._row, self._area = 0, Area()
            self._broken = self.found.setdefault(_attribute(attributes, "table:name"), {})
        elif tag == "encryption-data":
            raise refuse(_("This workbook is protected by a password. Save it without one."), "file_type")

    def _open_cell(self, attributes: dict[str, str]) -> None:
        formula = _attribute(attributes, "table:formula")
        kind = _attribute(attributes, "office:value-type")
        self._cell = {
            "repeats": _repeats(attributes, "columns"), "formula": formula, "kind": kind,
            "is_error": _attribute(attributes, "calcext:value-type") == "error",
            "value": next((value for key, value in attributes.items() if key.startswith(_SPACES["office"]) and key.endswith("value")), ""),
        }  # fmt: skip
        self._texts = []
        self._parser.CharacterDataHandler = self._texts.append
        if formula or kind or self._cell["value"]:
            self._holds = True
            self._area.reach(self._row + self._row_repeats, self._column + self._cell["repeats"])

    def _end(self, name: str) -> None:
        tag = name.rpartition(" ")[2]
        if tag in CELLS and self._cell is not None:
            self._close_cell(self._cell)
            self._cell, self._parser.CharacterDataHandler = None, None
        elif tag == "table-row":
            if self._holds:  # empty rows are not written out
                self._written += self._row_text * self._row_repeats
                if self._written > MOST_TEXT:
                    raise strange()
            self._row += self._row_repeats

    def _close_cell(self, cell: dict[str, Any]) -> None:
        text = "".join(self._texts)
        self._row_text += (len(text) + len(cell["value"])) * cell["repeats"]
        has_result = cell["kind"] and (cell["value"] or text.strip())
        if cell["is_error"] or (cell["formula"] and not has_result):
            told = text.strip() if cell["is_error"] else f"={cell['formula'].rpartition(':=')[2]}"
            if len(self._broken) + self._row_repeats * cell["repeats"] > MOST_BROKEN:
                raise strange()
            for row in range(self._row_repeats):
                for column in range(cell["repeats"]):
                    self._broken[self._row + row + 1, self._column + column + 1] = told or "#?"
        self._column += cell["repeats"]


_SPACES = {
    "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
    "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
    "calcext": "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0",
}


def _attribute(attributes: dict[str, str], name: str) -> str:
    space, _colon, short = name.partition(":")
    return attributes.get(f"{_SPACES[space]} {short}", "")


def _repeats(attributes: dict[str, str], what: str) -> int:
    """How often the row or cell stands there. Raises InvalidInput for what is no such number."""
    text = _attribute(attributes, f"table:number-{what}-repeated") or "1"
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text)):
        raise strange()
    return int(text)
