"""The import centre as people use it: every sample is planned; a messy one is corrected on the page, applied, and taken back."""

import re

import pytest
from playwright.sync_api import expect

from apps.imports import services
from apps.imports.models import ImportRun
from apps.workorders.models import WorkOrder
from tests.imports.samples import MESSY_ERRORS, MESSY_NOTES, MESSY_ORDERS, MESSY_READ, ORDER_DATE, SAMPLES, options, sample

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(("width", "dark"), [(360, True), (1440, False)])
def test_a_messy_file_is_corrected_applied_in_part_and_taken_back(cast, page_of, monkeypatch, width, dark):
    monkeypatch.setattr(services, "AT_ONCE", 600.0)
    supervisor = cast["supervisor"]
    services.apply_import(services.plan_import("catalogue", sample("catalogue.xlsx"), by=supervisor), by=supervisor)
    run = services.plan_import("orders", sample("orders-messy.xlsx"), by=supervisor, options=options())
    page = page_of(supervisor, width=width, dark=dark)
    page.goto(f"/admin/imports/importrun/{run.pk}/change/")
    expect(page.get_by_role("heading", name="18 rows cannot be imported yet")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0

    page.get_by_role("button", name="Take CARTON").first.click()
    wrong = page.locator(f"#row-{run.rows.get(number=9).pk}").get_by_label("Quantity")
    wrong.fill("200")
    page.get_by_role("button", name="Plan these rows again").click()
    expect(page.get_by_text("The rows are planned again.")).to_be_visible()
    assert {8, 9}.isdisjoint(run.rows.filter(action="error").values_list("number", flat=True))

    page.get_by_role("button", name="Import only the good ones").click()
    expect(page.get_by_text(re.compile(r"is applied in part\. Rows imported: \d+"))).to_be_visible()
    made = WorkOrder.objects.count()
    assert made == ImportRun.objects.get(pk=run.pk).rows.leading().filter(state="done").count() > 6

    page.get_by_role("button", name="Take back").click()
    expect(page.locator(".docket-label", has_text="taken back").first).to_be_visible()
    assert WorkOrder.objects.count() == 0


@pytest.mark.parametrize(
    ("name", "rows", "figures"),
    [
        ("catalogue.xlsx", 16, r"Rows\s*16\s*To create\s*10\s*The same\s*6\s*Errors\s*0"),  # the cast knows six
        ("orders-october.xlsx", 60, r"Rows\s*76\s*To create\s*60\s*work orders\s*Lines\s*76\s*Sum of quantities\s*391,900\s*Errors\s*0"),
        ("orders-gbk.csv", 11, r"Rows\s*16\s*To create\s*11\s*work orders\s*Lines\s*16\s*Sum of quantities\s*99,800\s*Errors\s*0"),
        ("orders-semicolon.csv", 12, r"Rows\s*12\s*To create\s*12\s*work orders\s*Lines\s*12\s*Sum of quantities\s*55,600\s*Errors\s*0"),
        ("orders-messy.xlsx", 6, r"To create\s*6.*Errors\s*11"),
    ],
    ids=lambda value: value if str(value).endswith(("xlsx", "csv")) else "",
)
def test_the_page_shows_the_plan_of_every_sample(cast, page_of, name, rows, figures):
    supervisor, is_catalogue = cast["supervisor"], name == "catalogue.xlsx"
    if not is_catalogue:
        services.apply_import(services.plan_import("catalogue", sample("catalogue.xlsx"), by=supervisor), by=supervisor)
    page = page_of(supervisor)
    page.goto("/admin/")
    page.get_by_role("link", name="Import orders or catalogue").click()
    page.get_by_role("link", name="Customers and products" if is_catalogue else "Orders with their lines").click()
    page.set_input_files("[name=file]", SAMPLES / name)
    if not is_catalogue:
        page.fill("[name=order_date]", ORDER_DATE.isoformat())
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_label("The import in figures")).to_contain_text(re.compile(figures, re.S))
    listed = page.locator("#plan tbody tr")
    while (more := page.locator("#plan").get_by_role("link", name="Next", exact=True)).count():
        rows -= listed.count()
        more.click()
        page.wait_for_load_state()
    expect(listed).to_have_count(rows)
    assert not WorkOrder.objects.exists()
    if name != "orders-messy.xlsx":
        expect(page.locator("#errors")).to_have_count(0)
        return
    run = ImportRun.objects.latest("pk")
    for row, _column, sentence in MESSY_ERRORS:
        expect(page.locator(f"#row-{run.rows.get(number=row).pk}")).to_contain_text(sentence)
    assert run.rows.filter(action="error").count() == len(MESSY_ERRORS)
    for place, remarks in (("read", MESSY_READ), ("notes", MESSY_NOTES)):
        told = page.locator(f"#{place} tbody tr")
        expect(told).to_have_count(len(remarks))
        for row, _column, sentence in remarks:
            expect(told.filter(has_text=sentence).locator("td").first).to_have_text(str(row or "–"))
    for line, (row, label) in enumerate(MESSY_ORDERS):
        expect(listed.nth(line)).to_contain_text(label)
        expect(listed.nth(line).locator("td").first).to_have_text(str(row))
