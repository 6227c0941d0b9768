"""Tables out: xlsx, ods and csv that no spreadsheet runs as formulas, and json."""

import csv
import io
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone
from django.utils.translation import gettext as _
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from apps.core.opendocument import MIME as OPEN_DOCUMENT
from apps.core.opendocument import write_table
from apps.core.reading import FORMULA_STARTS

FORMATS = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ods": OPEN_DOCUMENT,
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
}
_DANGEROUS = re.compile(rf"'*[{re.escape(FORMULA_STARTS)}]")


def safe(value: Any) -> Any:
    """The value as a cell may hold it: numbers and days stay what they are; text that a spreadsheet would run gets a `'` before it.

    `core.reading.read_text` takes the quote off again, so that what is exported comes back as it was.
    """
    if value is None or isinstance(value, bool):
        return "" if value is None else _("yes") if value else _("no")
    if isinstance(value, datetime):
        return timezone.localtime(value).replace(tzinfo=None, microsecond=0) if timezone.is_aware(value) else value
    if isinstance(value, int | float | Decimal | date):
        return value
    text = str(value)
    if _DANGEROUS.match(text):
        text = f"'{text}"
    return ILLEGAL_CHARACTERS_RE.sub("\ufffd", text)


def as_csv(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Lines of a csv that a spreadsheet reads as UTF-8, one at a time."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    yield "\ufeff"
    for row in rows:
        writer.writerow([safe(value) for value in row])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def as_json(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A list of objects whose names are the header's, one at a time. Programs run no formulas: texts stay as they are."""
    rows = iter(rows)
    header, separator = next(rows), "[\n"
    for row in rows:
        yield separator + json.dumps(dict(zip(header, map(_for_programs, row), strict=True)), ensure_ascii=False, cls=DjangoJSONEncoder)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _for_programs(value: Any) -> Any:
    if isinstance(value, datetime):
        return timezone.localtime(value) if timezone.is_aware(value) else value
    return value if isinstance(value, str | int | float | Decimal | date | None) else str(value)


def as_xlsx(rows: Iterable[Sequence[Any]]) -> Any:
    """An open temporary file with one sheet. Rows are written as they come."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in rows:
        sheet.append([safe(value) for value in row])
    stream = tempfile.TemporaryFile()  # noqa: SIM115  (the response closes it)
    book.save(stream)
    stream.seek(0)
    return stream


def as_ods(rows: Iterable[Sequence[Any]]) -> Any:
    """An open temporary file with one table. Rows are written as they come."""
    stream = tempfile.TemporaryFile()  # noqa: SIM115  (the response closes it)
    write_table(stream, ([safe(value) for value in row] for row in rows), name=_("Rows"))
    stream.seek(0)
    return stream


AS_FILES = {"xlsx": as_xlsx, "ods": as_ods}


def as_file(rows: Iterable[Sequence[Any]], chosen: str) -> Any:
    """An open temporary file in the format of that name. Written row by row, in constant memory, and whole before anybody reads it:
    a stream that dies in the middle looks like a whole file.
    """
    if chosen in AS_FILES:
        return AS_FILES[chosen](rows)
    stream = tempfile.TemporaryFile()  # noqa: SIM115  (the response closes it)
    for text in as_json(rows) if chosen == "json" else as_csv(rows):
        stream.write(text.encode())
    stream.seek(0)
    return stream
