"""The content policy in a real browser: the pages that move and the API's own pages break none of it; a script in a page is dead.

(test_pages.py walks all of the sidebar's pages and takes what a policy stops for a fault.)
"""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
LISTEN = """window.stopped = [];
addEventListener("securitypolicyviolation", event => window.stopped.push(`${event.violatedDirective} ${event.blockedURI}`));"""


@pytest.fixture
def watched(shop, page_of):
    page = page_of(shop.people["superuser"])
    page.add_init_script(LISTEN)
    return page


def stopped(page) -> list[str]:
    return page.evaluate("window.stopped")


def test_dialogs_dates_choices_and_menus_break_nothing(shop, watched):
    order = shop.draft()
    watched.goto(reverse("admin:workorders_workorder_change", args=[order.pk]))
    watched.locator(".docket-buttons").get_by_text("Submit").click()
    expect(watched.locator("#dialog button[type=submit]")).to_be_enabled()
    watched.locator("#dialog").get_by_role("button", name="Cancel").click()
    watched.locator(".datetimeshortcuts a").nth(1).click()
    expect(watched.locator(".calendarbox").first).to_be_visible()
    watched.keyboard.press("Escape")
    watched.locator(".select2-selection").first.click()
    expect(watched.locator(".select2-results__option").first).to_be_visible()
    assert stopped(watched) == []
    watched.goto(reverse("admin:workorders_workorder_changelist"))
    watched.get_by_text("Filters").first.click()
    assert stopped(watched) == []


# ReDoc draws its maker's sign from the maker's host: that stays out, and nobody there learns who reads our pages.
@pytest.mark.parametrize(
    ("name", "sign", "kept_out"),
    [("api:docs", ".opblock", []), ("api:redoc", ".api-content h2", ["img-src https://cdn.redoc.ly/redoc/logo-mini.svg"])],
)
def test_the_pages_of_the_api_are_drawn(watched, name, sign, kept_out):
    watched.goto(reverse(name))
    expect(watched.locator(sign).first).to_be_visible(timeout=30_000)  # ReDoc works on the schema for seconds
    assert stopped(watched) == kept_out


def test_a_script_that_got_into_a_page_is_dead(watched):
    """Markup that no page of ours lets through, put into the answer on its way, and into the page later."""
    evil = "<img src=x onerror='window.owned=1'><script>window.owned=1</script><a href='javascript:window.owned=1'>go</a>"

    def plant(route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace("<body", f"<body>{evil}</body><body", 1))

    watched.route("**/admin/account/", plant)
    watched.goto(reverse("dashboard:account"))
    watched.get_by_text("go", exact=True).dispatch_event("click")
    watched.evaluate("document.body.append(Object.assign(document.createElement('script'), {src: 'https://evil.test/x.js'}))")
    watched.wait_for_function("window.stopped.length >= 4")
    assert {one.split()[0] for one in stopped(watched)} == {"script-src-attr", "script-src-elem"}
    assert watched.evaluate("window.owned") is None
