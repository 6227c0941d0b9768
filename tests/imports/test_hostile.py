"""Sixty files that nobody should send, and two hundred cuts of each kind that is taken: refused, or shown as cut, never a 500.

What each single look of the preflight finds is in test_preflight; here the files go through the whole door, under a cap on memory.
"""

import contextlib
import datetime as dt
import io
import random
import tracemalloc
import zipfile

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.core.errors import InvalidInput
from apps.core.export import as_csv, as_ods, as_xlsx
from apps.imports import services, tables
from apps.imports.badrows import as_workbook
from apps.imports.models import ImportRun
from apps.imports.registry import KINDS
from tests.imports.samples import options, workbook
from tests.imports.test_preflight import HOSTILE, MANY, SHEET, ods, ods_cell, ods_row, rebuilt, sheet_with
from tests.personas import client_of

MOST_MEMORY = 150 * 1024 * 1024
HEADER = ["外部单号", "客户", "产品编码", "数量", "交货日期"]
MACROS = {"xl/vbaProject.bin": b"x", "[Content_Types].xml": b"<Types/>"}


def zipped(**parts: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


def many_times(text: bytes, rows: int) -> bytes:
    """A workbook in which every cell is the same shared text: small in the file, huge once it is read."""
    row = "".join(
        f'<row r="{at}">' + "".join(f'<c r="{chr(65 + c)}{at}" t="s"><v>0</v></c>' for c in range(20)) + "</row>" for at in range(1, rows)
    )
    names = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    noise = random.Random(1).randbytes(400_000)
    return rebuilt(
        {SHEET: sheet_with(row), "xl/sharedStrings.xml": f"<sst {names}><si><t>".encode() + text + b"</t></si></sst>", "n.bin": noise}
    )


def inside(content: bytes) -> bytes:
    """A zip in a zip in a zip."""
    for _level in range(5):
        content = zipped(a=content)
    return content


MORE = {
    "png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "orders.xlsx"),
    "gzip": (b"\x1f\x8b\x08" + b"\0" * 99, "orders.csv"),
    "json": (b'{"a": 1}', "orders.csv"),
    "json list": (b'[{"a": 1}]', "orders.csv"),
    "rtf": (b"{\\rtf1 a}", "orders.csv"),
    "xml": (b"<?xml version='1.0'?><a/>", "orders.xlsx"),
    "flat ods": (b"<?xml version='1.0'?><office:document/>", "orders.ods"),
    "any zip": (zipped(a=b"x"), "orders.xlsx"),
    "an empty zip": (b"PK\x05\x06" + b"\0" * 18, "orders.xlsx"),
    "zip in zip": (inside(b"x" * 1000), "orders.xlsx"),
    "parts with paths": (zipped(**{"../../etc/passwd": b"x", "mimetype": b"x"}), "../../orders.xlsx"),
    "xlsm": (rebuilt(MACROS), "orders.xlsm"),
    "xlsm named xlsx": (rebuilt(MACROS), "orders.xlsx"),
    "external entity": (
        rebuilt({SHEET: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + sheet_with("<row><c><v>&x;</v></c></row>")}), "a.xlsx"),
    "external entity in strings": (rebuilt({"xl/sharedStrings.xml": b'<!DOCTYPE a SYSTEM "http://example.invalid/a"><a/>'}), "a.xlsx"),
    "a row below none": (rebuilt({SHEET: sheet_with('<row r="0"><c r="A0"><v>1</v></c></row>')}), "a.xlsx"),
    "a column that none has": (rebuilt({SHEET: sheet_with('<row r="1"><c r="AAAA1"><v>1</v></c></row>')}), "a.xlsx"),
    "shared text that is missing": (rebuilt({SHEET: sheet_with('<row r="1"><c r="A1" t="s"><v>999999</v></c></row>')}), "a.xlsx"),
    "one long text in every cell": (many_times(b"x" * 30_000, 2_000), "a.xlsx"),
    "sheet that is missing": (rebuilt({SHEET: None}), "a.xlsx"),
    "links that are missing": (rebuilt({"xl/_rels/workbook.xml.rels": None}), "a.xlsx"),
    "ods in a loop of rows": (ods("".join(ods_row(ods_cell(), row=MANY.format("rows", 9_999)) for _n in range(9))), "a.ods"),
    "ods without a table": (ods("", content="<a/>"), "a.ods"),
    "ods without content": (zipped(mimetype=b"x"), "a.ods"),
    "cr only": (b"\r" * 5000, "a.csv"),
    "nul inside": (b"a,b\n1,\x00\n", "a.csv"),
    "one endless cell": (b'"' + b"x" * 300_000, "a.csv"),
    "ten thousand columns": (b"," * 10_000 + b"\n", "a.csv"),
    "half a utf-16": (b"\xff\xfea", "a.csv"),
}  # fmt: skip
FILES = {name: (content, "orders.xlsx") for name, (content, _code) in HOSTILE.items()} | MORE


def test_there_are_at_least_sixty():
    assert len(FILES) >= 60


def test_reading_any_of_them_takes_little_memory():
    tracemalloc.start()
    try:
        for name, (content, _name) in FILES.items():
            tracemalloc.reset_peak()
            with contextlib.suppress(InvalidInput):
                tables.read_sheets(content)
            assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY, name
    finally:
        tracemalloc.stop()


@pytest.mark.django_db
@pytest.mark.parametrize(("content", "name"), MORE.values(), ids=MORE.keys())
def test_a_hostile_file_is_answered_in_words(shop, supervisor, content, name):
    """Through the page; those of test_preflight are refused there, each with its code."""
    client, address = client_of(supervisor), reverse("admin:imports_upload") + "?resource=orders"
    answer = client.post(address, {"file": SimpleUploadedFile(name, content), **options()})
    if answer.status_code == 302:  # a table without the needed columns: the person is asked for them, nothing else happens
        run = ImportRun.objects.get()
        assert (run.state, run.rows.count()) == ("matching", 0)
        assert "/" not in run.file_name
        assert client.get(answer["Location"], follow=True).status_code == 200
    else:
        assert answer.status_code == 200
        assert [error for form in answer.context["forms"] for error in form.errors.get("file", ())]
        assert ImportRun.objects.count() == 0


def orders(count: int = 40) -> list[list]:
    return [HEADER, *([f"PO-{n}", "Sunrise", "LEAFLET", 100 + n, dt.date(2026, 12, 1)] for n in range(count))]


@pytest.mark.parametrize("kind", ["xlsx", "ods", "csv"])
def test_two_hundred_cuts_are_refused_or_shown_as_cut(kind):
    """By the reader alone: what it takes is told to be cut, or ends with a whole line, whose loss the counts show."""
    made = {"xlsx": as_xlsx, "ods": as_ods, "csv": lambda rows: io.BytesIO("".join(as_csv(rows)).encode())}
    whole = made[kind](orders()).read()
    chance = random.Random(20261121)
    taken, refusals = 0, []
    for _number in range(200):
        content = whole[: chance.randrange(1, len(whole))]
        try:
            (sheet,) = tables.read_sheets(content)
        except InvalidInput as refusal:
            refusals.append((refusal.field, str(refusal)[-1]))
            continue
        taken += 1
        assert kind == "csv"
        assert content.endswith((b"\n", b"\r")) or any(remark.level == "warning" for remark in sheet.remarks)
    assert (taken > 0) == (kind == "csv")
    assert set(refusals) == {("file", ".")}


FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(1)", '=HYPERLINK("http://example.invalid")', "＝1+1", "\t=1", "=cmd|' /C calc'!A0"]


@pytest.mark.django_db
def test_no_formula_that_comes_in_goes_out_as_one(shop, supervisor):
    rows = [[f"=PO{n}", text, "LEAFLET", text, text] for n, text in enumerate(FORMULAS)]
    stream = "".join(as_csv([])) + "\n".join(",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in [HEADER, *rows])
    file = SimpleUploadedFile("orders.csv", f"{stream}\n".encode())
    run = services.plan_import("orders", file, by=supervisor, options=options())
    assert run.rows.bad().count() == len(FORMULAS)
    book = openpyxl.load_workbook(as_workbook(run, KINDS["orders"]))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert [cell.coordinate for cell in cells if cell.data_type == "f"] == []
    assert {f"'{text}" for text in FORMULAS if text[0] != "\t"} <= {cell.value for cell in cells}
    page = client_of(supervisor).get(reverse("admin:imports_importrun_change", args=[run.pk]))
    assert page.status_code == 200


@pytest.mark.django_db
def test_formulas_in_a_workbook_are_read_by_their_results_and_never_run(shop, supervisor):
    run = services.plan_import("orders", workbook(HEADER, ["PO-1", "Sunrise", "LEAFLET", "=1+1", None]), by=supervisor, options=options())
    (problem,) = [one for one in run.problems if one["level"] == "error"]
    assert "=1+1, but not its result" in problem["message"]
