"""A reply that is cut off after the commit: sending the same again is answered as the first time, and does nothing."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from apps.core.models import IdempotencyKey
from apps.scanning.models import Scan
from apps.scanning.services.devices import register_device
from apps.scanning.simulation.handheld import Handheld, NoReply
from apps.scanning.simulation.proxy import CuttingProxy
from apps.workorders.models import Task, WorkEvent
from tests.floor.conftest import code_of

pytestmark = pytest.mark.slow


@pytest.fixture
def cut(live_server: Any) -> Iterator[Handheld]:
    """Whoever speaks through this is heard, and hears nothing."""
    with CuttingProxy(live_server.url, cut=1, seed=1) as proxy:
        yield Handheld(proxy.site, "")
        assert (proxy.passed, proxy.broken) == (0, 0)


def post(hand: Handheld, path: str, body: Any, *, token: str, key: str = "") -> tuple[int, dict[str, str], bytes]:
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
    return hand.exchange("POST", path, json.dumps(body).encode(), headers)


def test_a_command_is_answered_byte_for_byte_as_it_would_have_been(cut, handheld, task):
    hand = handheld()
    hand.capture(code_of(task))
    hand.drain()
    path, body, key = f"/api/tasks/{task.pk}/update_progress/", {"quantity": 120}, str(uuid.uuid4())
    with pytest.raises(NoReply):
        post(cut, path, body, token=hand.session, key=key)
    assert WorkEvent.objects.filter(task=task, verb="report").count() == 1
    (first, headers, said), (second, _headers, again) = (post(hand, path, body, token=hand.session, key=key) for _time in range(2))
    assert (first, second, said) == (200, 200, again)
    assert headers["idempotent-replayed"] == "true"
    assert json.loads(said)["good"] == 120
    assert (Task.objects.get(pk=task.pk).good, IdempotencyKey.objects.count()) == (120, 1)


def test_a_scan_is_a_duplicate_with_what_the_first_one_got(cut, handheld, task):
    hand = handheld()
    item = hand.capture(code_of(task)).item
    with pytest.raises(NoReply):
        post(cut, "/api/scans/", item, token=hand.session)
    first = Scan.objects.get()
    replies = [post(hand, "/api/scans/", item, token=hand.session) for _time in range(2)]
    assert [status for status, _headers, _text in replies] == [200, 200]
    assert replies[0][2] == replies[1][2]
    answer = json.loads(replies[0][2])
    assert (answer["result"], answer["outcome"], answer["verb"], answer["scan_id"]) == ("duplicate", "applied", "start", first.pk)
    assert answer["task"]["status"] == "in_progress"
    assert {name: answer[name] for name in first.answer} == first.answer
    assert list(WorkEvent.objects.filter(task=task, scan_id=first.pk).values_list("verb", flat=True).order_by("pk")) == ["claim", "start"]


def test_a_refusal_is_told_again_as_it_was(cut, handheld, task):
    hand = handheld()
    item = hand.capture(code_of(task), "resume").item
    with pytest.raises(NoReply):
        post(cut, "/api/scans/", item, token=hand.session)
    first = Scan.objects.get()
    assert first.outcome == "refused"
    answers = [json.loads(post(hand, "/api/scans/", item, token=hand.session)[2]) for _time in range(2)]
    assert answers[0] == answers[1]
    assert (answers[0]["result"], answers[0]["outcome"], answers[0]["detail"]) == ("duplicate", "refused", first.answer["detail"])
    assert Scan.objects.count() == 1


def test_a_batch_and_one_scan_are_the_same_scan(cut, handheld, task):
    hand, code = handheld(), code_of(task)
    items = [hand.capture(code).item, hand.capture(code, "report", quantity=7).item]
    with pytest.raises(NoReply):
        post(cut, "/api/scans/batch/", {"device_time": hand.clock().isoformat(), "items": items}, token=hand.session)
    singles = [json.loads(post(hand, "/api/scans/", item, token=hand.session)[2])["result"] for item in items]
    assert singles == ["duplicate", "duplicate"]
    assert [answer["result"] for answer in hand.drain()] == ["duplicate", "duplicate"]
    assert (Task.objects.get(pk=task.pk).good, Scan.objects.count()) == (7, 2)


def test_a_claim_whose_reply_was_lost_is_still_the_first(cut, handheld, badge_of, live_server, shop, task):
    hand = handheld("operator")
    item = hand.capture(code_of(task), "claim").item
    with pytest.raises(NoReply):
        post(cut, "/api/scans/", item, token=hand.session)
    _row, token = register_device("Press room 2", shop.departments["printing"], by=shop.people["administrator"])
    other = Handheld(live_server.url, token)
    other.badge_in(*badge_of("second_operator"))
    later = post(other, "/api/scans/", other.capture(code_of(task), "claim").item, token=other.session)
    told = json.loads(later[2])
    assert (later[0], told["code"], told["operator"]) == (409, "already_claimed", "Operator")
    assert [answer["outcome"] for answer in hand.drain()] == ["applied"]
    assert Task.objects.get(pk=task.pk).operator == shop.people["operator"]
