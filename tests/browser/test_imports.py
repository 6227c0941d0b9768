"""The import centre as people use it: a messy file is planned, corrected on the page, applied, and taken back."""

import re

import pytest
from playwright.sync_api import expect

from apps.imports import services
from apps.imports.models import ImportRun
from apps.workorders.models import WorkOrder
from tests.imports.samples import options, sample

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
    expect(page.get_by_text(re.compile(r"is applied in part: \d+ rows are imported"))).to_be_visible()
    made = WorkOrder.objects.count()
    assert made == ImportRun.objects.get(pk=run.pk).rows.leading().filter(state="done").count() > 6

    page.get_by_role("button", name="Take back").click()
    expect(page.locator(".docket-label", has_text="taken back").first).to_be_visible()
    assert WorkOrder.objects.count() == 0
