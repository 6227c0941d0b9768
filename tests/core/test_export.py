"""Lists as files: who may, which rows, and that no cell is a formula."""

import csv
import datetime as dt
import io
import json
import zipfile
from decimal import Decimal

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from python_calamine import CalamineWorkbook

from apps.catalog.models import Customer
from apps.core.export import as_csv, as_ods, as_xlsx, safe
from apps.core.reading import read_text
from apps.dispatch.models import DispatchRule
from apps.imports.services import plan_import, totals
from tests.imports.samples import errors
from tests.personas import client_of

LISTS = ["workorders_workorder", "workorders_task", "catalog_customer", "catalog_product"]
PAYLOADS = [
    "=1+1", "==1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\0=1", "＝1+1", "＋1", "－1", "＠SUM(1)", "'=1", "''=1",
    '=HYPERLINK("http://example.invalid","click")', "=cmd|' /C calc'!A0",
]  # fmt: skip


def address(name, **query):
    from urllib.parse import urlencode

    return f"{reverse(f'admin:{name}_export')}?{urlencode(query)}"


def csv_rows(answer):
    return list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))


def ods_rows(stream):
    return CalamineWorkbook.from_filelike(io.BytesIO(stream.read())).get_sheet_by_index(0).to_python(skip_empty_area=False)


def xlsx_cells(answer):
    return list(openpyxl.load_workbook(io.BytesIO(b"".join(answer.streaming_content))).active.iter_rows())


@pytest.mark.parametrize("text", PAYLOADS)
def test_no_text_leaves_as_a_formula_and_it_comes_back_as_it_was(text):
    assert safe(text).startswith("'")
    sheet = openpyxl.load_workbook(as_xlsx([[text]])).active
    assert sheet["A1"].data_type == "s"
    assert next(csv.reader(io.StringIO("".join(as_csv([[text]]))[1:]))) [0][0] == "'"  # fmt: skip
    ods = as_ods([[text]])
    assert "formula" not in zipfile.ZipFile(ods).read("content.xml").decode()
    ods.seek(0)
    assert ods_rows(ods)[0][0][0] == "'"
    ods.seek(0)
    if text[0] not in "\t\r\n\0":
        assert read_text(sheet["A1"].value) == text
        assert read_text(ods_rows(ods)[0][0]) == text


def test_numbers_stay_numbers():
    sheet = openpyxl.load_workbook(as_xlsx([[-5, 1.5, Decimal("2.50"), True, None, "plain"]])).active
    assert [cell.value for cell in sheet[1]] == [-5, 1.5, 2.5, "yes", None, "plain"]
    assert "".join(as_csv([[-5, 1.5, None]])) == "\ufeff-5,1.5,\r\n"


def test_an_open_document_keeps_numbers_days_blanks_and_lines():
    row = [-5, 1.5, Decimal("2.50"), dt.date(2026, 12, 1), dt.datetime(2026, 12, 1, 8, 30), None, "  a  b\nc & <d>", "印刷"]
    (read,) = ods_rows(as_ods([row]))
    assert read == [-5, 1.5, 2.5, dt.date(2026, 12, 1), dt.datetime(2026, 12, 1, 8, 30), "", "  a  b\nc & <d>", "印刷"]


@pytest.mark.django_db
@pytest.mark.parametrize("format", ["csv", "xlsx", "ods", "json"])
@pytest.mark.parametrize("name", LISTS)
def test_each_list_is_exported_with_what_the_user_sees(shop, planner, supervisor, name, format):
    order = shop.approved()
    answer = client_of(planner).get(address(name, format=format))
    assert answer.status_code == 200
    assert f'attachment; filename="{name.split("_")[1]}-' in answer["Content-Disposition"]
    if format == "json":
        rows = [None, *json.loads(answer.getvalue())]
    else:
        rows = csv_rows(answer) if format == "csv" else ods_rows(io.BytesIO(b"".join(answer.streaming_content))) if format == "ods" else [
            [cell.value for cell in row] for row in xlsx_cells(answer)
        ]  # fmt: skip
    expected = {"workorders_workorder": 1, "workorders_task": order.tasks.count(), "catalog_customer": 2, "catalog_product": 3}
    assert len(rows) == expected[name] + 1


@pytest.mark.django_db
@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("who", ["operator", "administrator", "nobody", "maker", "auditor"])
def test_who_may_not_export_gets_nothing(everybody, name, who):
    allowed = {"maker": {"workorders_workorder"}, "auditor": {"workorders_workorder", "workorders_task"}}.get(who, set())
    assert client_of(everybody[who]).get(address(name)).status_code == (200 if name in allowed else 403)


