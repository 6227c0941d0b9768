"""The page of a late scan, which a supervisor decides on: it fits, and says what the decision needs."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from apps.scanning.models import Scan
from apps.scanning.services import scans
from tests.personas import again
from tests.scanning.sending import item

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_the_page_of_a_late_scan_fits_and_is_decided_on(page_of, shop, operator, supervisor):
    told = scans.record_scan(item(shop.task_in("completed"), "report", quantity=40), by=again(operator))
    Scan.objects.filter(pk=told.scan_id).update(request_id="a9a3c2bc6ae84ade92791d942cb4e112" * 2)
    page = page_of(supervisor)
    for width in (1440, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(reverse("admin:scanning_scan_change", args=[told.scan_id]))
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        expect(page.locator("body")).to_contain_text("1,040 good of 1,000 planned")
