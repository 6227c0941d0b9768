"""Hostile files, through the door that people upload at: each is refused within a second, in a sentence."""

import datetime as dt
import io
import time
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.core.errors import InvalidInput
from apps.imports import preflight, services, tables
from apps.imports.models import ImportRun
from tests.imports.samples import SAMPLES, every_table, opendocument, options, workbook
from tests.personas import client_of

pytestmark = pytest.mark.django_db
OCTOBER = (SAMPLES / "orders-october.xlsx").read_bytes()
SHEET = "xl/worksheets/sheet1.xml"


def rebuilt(changes: dict[str, bytes | None], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """The October workbook with some parts replaced, added or (None) left out."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(OCTOBER)) as old, zipfile.ZipFile(stream, "w", compression) as new:
        parts = {name: old.read(name) for name in old.namelist()} | changes
        for name, content in parts.items():
            if content is not None:
                new.writestr(name, content)
    return stream.getvalue()


def sheet_with(cells: str) -> bytes:
    return (
        f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>'
    ).encode()


def lying() -> bytes:
    """A workbook whose directory says that a part of 40 MB has 100 bytes."""
    content = rebuilt({"xl/lies.xml": b"<a>" + b" " * 40_000_000 + b"</a>"})
    return content.replace((40_000_007).to_bytes(4, "little"), (100).to_bytes(4, "little"))


def ods(table: str, *, mimetype: str = "application/vnd.oasis.opendocument.spreadsheet", **parts: str) -> bytes:
    """An OpenDocument table of these rows, as XML."""
    names = "".join(f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text", "manifest"))
    calc = 'xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
    root = f"<office:document-content{names} {calc}>"
    body = f"{root}<office:body><office:spreadsheet><table:table table:name='T'>{table}</table:table></office:spreadsheet></office:body>"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("mimetype"), mimetype)
        archive.writestr("META-INF/manifest.xml", f"<manifest:manifest{names}>{parts.pop('manifest', '')}</manifest:manifest>")
        if "content" not in parts:
            archive.writestr("content.xml", f"{body}</office:document-content>")
        for name, content in parts.items():
            archive.writestr({"content": "content.xml", "basic": "Basic/Standard/Module1.xml", "big": "Pictures/a.png"}[name], content)
    return stream.getvalue()


def ods_row(*cells: str, row: str = "") -> str:
    return f"<table:table-row {row}>{''.join(cells)}</table:table-row>"


def ods_cell(text: str = "x", more: str = "") -> str:
    return f'<table:table-cell office:value-type="string" {more}><text:p>{text}</text:p></table:table-cell>'


MANY = 'table:number-{}-repeated="{}"'
ENTITIES = b'<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]>'
HOSTILE = {
    "empty": (b"", "file_empty"),
    "blank": (b"\n\n   \n", "file_empty"),
    "programme": (b"MZ\x90\0" + b"\0" * 500, "file_type"),
    "elf": (b"\x7fELF" + b"x" * 500, "file_type"),
    "pdf": (b"%PDF-1.7\n1 0 obj", "file_type"),
    "page": (b"  <html><body>hello</body></html>", "file_type"),
    "old workbook": (b"\xd0\xcf\x11\xe0" + b"\0" * 500, "file_type"),
    "binary": (b"a,b\n\0\0\0", "file_type"),
    "noise": (b"\xff\xfe\x00\xd8\xff\xff\x81", "file_encoding"),
    "no workbook": (rebuilt({"xl/workbook.xml": None}), "file_type"),
    "cut": (OCTOBER[: len(OCTOBER) // 2], "file_damaged"),
    "nearly whole": (OCTOBER[:-30], "file_damaged"),
    "only a beginning": (b"PK\x03\x04" + b"x" * 100, "file_damaged"),
    "bomb": (rebuilt({"xl/media/zeros.bin": b"\0" * 60_000_000}), "file_bomb"),
    "lying bomb": (lying(), "file_damaged"),
    "far row": (rebuilt({SHEET: sheet_with('<row r="1048576"><c r="A1048576"><v>1</v></c></row>')}), "file_range"),
    "far row without row": (rebuilt({SHEET: sheet_with('<c r="B1048576"><v>1</v></c>')}), "file_range"),
    "far column": (rebuilt({SHEET: sheet_with('<row r="1"><c r="XFD1"><v>1</v></c></row>')}), "file_range"),
    "far corner": (
        rebuilt({SHEET: sheet_with('<row r="1"><c r="GR1"><v>1</v></c></row><row r="100000"><c r="A100000"><v>1</v></c></row>')}),
        "file_range",
    ),
    "no such cell": (rebuilt({SHEET: sheet_with('<row r="1"><c r="A99999999999"><v>1</v></c></row>')}), "file_range"),
    "many rows": (rebuilt({SHEET: sheet_with("<row/>" * (preflight.LAST_ROW + 1))}), "file_bomb"),
    "entities": (rebuilt({SHEET: ENTITIES + sheet_with("")}), "file_parts"),
    "not well-formed": (rebuilt({SHEET: sheet_with("<row><c></row>")}), "file_damaged"),
    "hidden sheet": (
        rebuilt({
            "xl/_rels/workbook.xml.rels": b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            b'<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" '
            b'Target="worksheets/sheet1.bin"/></Relationships>'
        }),
        "file_parts",
    ),
    "macros": (rebuilt({"xl/vbaProject.bin": b"x"}), "file_macros"),
    "many parts": (rebuilt({f"xl/p{number}.xml": b"<a/>" for number in range(600)}), "file_parts"),
    "no rows": (rebuilt({SHEET: sheet_with("")}), "file_empty"),
    "ods: far row": (ods(ods_row(row=MANY.format("rows", 1_048_575)) + ods_row(ods_cell())), "file_range"),
    "ods: repeated row": (ods(ods_row(ods_cell(), row=MANY.format("rows", 1_048_576))), "file_range"),
    "ods: repeated cell": (ods(ods_row(ods_cell(more=MANY.format("columns", 16_384)))), "file_range"),
    "ods: far cell": (ods(ods_row(f"<table:table-cell {MANY.format('columns', 9_999)}/>", ods_cell())), "file_range"),
    "ods: value without a kind": (ods(ods_row('<table:table-cell office:value="1"/>', row=MANY.format("rows", 200_000))), "file_range"),
    "ods: no number of rows": (ods(ods_row(ods_cell(), row=MANY.format("rows", "-5"))), "file_parts"),
    "ods: endless number of rows": (ods(ods_row(ods_cell(), row=MANY.format("rows", "9" * 30))), "file_parts"),
    "ods: long text, often": (
        ods(ods_row(ods_cell("x" * 1000, MANY.format("columns", 100)), row=MANY.format("rows", 9_000))), "file_parts"),
    "ods: formulas without results, often": (
        ods(ods_row(f'<table:table-cell table:formula="of:=A1" {MANY.format("columns", 100)}/>', row=MANY.format("rows", 9_000))),
        "file_parts"),
    "ods: bomb": (ods("", big="0" * 60_000_000), "file_bomb"),
    "ods: entities": (ods("", content=ENTITIES.decode() + "<a/>"), "file_parts"),
    "ods: macros": (ods(ods_row(ods_cell()), basic="<a/>"), "file_macros"),
    "ods: password": (ods(ods_row(ods_cell()), manifest="<manifest:encryption-data/>"), "file_type"),
    "ods: a letter": (ods(ods_row(ods_cell()), mimetype="application/vnd.oasis.opendocument.text"), "file_type"),
    "ods: cut": (ods(ods_row(ods_cell()))[:-40], "file_damaged"),
    "ods: not well-formed": (ods("<table:table-row>"), "file_damaged"),
    "ods: no rows": (ods(ods_row(row=MANY.format("rows", 1_048_576))), "file_empty"),
    "stray quote": ('外部单号,客户,产品编码,数量\nA,"B,C,1\n'.encode(), "file_damaged"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "code"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_within_a_second(shop, supervisor, content, code):
    before, started = every_table(but=()), time.perf_counter()
    with pytest.raises(InvalidInput) as refusal:
        services.plan_import("orders", SimpleUploadedFile("orders.xlsx", content), by=supervisor, options=options())
    assert time.perf_counter() - started < 1
    assert refusal.value.code == code
    assert refusal.value.field == "file"
    assert str(refusal.value).endswith(".")
    assert every_table(but=()) == before


def test_a_refusal_stands_on_the_form_in_words(shop, supervisor):
    answer = client_of(supervisor).post(
        reverse("admin:imports_upload") + "?resource=orders",
        {"file": SimpleUploadedFile("virus.exe", b"MZ\x90\0" + b"\0" * 100), "maker": options()["maker"], "order_date": "2026-11-21"},
    )
    assert answer.status_code == 200
    assert "This file is neither a workbook nor a table. Save the table as .xlsx, .ods or .csv." in answer.content.decode()
    assert ImportRun.objects.count() == 0


def test_a_file_that_claims_two_gigabytes_is_refused_before_it_is_read():
    class Huge(SimpleUploadedFile):
        def read(self, *arguments: object) -> bytes:
            raise AssertionError("it was read")

    huge = Huge("orders.xlsx", b"PK\x03\x04")
    huge.size = 2 * 1024**3
    with pytest.raises(InvalidInput, match=r"2,048 MB; at most 20 MB"):
        preflight.check_size(huge.size)


def test_more_rows_than_the_limit_are_refused(shop, supervisor, monkeypatch):
    assert preflight.MOST_ROWS == 100_000
    monkeypatch.setattr(tables, "MOST_ROWS", 20)
    rows = [["外部单号", "客户", "产品编码", "数量"], *(["", "Sunrise", "LEAFLET", 1] for _number in range(21))]
    with pytest.raises(InvalidInput, match="more than 20 rows"):
        services.plan_import("orders", workbook(*rows), by=supervisor, options=options())


@pytest.mark.parametrize("place", range(40, 1290, 125))
def test_a_cut_csv_is_refused_or_shown_as_cut(shop, supervisor, place):
    """Every cut that leaves an unfinished last line is told; one at a line's end shows in the counts."""
    content = (SAMPLES / "orders-gbk.csv").read_bytes()[:place]
    if content.endswith(b"\n"):
        return
    refused, told = "", []
    try:
        told = services.plan_import("orders", SimpleUploadedFile("cut.csv", content), by=supervisor, options=options()).problems
    except InvalidInput as refusal:
        refused = refusal.field
    assert refused == "file" or any("cut off" in problem["message"] for problem in told)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("orders.xlsx", "orders.xlsx"),
        ("../../etc/passwd.csv", "passwd.csv"),
        ("C:\\Users\\me\\订单.xlsx", "订单.xlsx"),
        ("a\nb\x00.csv", "ab.csv"),
        ("x" * 300 + ".csv", "x" * 196 + ".csv"),
        ("", "?"),
        (None, "?"),
    ],
)
def test_only_the_bare_name_of_a_file_is_kept(given, kept):
    assert services.bare_name(given) == kept


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_text_tables_are_read_in_every_usual_form(encoding, separator):
    text = "\r\n".join(separator.join(row) for row in [("外部单号", "客户", "数量"), ("A1", "南洋茶业", "500")]) + "\r\n"
    (sheet,) = tables.read_sheets(text.encode(encoding))
    assert sheet.rows == [["外部单号", "客户", "数量"], ["A1", "南洋茶业", "500"]]
    assert [remark.level for remark in sheet.remarks] == ["note"]


