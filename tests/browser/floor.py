"""A handheld's browser on the floor page, with a scanner that types like a keyboard."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page, expect

from apps.scanning.codes import COMMANDS, REASONS, Kind, encode
from tests.scanning.conftest import PIN, Handheld

# A machine that runs tests is slower at typing than a scanner. What comes through to the page anyway is found out from it.
AT_EASE = """if (location.protocol !== "about:") localStorage.setItem("docket.wedge", JSON.stringify({gap: 300, again: 700}));
window.broken = [];
document.addEventListener("securitypolicyviolation", (event) => window.broken.push(`${event.violatedDirective} ${event.blockedURI}`));"""
TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !one.closest("dialog:not([open])"))
    .map((one) => `${one.tagName}.${one.className} ${Math.round(one.getBoundingClientRect().right)}`)"""
NUMBERS = {verb: number for number, verb in COMMANDS.items()}
REASON_NUMBERS = {reason: number for number, reason in REASONS.items()}


def command(verb: str) -> str:
    """The code of a command on the ticket."""
    return encode(Kind.COMMAND, NUMBERS[verb])


def reason(code: str) -> str:
    return encode(Kind.REASON, REASON_NUMBERS[code])


class Floor:
    """One handheld: its browser, and what a person does with it."""

    def __init__(self, context: BrowserContext, handheld: Handheld) -> None:
        self.context, self.handheld = context, handheld
        context.add_init_script(AT_EASE)
        self.page = self.new_tab()

    def new_tab(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(20_000)
        return page

    # -- what one does

    def open(self, fragment: str = "") -> None:
        self.page.goto(f"/floor/{fragment}")

    def pair(self) -> None:
        self.open(f"#pair={self.handheld.token}")
        self.hears(f"This handheld is {self.handheld.device.name} now.")

    def scan(self, text: str, suffix: str = "Enter") -> None:
        """Type as a scanner does: fast, with a key at the end."""
        self.page.keyboard.type(text)
        if suffix:
            self.page.keyboard.press(suffix)

    def badge_in(self, person: Any, pin: str = PIN) -> None:
        self.scan(encode(Kind.BADGE, self.handheld.badge_of(person).pk))
        self.type_pin(pin)
        self.hears(f"Hello {person}.")

    def type_pin(self, pin: str = PIN) -> None:
        for digit in pin:
            self.page.locator(".key", has_text=digit).click()
        self.page.locator("#pin-send").click()

    def report(self, good: int, scrap: int = 0, why: str = "") -> None:
        """By the buttons, from the task's own screen."""
        self.page.locator("#do-report").click()
        self.page.locator("#good").fill(str(good))
        if scrap:
            self.page.locator("#scrap").fill(str(scrap))
            self.page.locator(f"#reason-{why}").click()
        self.page.locator("#report-send").click()

    # -- what one sees

    def hears(self, words: str, kind: str = "") -> None:
        """The big answer says so, in that colour."""
        voice = self.page.locator("#voice")
        expect(voice).to_contain_text(words)
        if kind:
            expect(voice).to_have_class(re.compile(rf"\bis-{kind}\b"))

    def sees(self, words: str) -> None:
        expect(self.page.locator("#screen")).to_contain_text(words)

    def shows_waiting(self, count: int) -> None:
        expect(self.page.locator("#waiting")).to_contain_text(f"{count} waiting" if count else "All sent")

    def is_kept_for_offline(self) -> None:
        """Wait until the service worker has everything that the page needs."""
        self.page.evaluate("navigator.serviceWorker.ready.then(() => null)")
        self.page.wait_for_function("navigator.serviceWorker.controller !== null")

    @property
    def broken_rules(self) -> list[str]:
        """What the content security policy has kept from the page that is open."""
        return self.page.evaluate("window.broken")

    @property
    def too_wide(self) -> list[str]:
        return self.page.evaluate(TOO_WIDE)

    def lets_through(self, decide: Callable) -> None:
        """Every batch goes by `decide(route)`."""
        self.context.route("**/api/scans/batch/", decide)
