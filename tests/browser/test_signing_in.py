"""Signing in with a phone, in a real browser: set up, signed in with it, seen and ended; it fits on a phone, light and dark.

DOCKET_SCREENSHOTS keeps pictures, as for the other pages.
"""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.accounts.test_signing_in import code_of
from tests.browser.test_pages import DESK, PHONE, PICTURES, TOO_WIDE
from tests.personas import PASSWORD

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def look(page, name: str) -> None:
    for size, dark in ((PHONE, False), (PHONE, True), (DESK, True), (DESK, False)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", dark)
        assert [wide for wide in page.evaluate(TOO_WIDE) if wide[1] > 1] == [], f"{name} {size}"
        if PICTURES:
            page.screenshot(path=f"{PICTURES}/{name}-{size[0]}-{'dark' if dark else 'light'}.png", full_page=True)


def test_a_phone_is_set_up_and_asked_for_at_the_next_sign_in(shop, page_of, chromium, live_server):
    user = shop.people["administrator"]
    page = page_of(user)
    page.goto(reverse("dashboard:second_factor"))
    look(page, "second-factor-off")
    page.get_by_role("button", name="Set up").click()
    expect(page.locator("img.docket-qr")).to_be_visible()
    look(page, "second-factor-setup")
    page.fill("[name=code]", code_of(user))
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator(".recovery-codes li")).to_have_count(10)
    look(page, "second-factor-codes")
    recovery = page.locator(".recovery-codes code").first.inner_text()

    context = chromium.new_context(base_url=live_server.url, locale="en", viewport={"width": 360, "height": 740})
    elsewhere = context.new_page()
    elsewhere.goto("/admin/login/?next=/admin/account/")
    elsewhere.fill("[name=username]", "administrator")
    elsewhere.fill("[name=password]", PASSWORD)
    elsewhere.get_by_role("button", name="Log in").click()
    expect(elsewhere.locator("[name=code]")).to_be_focused()
    look(elsewhere, "sign-in-code")
    elsewhere.fill("[name=code]", recovery)
    elsewhere.keyboard.press("Enter")
    expect(elsewhere).to_have_url(f"{live_server.url}/admin/account/")

    page.goto(reverse("dashboard:account"))
    look(page, "account")
    page.get_by_role("button", name="Sign out everywhere else").click()
    expect(page.get_by_text("1 other session is signed out.")).to_be_visible()
    elsewhere.reload()
    expect(elsewhere.locator("[name=password]")).to_be_visible()
    context.close()
    page.goto(f"{reverse('dashboard:confirm')}?next=/admin/accounts/user/")
    look(page, "confirm")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{live_server.url}/admin/accounts/user/")
    page.goto(reverse("admin:accounts_user_change", args=[user.pk]))
    look(page, "user")