def test_an_open_document_is_read_with_its_repetitions_and_its_broken_cells():
    """What offices write: empty runs to the edge of the sheet, equal neighbours told once, errors, formulas nobody computed."""
    formula = '<table:table-cell table:formula="of:=[.A1]*2"/>'
    computed = '<table:table-cell table:formula="of:=1+1" office:value-type="float" office:value="2"><text:p>2</text:p></table:table-cell>'
    error = ods_cell("#REF!", 'calcext:value-type="error"')
    content = ods(
        ods_row(ods_cell("a", MANY.format("columns", 2)), ods_cell("b"), f"<table:table-cell {MANY.format('columns', 16_381)}/>")
        + ods_row(formula, computed, error, row=MANY.format("rows", 2))
        + ods_row(f"<table:table-cell {MANY.format('columns', 16_384)}/>", row=MANY.format("rows", 1_048_573))
    )
    (sheet,) = tables.read_sheets(content)
    assert sheet.name == "T"
    broken = [tables.Broken("=[.A1]*2"), 2, tables.Broken("#REF!")]
    assert [row[:3] for row in sheet.rows[:3]] == [["a", "a", "b"], broken, broken]


def test_orders_come_in_as_an_open_document(shop, supervisor):
    rows = [["外部单号", "客户", "产品编码", "数量", "交货日期"], ["PO-1", "Sunrise", "LEAFLET", 10, dt.date(2026, 12, 1)]]
    run = services.plan_import("orders", opendocument(*rows), by=supervisor, options=options())
    assert services.totals(run) == {"create": 1, "lines": 1, "quantity": 10}
    assert run.plan[0]["details"][0].startswith("due 2026-12-01")
    assert run.file.name.endswith(".ods")
