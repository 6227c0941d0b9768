"""Hostile files, through the door that people upload at: each is refused within a second, in a sentence."""

import io
import time
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.core.errors import InvalidInput
from apps.imports import preflight, services, tables
from apps.imports.models import ImportRun
from tests.imports.samples import SAMPLES, every_table, options, workbook
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
    "no such cell": (rebuilt({SHEET: sheet_with('<row r="1"><c r="A99999999999"><v>1</v></c></row>')}), "file_range"),
    "many rows": (rebuilt({SHEET: sheet_with("<row/>" * 10_001)}), "file_range"),
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
    assert "This file is neither a workbook nor a table. Save the table as .xlsx or .csv." in answer.content.decode()
    assert ImportRun.objects.count() == 0


def test_a_file_that_claims_two_gigabytes_is_refused_before_it_is_read():
    class Huge(SimpleUploadedFile):
        def read(self, *arguments: object) -> bytes:
            raise AssertionError("it was read")

    huge = Huge("orders.xlsx", b"PK\x03\x04")
    huge.size = 2 * 1024**3
    with pytest.raises(InvalidInput, match="2,048 MB; at most 20 MB"):
        preflight.check_size(huge.size)


def test_more_rows_than_the_limit_are_refused(shop, supervisor):
    rows = [["外部单号", "客户", "产品编码", "数量"], *(["", "Sunrise", "LEAFLET", 1] for _number in range(preflight.MOST_ROWS + 1))]
    with pytest.raises(InvalidInput, match="more than 2000 rows"):
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
