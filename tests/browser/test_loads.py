"""The panel of open work above the tasks, which is asked for when it is opened."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.django_db(transaction=True)]


def test_a_lead_opens_the_panel_and_goes_to_the_tasks_of_a_department(shop, page_of):
    shop.started(shop.ready_to_print(shop.approved("leaflet")), by="operator")
    page, faults = page_of(shop.people["supervisor"]), []
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.goto("/admin/workorders/task/")
    panel = page.locator(".docket-loads")
    expect(panel.locator("li")).to_have_count(0)
    panel.locator("summary").click()
    department = panel.get_by_role("link", name=str(shop.departments["printing"]))
    expect(department).to_be_visible()
    assert panel.locator(".docket-bar span").first.evaluate("bar => bar.clientWidth") > 0
    department.click()
    expect(page.locator("#result_list tbody tr").first).to_be_visible()
    assert faults == []
