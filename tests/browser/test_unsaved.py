"""A dialog over a form does nothing while something in the form is not saved."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.django_db(transaction=True)]
SENTENCE = "Something on this page is not saved"


def test_a_dialog_waits_for_what_is_not_saved(shop, page_of):
    order = shop.draft()
    page = page_of(shop.people["maker"])
    page.goto(reverse("admin:workorders_workorder_change", args=[order.pk]))
    submit, dialog = page.locator(".docket-buttons").get_by_text("Submit"), page.locator("#dialog")

    submit.click()
    expect(dialog.locator("button[type=submit]")).to_be_enabled()
    expect(dialog.get_by_text(SENTENCE)).to_be_hidden()
    dialog.get_by_role("button", name="Cancel").click()

    page.locator("[name=instructions]").fill("Matt side out.")
    submit.click()
    expect(dialog.get_by_text(SENTENCE)).to_be_visible()
    expect(dialog.locator("button[type=submit]")).to_be_disabled()
    dialog.get_by_role("button", name="Cancel").click()

    page.get_by_role("button", name="Save and continue editing").click()
    page.wait_for_load_state("networkidle")
    submit.click()
    expect(dialog.get_by_text(SENTENCE)).to_be_hidden()
    dialog.locator("button[type=submit]").click()
    expect(submit).to_be_hidden()
    order.refresh_from_db()
    assert (order.status, order.instructions) == ("submitted", "Matt side out.")


def test_a_chosen_row_of_another_list_and_a_refused_form_are_not_saved_either(shop, page_of):
    order = shop.draft()
    page = page_of(shop.people["maker"])
    page.goto(reverse("admin:workorders_workorder_change", args=[order.pk]))
    submit, dialog = page.locator(".docket-buttons").get_by_text("Submit"), page.locator("#dialog")

    page.locator("select[name=priority]").select_option(index=3)
    submit.click()
    expect(dialog.get_by_text(SENTENCE)).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()

    page.locator("[name=due_date]").fill("never")
    page.get_by_role("button", name="Save and continue editing").click()
    page.wait_for_load_state("networkidle")
    submit.click()
    expect(dialog.get_by_text(SENTENCE)).to_be_visible()
