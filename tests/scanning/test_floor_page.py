"""The files of the floor page: public, strict, complete, and the same on every handheld until one of them changes."""

import json
import re
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import storages
from django.core.management import call_command
from django.test import override_settings
from django.urls import reverse

from apps.core.statics import HashedFiles
from apps.scanning.codes import Kind, encode
from apps.scanning.floor import bench_codes, shell
from apps.scanning.floor.policy import POLICY
from tests.factories import TaskFactory, WorkOrderFactory
from tests.personas import client_of

FOLDER = Path(finders.find("floor"))
SCRIPTS = {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in sorted(FOLDER.rglob("*.js"))}
PAGES = ["page", "bench", "worker", "manifest", "clock", "test_qr", "test_bars"]
DESK = "Mozilla/5.0 (X11; Linux x86_64)"
PHONE = "Mozilla/5.0 (Linux; Android 13; TC21) AppleWebKit/537.36 Mobile Safari/537.36"


def texts(client, language: str = "en") -> dict:
    return client.get(f"/floor/texts.{language}.json").json()


# -- the pages


@pytest.mark.parametrize("name", PAGES)
def test_everybody_gets_the_files_under_the_strict_policy_without_cookie_or_query(client, name):
    """This test has no database."""
    answer = client.get(reverse(f"floor:{name}"))
    assert answer.status_code == 200
    assert answer["Content-Security-Policy"] == POLICY
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Cache-Control"] == ("no-store" if name == "clock" else "no-cache")
    assert answer.cookies == {}
    assert client.post(reverse(f"floor:{name}")).status_code == 405


def test_the_policy_allows_nothing_inline_and_nothing_of_others():
    rules = dict(rule.split(" ", 1) for rule in POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert not re.search(r"unsafe|\*|https?:", POLICY)
    assert {rules[name] for name in ("script-src", "style-src", "connect-src", "worker-src", "manifest-src")} == {"'self'"}


@pytest.mark.parametrize("name", ["page", "bench"])
def test_a_page_has_no_script_and_no_style_of_its_own(client, name):
    html = client.get(reverse(f"floor:{name}")).content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", html) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", html) == []


def test_no_script_makes_markup_from_text():
    words = (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        'setAttribute("style"',
        "http://",
        "//cdn",
    )
    found = [f"{name}: {word}" for name, text in SCRIPTS.items() for word in words if word in text]
    assert found == ["dom.js: http://"]  # the namespace of SVG
    assert "http://www.w3.org/2000/svg" in SCRIPTS["dom.js"]


def test_the_manifest_makes_the_page_installable(client):
    answer = client.get("/floor/manifest.webmanifest")
    told = answer.json()
    assert answer["Content-Type"] == "application/manifest+json"
    assert (told["start_url"], told["scope"], told["display"]) == ("/floor/", "/floor/", "standalone")
    assert {icon["sizes"] for icon in told["icons"]} == {"192x192", "512x512"}
    assert all(finders.find(icon["src"].removeprefix("/static/")) for icon in told["icons"])


# -- the service worker


def test_the_worker_knows_every_file_of_the_page(client):
    answer = client.get("/floor/sw.js")
    assert answer["Content-Type"] == "text/javascript; charset=utf-8"
    told = json.loads(re.match(r"const SHELL = (.*);", answer.content.decode())[1])
    kept = set(told["files"])
    for page in (file for file in kept if file.startswith("/floor/")):
        assert client.get(page).status_code == 200, page
    for page in ("/floor/", "/floor/bench/"):
        html = client.get(page).content.decode()
        needed = set(re.findall(r'(?:href|src|data-\w+)="(/[^"]+)"', html))
        assert needed - kept == set()
    imported = {f"/static/floor/{(Path(name).parent / target).as_posix()}" for name, text in SCRIPTS.items() for target in imports(text)}
    imported = {re.sub(r"[^/]+/\.\./", "", one.replace("/./", "/")) for one in imported}
    assert imported - kept == set()
    assert "/static/floor/worker.js" not in kept


def imports(text: str) -> list[str]:
    return re.findall(r'from "(\.[^"]+)";', text)


def test_the_version_is_that_of_the_files(client, monkeypatch):
    first = shell.shell()
    assert shell.shell() == first
    page = client.get("/floor/").content.decode()
    assert f'data-version="{first.version}"' in page
    monkeypatch.setattr(shell, "words", lambda: {"texts": {"ok": "Fine"}})
    assert shell._read().version != first.version


