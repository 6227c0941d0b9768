"""Every screen of the floor page on a small handheld and on a desk, in both languages, light and dark; and the scanner bench.

DOCKET_SCREENSHOTS=/some/folder keeps a picture of each.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from apps.scanning.codes import Kind, encode
from apps.scanning.floor import bench_codes
from tests.browser.floor import Floor, command
from tests.scanning.conftest import PIN, handheld, register
from tests.scanning.paper import need_tools
from tests.scanning.sending import code_of

__all__ = ["handheld", "register"]
pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.django_db(transaction=True)]
expect.set_options(timeout=20_000)
SIZES = {"phone": (360, 740), "desk": (1440, 900)}
PICTURES = os.environ.get("DOCKET_SCREENSHOTS", "")
TOUCH = 56  # dots that a gloved finger hits
# Buttons that are too small; the sign of what waits is one to look at, and its screen has a button of its own.
TOO_SMALL = f"""() => [...document.querySelectorAll("button, a.button, input")]
    .filter((one) => one.id !== "waiting" && one.offsetParent && !one.closest("label"))
    .filter((one) => one.getBoundingClientRect().height < {TOUCH} || one.getBoundingClientRect().width < {TOUCH})
    .map((one) => `${{one.id || one.textContent}} ${{Math.round(one.getBoundingClientRect().height)}}`)"""


@pytest.fixture(params=[(size, colours, language) for size in SIZES for colours in ("light", "dark") for language in ("en", "zh-hans")])
def looked_at(request, chromium, live_server, handheld) -> Iterator["Looker"]:
    size, colours, language = request.param
    width, height = SIZES[size]
    context = chromium.new_context(
        viewport={"width": width, "height": height},
        color_scheme=colours,
        base_url=live_server.url,
        locale=language,
        has_touch=size == "phone",
    )
    one = Looker(context, handheld, f"floor-{size}-{colours}-{language}", width)
    yield one
    context.close()
    assert one.faults == []


class Looker(Floor):
    """Looks at each screen that it comes to, and notes what is wrong with it."""

    def __init__(self, context, handheld, name, width) -> None:
        super().__init__(context, handheld)
        self.name, self.width, self.faults, self.seen = name, width, [], 0
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def look(self, screen: str) -> None:
        found = [f"{screen}: {one} is too wide" for one in self.too_wide]
        found += [f"{screen}: {one} is too small" for one in self.page.evaluate(TOO_SMALL)]
        found += [f"{screen}: {one} is against the policy" for one in self.broken_rules]
        self.faults += found
        self.seen += 1
        if PICTURES:
            folder = Path(PICTURES) / self.name
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=folder / f"{self.seen:02}-{screen}.png", full_page=True)

    def on(self, selector: str, screen: str) -> None:
        """Wait for that screen by something that only it has, then look."""
        expect(self.page.locator(selector).first).to_be_visible()
        self.look(screen)


def test_every_screen_fits_and_keeps_to_the_policy(looked_at, shop, operator):
    task = shop.started(shop.ready_to_print(shop.approved("leaflet", instructions="Keep the colour of the sample. " * 4)), by="operator")
    shop.approved("poster")
    one = looked_at
    one.open()
    one.on("#username", "welcome")
    one.open(f"#pair={one.handheld.token}")
    expect(one.page.locator(".screen-badge")).to_be_visible()
    one.page.reload()
    one.on(".screen-badge", "badge")
    one.scan(encode(Kind.BADGE, one.handheld.badge_of(operator).pk))
    one.on("#pin", "pin")
    one.type_pin(PIN)
    one.on(".card", "home")
    one.scan(code_of(task))
    one.on("#do-report", "task")
    one.page.locator("#do-report").click()
    one.on("#report-send", "report")
    one.page.locator("#report-send").click()
    one.on("#voice.is-bad", "refused-by-the-page")
    one.page.locator("#counter-mode").click()
    one.on("#end", "counter")
    one.page.locator("#back").click()
    one.page.locator("#do-pause").click()
    one.on(".screen-pause", "pause")
    one.scan(command("pause"))
    one.on("#do-resume", "paused")
    one.page.locator("#do-undo").click()
    one.on("dialog", "question")
    one.page.locator("#choose-none").click()
    one.lets_through(lambda route: route.abort())
    one.scan(command("resume"))
    one.on("#voice.is-wait", "kept")
    one.page.locator("#tab-last").click()
    one.on(".event", "last")
    one.page.locator("#tab-settings").click()
    one.on("#sign-out", "settings")
    one.scan(code_of(task.order))
    one.on(".screen-pick .card", "order")
    one.page.goto("/floor/bench/")
    one.on("#verdict", "bench")
    one.scan(bench_codes.TEXT)
    one.on("#raw", "bench-scanned")
    assert one.seen == 17


@pytest.fixture
def bench(chromium, live_server, handheld) -> Iterator[Floor]:
    context = chromium.new_context(viewport={"width": 360, "height": 740}, base_url=live_server.url, locale="en", device_scale_factor=3)
    one = Floor(context, handheld)
    one.page.goto("/floor/bench/")
    one.sees("The clock is right.")
    yield one
    context.close()


def test_the_bench_passes_a_good_scanner_and_says_what_a_bad_one_needs(bench):
    bench.scan(bench_codes.TEXT)
    bench.sees("This scanner is ready.")
    bench.sees("It ends each code with Enter.")
    bench.sees("One pull of the trigger came once.")
    bench.scan(bench_codes.TEXT, suffix="Tab")
    bench.sees("It ends each code with Tab.")
    bench.sees("It came twice.")
    bench.page.locator("#again").click()
    bench.scan(bench_codes.TEXT.translate(str.maketrans("AQZWM", "QAWZ?")))
    bench.sees("It types for the keyboard layout “French (AZERTY)”.")
    bench.page.locator("#again").click()
    bench.scan(f"]C1{bench_codes.TEXT}")
    bench.sees("It adds characters: ]C1….")
    bench.page.locator("#again").click()
    bench.scan(bench_codes.TEXT.lower(), suffix="")
    bench.sees("Capitals and small letters are swapped.")
    bench.sees("It ends a code with nothing.")
    bench.page.locator("#again").click()
    bench.scan(encode(Kind.TASK_PAPER, 123, 2))
    bench.sees("A code of Docket came as it is printed.")
    bench.sees("This scanner is ready.")


def test_a_slow_scanner_can_be_taken_as_it_is(bench):
    bench.page.evaluate("localStorage.removeItem('docket.wedge')")
    bench.page.keyboard.type(bench_codes.TEXT, delay=110)
    bench.page.keyboard.press("Enter")
    bench.sees("slower than the 50 ms that count as a scanner")
    bench.page.get_by_role("button", name="for this scanner").click()
    bench.sees("fast enough to be told from typing")


def test_another_scanner_reads_the_codes_of_the_bench(bench, tmp_path):
    """zbar, from a picture of the small screen."""
    need_tools()
    bench.page.locator(".test-code img").last.screenshot(path=tmp_path / "qr.png")
    bench.page.locator(".test-code.is-bars").screenshot(path=tmp_path / "bars.png")
    read = subprocess.run(["zbarimg", "-q", "--raw", "bars.png", "qr.png"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert read.stdout.split() == [bench_codes.TEXT, bench_codes.WIDE_TEXT]


def test_the_page_reads_codes_as_the_server_writes_them(bench):
    """The page's own check, against the server's: codes of all kinds, and all wrong characters and swaps of one of them."""
    numbers = (0, 1, 31, 32, 85, 169, 1023, 10**6, 2**31)
    codes = [encode(kind, number, 7 if kind in "DJ" else None) for kind in Kind for number in numbers]
    assert encode(Kind.TASK, 169)[0] == "K"
    read = bench.page.evaluate(
        "async (codes) => { const {decode} = await import('/static/floor/codes.js'); return codes.map((code) => decode(code)); }", codes
    )
    assert [one.get("number") for one in read] == [*numbers] * len(Kind)
    assert [one["revision"] for one in read] == [7 if one["code"][0] in "DJ" else None for one in read]
    right = encode(Kind.TASK, 123456)
    wrong = [right[:place] + letter + right[place + 1 :] for place in range(1, len(right)) for letter in "0123456789ABCDEFGHJKMNPQRSTVWXYZ"]
    wrong += [right[:place] + right[place + 1] + right[place] + right[place + 2 :] for place in range(1, len(right) - 1)]
    wrong = [one for one in wrong if one != right]
    read = bench.page.evaluate(
        "async (codes) => { const {decode} = await import('/static/floor/codes.js'); return codes.map((code) => decode(code)); }", wrong
    )
    assert {one.get("error") for one in read} == {"wrong_check"}
    read = bench.page.evaluate(
        "async (codes) => { const {decode} = await import('/static/floor/codes.js'); return codes.map((code) => decode(code)); }",
        ["T598", "t5", "T5O8", "K2NB", "T598"],
    )
    assert [one.get("error") for one in read] == ["a_number", "a_number", "a_number", "bad_code", "a_number"]
    for number in (123456, 169):
        again = bench.page.evaluate(f"async () => (await import('/static/floor/codes.js')).encode('T', {number})")
        assert again == encode(Kind.TASK, number)


def test_an_input_method_does_not_swallow_a_scan(bench):
    """With a Chinese input method on, the browser tells keys instead of characters."""
    bench.page.evaluate(
        """(text) => [...text, "Enter"].forEach((letter) => document.dispatchEvent(new KeyboardEvent("keydown", {
            key: letter === "Enter" ? "Enter" : "Process", code: /\\d/.test(letter) ? `Digit${letter}` : `Key${letter}`,
            shiftKey: /[A-Z]/.test(letter), bubbles: true, cancelable: true})))""",
        bench_codes.TEXT,
    )
    bench.sees("This scanner is ready.")
