"""What a handheld is told when something is wrong with it, its token, its code, its batch or its clock: exactly, over HTTP."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from apps.scanning.codes import Kind, encode
from apps.scanning.models import Device, Scan
from apps.scanning.services.devices import register_device, revoke_device
from apps.scanning.simulation.handheld import Handheld
from apps.workorders.models import Task
from tests.floor.conftest import code_of
from tests.shop import Shop

pytestmark = pytest.mark.slow
RUSSIAN = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ФИСВУАПРШОЛДЬТЩЗЙКЫЕГМЦЧНЯ")


def said(hand: Handheld, method: str, path: str, body: Any = None, *, token: str) -> tuple[int, dict[str, Any]]:
    """Status and body of one request, whatever they are."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    status, _headers, text = hand.exchange(method, path, raw, headers)
    return status, json.loads(text)


def scan(code: str, **values: Any) -> dict[str, Any]:
    return {"client_event_id": str(uuid.uuid4()), "code": code, "captured_at": datetime.now(UTC).isoformat()} | values


def batch(*items: dict[str, Any], device_time: datetime | None = None) -> dict[str, Any]:
    return {"device_time": (device_time or datetime.now(UTC)).isoformat(), "items": list(items)}


def through_every_door(hand: Handheld, code: str, *, token: str) -> dict[str, tuple[int, str]]:
    """(status, code) of resolving, of one scan, and of the scan in a batch, whose own result counts."""
    answers = {
        "resolve": said(hand, "GET", f"/api/scans/resolve/?code={quote(code, safe='')}", token=token),
        "scan": said(hand, "POST", "/api/scans/", scan(code), token=token),
    }
    found = {door: (status, answer["code"]) for door, (status, answer) in answers.items()}
    status, answer = said(hand, "POST", "/api/scans/batch/", batch(scan(code)), token=token)
    one = answer["results"][0] if status == 200 else answer
    return found | {"batch": (status, one["code"] if status != 200 else f"{one['result']} {one['code']}")}


@pytest.mark.parametrize("what", ["stranger", "revoked", "session of a revoked one", "alone"])
def test_a_handheld_that_may_not(what: str, handheld: Callable, device: Device, shop: Shop, task: Task):
    hand = handheld()
    if "revoked" in what:
        revoke_device(device, by=shop.people["administrator"], reason="stolen")
    token = {"stranger": "dkd_" + "x" * 40, "session of a revoked one": hand.session}.get(what, device.token)
    found = through_every_door(hand, code_of(task), token=token)
    if what == "alone":
        status, answer = said(hand, "GET", f"/api/scans/resolve/?code={code_of(task)}", token=token)
        assert (status, answer["kind"], answer["verbs"]) == (200, "task", [])
        assert {door: found[door] for door in ("scan", "batch")} == dict.fromkeys(("scan", "batch"), (403, "badge_needed"))
    else:
        assert set(found.values()) == {(401, "token_unknown" if what == "stranger" else "token_revoked")}
    assert not Scan.objects.exists()


def wrong_codes(task: Task) -> dict[str, tuple[str, int, str]]:
    code = code_of(task)
    # A letter: with a digit it could be a task's number. One that lies at the same place on every keyboard: else it could be a layout.
    wrong = code[:-1] + ("B" if code[-1] != "B" else "C")
    return {
        "a wrong check character": (wrong, 400, "wrong_check"),
        "a swapped layout": (code.translate(RUSSIAN), 400, "wrong_layout"),
        "another host": (f"https://docket.elsewhere.example/s/{code}", 400, "foreign_host"),
        "a task's number": (str(task), 400, "a_number"),
        "no code at all": ("6901234567892", 400, "bad_code"),
        "a task that is not there": (encode(Kind.TASK, task.pk + 10_000), 404, "unknown_code"),
    }


@pytest.mark.parametrize(
    "what", ["a wrong check character", "a swapped layout", "another host", "a task's number", "no code at all", "a task that is not there"]
)
def test_a_code_that_is_wrong(what: str, handheld: Callable, task: Task):
    code, status, answer = wrong_codes(task)[what]
    hand = handheld()
    found = through_every_door(hand, code, token=hand.session)
    assert found == {"resolve": (status, answer), "scan": (status, answer), "batch": (200, f"refused {answer}")}
    # Refused, and kept all the same: what came is never lost.
    assert list(Scan.objects.values_list("code", "outcome", "outcome_code")) == [(code, "refused", answer)] * 2


def test_another_departments_code_reads_as_one_that_is_not_there(live_server, badge_of, shop, task):
    _row, token = register_device("Loading bay", shop.departments["outsourcing"], by=shop.people["administrator"])
    hand = Handheld(live_server.url, token)
    hand.badge_in(*badge_of("stranger"))
    seen = through_every_door(hand, code_of(task), token=hand.session)
    absent = through_every_door(hand, encode(Kind.TASK, task.pk + 10_000), token=hand.session)
    assert seen == absent == {"resolve": (404, "unknown_code"), "scan": (404, "unknown_code"), "batch": (200, "refused unknown_code")}
    alone = [said(hand, "GET", f"/api/scans/resolve/?code={code}", token=token) for code in (code_of(task), encode(Kind.TASK, task.pk + 9))]
    assert [(status, answer["code"]) for status, answer in alone] == [(404, "unknown_code")] * 2
    assert alone[0][1]["detail"] == alone[1][1]["detail"]


def test_a_batch_of_201_is_refused_whole(handheld, task):
    hand = handheld()
    items = [scan(code_of(task), lane="x", seq=number) for number in range(201)]
    status, answer = said(hand, "POST", "/api/scans/batch/", batch(*items), token=hand.session)
    assert (status, answer["code"], answer["retry"]) == (413, "too_many_items", "never")
    assert not Scan.objects.exists()
    status, answer = said(hand, "POST", "/api/scans/batch/", batch(*items[:200]), token=hand.session)
    assert (status, len(answer["results"]), answer["applied"]) == (200, 200, 1)


@pytest.mark.parametrize("path", ["/api/scans/", "/api/scans/batch/"])
def test_a_body_of_more_than_a_megabyte_is_refused(path, handheld, task):
    hand = handheld()
    raw = json.dumps(batch(scan(code_of(task), reason="x" * 1024 * 1024))).encode()
    status, answer = said(hand, "POST", path, raw, token=hand.session)
    assert (status, answer["code"], answer["retry"]) == (413, "too_large", "never")
    assert not Scan.objects.exists()


def test_a_clock_of_last_year_is_flagged_and_not_believed(handheld, task):
    hand, then = handheld(), datetime.now(UTC) - timedelta(days=365)
    one = scan(code_of(task), captured_at=(then - timedelta(minutes=10)).isoformat())
    status, answer = said(hand, "POST", "/api/scans/batch/", batch(one, device_time=then), token=hand.session)
    assert (status, answer["applied"], answer["clock"]["is_off"]) == (200, 1, True)
    assert answer["clock"]["offset_seconds"] == pytest.approx(-365 * 86400, abs=5)
    row = Scan.objects.get()
    assert row.is_clock_off
    assert row.happened_at - row.received_at == pytest.approx(timedelta(minutes=-10), abs=timedelta(seconds=5))
    assert row.captured_at == then - timedelta(minutes=10)