@override_settings(DEBUG=False)
def test_hashed_modules_import_hashed_modules(tmp_path):
    """In production a handheld must never get a module of yesterday for a module of today."""
    options = {"BACKEND": "apps.core.statics.HashedFiles", "OPTIONS": {"location": tmp_path, "base_url": "/static/"}}
    with override_settings(STORAGES=settings.STORAGES | {"staticfiles": options}, STATIC_ROOT=tmp_path):
        storage = storages["staticfiles"]
        assert isinstance(storage, HashedFiles)
        call_command(
            "collectstatic", interactive=False, verbosity=0, ignore_patterns=["admin", "unfold", "drf_spectacular_sidecar", "import_export"]
        )
        hashed = json.loads((tmp_path / "staticfiles.json").read_text())["paths"]
        modules = {name: tmp_path / hashed[f"floor/{name}"] for name in SCRIPTS}
        targets = {path: imports(path.read_text()) for path in modules.values()}
        assert sum(map(len, targets.values())) > 30
        assert [
            (path.name, target) for path, found in targets.items() for target in found if not (path.parent / target).resolve().exists()
        ] == []
        assert [target for found in targets.values() for target in found if not re.search(r"\.[0-9a-f]{12}\.js$", target)] == []


# -- what it says


def test_every_text_that_a_script_asks_for_is_there_and_every_one_is_asked_for(client):
    known = set(texts(client)["texts"])
    source = "\n".join(SCRIPTS.values())
    assert set(re.findall(r'\bt\("(\w+)"', source)) - known == set()
    literal = set(re.findall(r'"([a-z_]+)"', source))
    built = [re.sub(r"\$\{[^}]*\}", r"\\w+", one) for one in re.findall(r"`((?:\w|\$\{[^}`]*\})+)`", source) if "_" in one]
    assert {key for key in known - literal if not any(re.fullmatch(pattern, key) for pattern in built)} == set()


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_texts_carry_the_shops_own_lists(client, language):
    told = texts(client, language)
    assert told["language"] == language
    assert [reason["number"] for reason in told["reasons"]] == list(range(1, 12))
    assert told["commands"]["3"] == "complete"
    assert set(told["verbs"]) == {"claim", "release", "start", "pause", "resume", "report", "complete", "undo"}
    assert told["statuses"]["in_progress"]
    assert client.get("/floor/texts.fr.json").status_code == 404


# -- the bench's codes


def test_the_bench_shows_codes_that_fit_a_small_screen(client):
    for name in ("test_qr", "test_bars"):
        answer = client.get(reverse(f"floor:{name}"))
        assert answer["Content-Type"] == "image/svg+xml"
        xml.fromstring(answer.content)
    width = int(re.search(r'viewBox="0 -4 (\d+)', bench_codes.bars())[1])
    assert width <= 180  # bars of at least one and a half dots at 360 pixels
    assert {"A", "Q", "Z", "W", "M", "Y"} <= set(bench_codes.TEXT)


# -- /s/ of a phone's camera


@pytest.mark.parametrize("tail", ["", "/"])
def test_an_address_of_a_code_goes_on_to_the_floor_page_for_who_is_not_signed_in(client, tail, db):
    code = encode(Kind.TASK, 85)
    answer = client.get(f"/s/{code.lower()}{tail}")
    assert (answer.status_code, answer["Location"]) == (302, f"/floor/#code={code}")


def test_the_office_sees_the_order_or_the_task(shop, supervisor):
    task = shop.ready_to_print(shop.approved())
    order = task.order
    client = client_of(supervisor)
    codes = [(Kind.TASK, task, None), (Kind.ORDER, order, None)]
    codes += [(Kind.TASK_PAPER, task, order.revision), (Kind.ORDER_PAPER, order, order.revision)]
    for kind, row, revision in codes:
        answer = client.get(f"/s/{encode(kind, row.pk, revision)}", headers={"user-agent": DESK})
        assert (answer.status_code, answer["Location"]) == (302, row.get_absolute_url())
    assert client.get(f"/s/{encode(Kind.TASK, task.pk)}", headers={"user-agent": PHONE})["Location"].startswith("/floor/#code=")


def test_what_is_out_of_sight_is_as_absent_as_what_is_not_there(shop, stranger):
    hidden = shop.ready_to_print(shop.approved())
    client = client_of(stranger)
    pages = [
        client.get(f"/s/{encode(kind, number)}")
        for kind, number in [(Kind.TASK, hidden.pk), (Kind.ORDER, hidden.order_id), (Kind.TASK, 10**6)]
    ]
    assert [page.status_code for page in pages] == [404, 404, 404]
    assert len({re.sub(r"[0-9a-f]{32}", "", page.content.decode()) for page in pages}) == 1


@pytest.mark.parametrize("code", ["T85", "XYZ", encode(Kind.TASK, 85)[:-1] + "!", "<b>", "T" * 40])
def test_what_is_no_code_says_so(client, code, db):
    answer = client.get(f"/s/{code}")
    assert answer.status_code == 404
    assert "<b>" not in answer.content.decode()


def test_commands_and_badges_have_nothing_behind_them_in_the_office(shop, supervisor):
    answer = client_of(supervisor).get(f"/s/{encode(Kind.COMMAND, 1)}")
    assert answer.status_code == 404
    assert "for scanning on the floor page" in answer.content.decode()


def test_a_code_s_page_costs_at_most_five_queries(shop, supervisor, django_assert_max_num_queries):
    order = WorkOrderFactory()
    TaskFactory()
    client = client_of(supervisor)
    with django_assert_max_num_queries(5):
        assert client.get(f"/s/{encode(Kind.ORDER, order.pk)}").status_code == 404