@pytest.mark.django_db
def test_only_rows_in_sight_and_in_the_filter_are_exported(shop, maker, other_maker, planner):
    mine, theirs = shop.draft(by=maker), shop.draft(by=other_maker, customer=shop.other_customer)
    mine_only = [row[0] for row in csv_rows(client_of(maker).get(address("workorders_workorder", format="csv")))][1:]
    assert mine_only == [mine.number]
    client = client_of(planner)
    both = [row[0] for row in csv_rows(client.get(address("workorders_workorder", format="csv")))][1:]
    assert both == [theirs.number, mine.number]
    found = [row[0] for row in csv_rows(client.get(address("workorders_workorder", format="csv", q=mine.number)))][1:]
    assert found == [mine.number]


@pytest.mark.django_db
def test_dangerous_names_are_quoted_in_the_file_and_read_back_as_they_are(shop, planner):
    Customer.objects.create(code="EVIL", name="=1+1", contact="@SUM(1)")
    answer = client_of(planner).get(address("catalog_customer", format="xlsx"))
    cells = [cell for row in xlsx_cells(answer) for cell in row]
    assert {"'=1+1", "'@SUM(1)"} <= {cell.value for cell in cells}
    assert [cell for cell in cells if cell.data_type == "f"] == []


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "kind", "rows"), [("catalog_customer", "customers", 3), ("catalog_product", "products", 3)])
@pytest.mark.parametrize("format", ["csv", "xlsx", "ods"])
def test_an_exported_catalogue_comes_in_again_as_all_the_same(shop, planner, name, kind, rows, format):
    Customer.objects.create(code="EVIL", name="=1+1", contact="@SUM(1)")
    answer = client_of(planner).get(address(name, format=format))
    content = answer.getvalue()
    assert totals(plan_import(kind, SimpleUploadedFile(f"again.{format}", content), by=planner)) == {"same": rows}


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize(
    ("name", "kind", "who"),
    [("catalog_tool", "tools", "supervisor"), ("dispatch_dispatchrule", "rules", "planner"), ("accounts_user", "people", "administrator")],
)
def test_an_exported_list_has_its_import_and_comes_in_again_as_all_the_same(shop, name, kind, who, language):
    DispatchRule.objects.filter(process__code="PRT").update(wip_limit=3, strategy="least_loaded")
    shop.tools["leaflet"].products.add(shop.products["poster"])
    shop.people["superuser"].delete()
    client = client_of(shop.people[who])
    client.cookies["django_language"] = language
    page = client.get(reverse(f"admin:{name}_changelist")).content.decode()
    assert f"{reverse('admin:imports_upload')}?resource={kind}" in page
    assert reverse(f"admin:{name}_export") in page
    content = client.get(address(name, format="xlsx")).getvalue()
    run = plan_import(kind, SimpleUploadedFile("again.xlsx", content), by=shop.people[who])
    assert (errors(run), totals(run)) == ([], {"same": openpyxl.load_workbook(io.BytesIO(content)).active.max_row - 1})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("catalog_tool", {"supervisor", "prepress_lead", "planner"}),
        ("dispatch_dispatchrule", {"planner"}),
        ("accounts_user", {"administrator"}),
    ],
)
def test_tools_rules_and_people_leave_with_whom_they_may_come_in(everybody, name, allowed):
    got = {who for who, person in everybody.items() if client_of(person).get(address(name)).status_code == 200}
    assert got == allowed | {"superuser"}


@pytest.mark.django_db
def test_the_list_links_to_import_and_export_for_those_who_may(shop, supervisor, maker):
    page = client_of(supervisor).get(reverse("admin:workorders_workorder_changelist")).content.decode()
    assert reverse("admin:imports_upload") + "?resource=orders" in page
    assert reverse("admin:workorders_workorder_export") in page
    page = client_of(maker).get(reverse("admin:workorders_workorder_changelist")).content.decode()
    assert reverse("admin:imports_upload") not in page


@pytest.mark.django_db
def test_a_strange_export_address_is_refused(shop, planner):
    client = client_of(planner)
    assert client.get(address("catalog_customer", format="exe")).status_code == 404
    assert client.post(address("catalog_customer", format="csv")).status_code == 405
    assert client.get(address("catalog_customer", format="csv", salesperson__password__startswith="a")).status_code == 400


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow_with_the_rows(shop, planner, django_assert_num_queries):
    def queries(count):
        Customer.objects.bulk_create(Customer(code=f"Q{count}-{n}", name=f"Name {count} {n}", salesperson=planner) for n in range(count))
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        client = client_of(planner)
        with CaptureQueriesContext(connection) as captured:
            client.get(address("catalog_customer", format="csv"))
        return len(captured)

    assert queries(2) == queries(50)
