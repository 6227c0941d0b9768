"""Every page that a person reaches from the sidebar, on a phone and on a desk, light and dark: it fits, and nothing on it fails.

DOCKET_SCREENSHOTS=/some/folder keeps a picture of each page, in both sizes and both colours.
"""

import os
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.accounts.models import User
from apps.workorders.models import Task, WorkOrder
from apps.workorders.states import OrderStatus, TaskStatus
from tests.stories.house import PASSWORD

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.django_db(transaction=True)]
PERSONAS = ("admin", "maker", "sales_h", "supervisor", "operator", "planner", "auditor")
PHONE, DESK = (360, 740), (1440, 900)
PICTURES = os.environ.get("DOCKET_SCREENSHOTS", "")
# Where no pictures are wanted, each size has one colour.
LOOKS = [(PHONE, "light"), (DESK, "dark")] + ([(PHONE, "dark"), (DESK, "light")] if PICTURES else [])
# The page itself, and every card of it whose words run over its edge.
TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll(".docket-panel, .docket-figure, .home-panel, .home-row")]
    .map(one => [one.id || one.className || one.tagName, one.scrollWidth - one.clientWidth])
    .filter(([what, wider]) => wider > 1)"""


def person(name: str) -> User:
    return User.objects.get(username="printer_1" if name == "operator" else name)


def addresses(page: Page, selector: str) -> list[str]:
    """The admin's own addresses in the links that `selector` finds."""
    found = page.locator(selector).evaluate_all("links => links.map(link => link.href)")
    return [f"{one.path}?{one.query}".rstrip("?") for one in map(urlsplit, found) if one.path.startswith("/admin/")]


def kind_of(address: str) -> str:
    """Addresses of one kind are visited once: lists whatever their filter, pages whatever their row."""
    return re.sub(r"\d+", "1", address.split("?", maxsplit=1)[0])


def telling(name: str) -> Iterator[str]:
    """Orders and tasks that have more on their page than the first of their list."""
    user = person(name)
    orders, tasks = WorkOrder.objects.visible_to(user), Task.objects.visible_to(user)
    if user.has_perm("workorders.view_workorder"):
        found = [orders.filter(status=status).order_by("pk").last() for status in (OrderStatus.DRAFT, OrderStatus.IN_PROGRESS)]
        yield from (one.get_absolute_url() for one in found if one)
    if user.has_perm("workorders.view_task"):
        found = [tasks.filter(status=status).order_by("pk").first() for status in (TaskStatus.PENDING, TaskStatus.IN_PROGRESS)]
        yield from (one.get_absolute_url() for one in found if one)
    if name in ("admin", "supervisor") and (order := orders.order_by("pk").first() or WorkOrder.objects.first()):
        yield reverse("admin:workorders_workorder_why", args=[order.pk])


class Visit:
    """One person's way through the pages: each is loaded once, looked at on every screen, and its faults are noted."""

    def __init__(self, page: Page, name: str) -> None:
        self.page, self.name, self.faults, self.seen = page, name, [], set()
        page.on("pageerror", lambda error: self.note(str(error)))
        page.on("console", lambda said: self.note(said.text) if said.type == "error" else None)
        page.on("response", lambda answer: self.note(f"{answer.status} {answer.url}") if answer.status >= 400 else None)

    def note(self, fault: str) -> None:
        self.faults.append(f"{self.name} {urlsplit(self.page.url).path}: {fault}")

    def look_at(self, address: str) -> None:
        self.page.goto(address)
        for (width, height), colours in LOOKS:
            self.page.set_viewport_size({"width": width, "height": height})
            # The site asks for the screen's colours when a page is loaded; this is what it then does.
            self.page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", colours == "dark")
            for what, wider in self.page.evaluate(TOO_WIDE):
                self.note(f"{what} is wider than {width} px by {wider} px")
            if PICTURES:
                self.take_picture(Path(PICTURES) / f"{self.name}-{width}-{colours}", address)

    def take_picture(self, folder: Path, address: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_load_state("networkidle")
        name = re.sub(r"\W+", "_", address.removeprefix("/admin/").replace("/change/", "")).strip("_") or "home"
        self.page.screenshot(path=folder / f"{name[:80]}.png", full_page=True)

    def once(self, address: str) -> bool:
        """Look at the first page of a kind. False: one of its kind was seen before."""
        kind = kind_of(address)
        if kind in self.seen:
            return False
        self.seen.add(kind)
        self.look_at(address)
        return True

    def walk(self) -> None:
        """The sidebar's pages, and for each list: its form for a new row, its first row, and that row's history."""
        self.once("/admin/")
        lists = addresses(self.page, "#nav-sidebar a")
        for address in (*lists, reverse("dashboard:account"), reverse("admin:password_change")):
            if not self.once(address):
                continue
            rows, news = addresses(self.page, "#result_list tbody tr:first-child th a"), addresses(self.page, "a[href*='/add/']")
            if rows and self.once(rows[0]):
                for history in addresses(self.page, "a[href$='/history/']")[:1]:
                    self.once(history)
            if news:
                self.once(news[0])
        for address in telling(self.name):
            self.look_at(address)


@pytest.fixture
def demo(transactional_db):
    call_command("seed_presets", stdout=StringIO())
    call_command("seed_demo", stdout=StringIO())


def test_every_page_fits_and_nothing_on_it_fails(demo, page_of):
    faults: list[str] = []
    for name in PERSONAS:
        page = page_of(person(name))
        visit = Visit(page, name)
        visit.walk()
        faults += visit.faults
        page.close()
    assert faults == []


@pytest.mark.parametrize(("size", "colours"), [(PHONE, "light"), (DESK, "dark")])
def test_the_login_page_signs_in_and_says_what_is_wrong(cast, chromium, live_server, size, colours):
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=colours, base_url=live_server.url, locale="en"
    )
    page = context.new_page()
    visit = Visit(page, "nobody")
    visit.look_at("/admin/login/")
    for password in ("wrong", PASSWORD):
        page.fill("[name=username]", "maker")
        page.fill("[name=password]", password)
        page.get_by_role("button", name="Log in").click()
        if password == "wrong":
            expect(page.get_by_text("The name or the password is wrong.").first).to_be_visible()
            assert page.locator("[name=password]").input_value() == ""
    expect(page).to_have_url(f"{live_server.url}/admin/")
    context.close()
    assert visit.faults == []
