"""The reference client keeps the contract of project/docs/handhelds.md, against a live server."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from apps.scanning.models import Scan
from apps.scanning.services.devices import new_pin
from apps.scanning.simulation.handheld import Handheld, NoReply, Problem, SignInAgain, StillWaiting
from apps.scanning.simulation.proxy import CuttingProxy
from apps.workorders.models import WorkEvent
from tests.floor.conftest import code_of

pytestmark = pytest.mark.slow


def results(answers: list[dict]) -> list[str]:
    return [answer["result"] for answer in answers]


def test_a_scan_goes_from_capture_to_the_ledger_and_names_person_and_handheld(handheld, device, shop, task):
    hand = handheld()
    hand.capture(code_of(task))
    hand.capture(code_of(task), "report", quantity=300, scrap=5, reason_code="setup")
    assert results(hand.drain()) == ["applied", "applied"]
    assert hand.queue.waiting == []
    event = WorkEvent.objects.get(task=task, verb="report")
    assert (event.good, event.scrap, event.actor, event.device) == (300, 5, shop.people["operator"], device.name)
    assert Scan.objects.get(pk=event.scan_id).device == device


def test_what_one_person_captured_never_goes_under_another_persons_session(handheld, badge_of, shop, task, other_task):
    hand = handheld("operator")
    hand.capture(code_of(task))
    hand.badge_in(*badge_of("second_operator"))
    hand.capture(code_of(other_task))
    assert results(hand.drain()) == ["applied"]
    assert [one.user for one in hand.queue.waiting] == [shop.people["operator"].pk]
    assert not Scan.objects.filter(user=shop.people["operator"]).exists()
    hand.badge_in(*badge_of("operator"))
    assert results(hand.drain()) == ["applied"]
    assert set(WorkEvent.objects.filter(task=task, verb="start").values_list("actor__username", flat=True)) == {"operator"}


def test_nothing_older_than_a_shift_goes_unasked(handheld, task):
    now = datetime.now(UTC)
    hand = handheld(clock=lambda: now)
    hand.capture(code_of(task))
    now += timedelta(hours=12, minutes=1)
    assert (hand.ready(), len(hand.old()), hand.send()) == ([], 1, [])
    hand.send_old()
    assert results(hand.send()) == ["applied"]


def test_signing_out_warns_while_something_waits(handheld, task):
    hand = handheld()
    hand.capture(code_of(task))
    with pytest.raises(StillWaiting) as warned:
        hand.sign_out()
    assert (warned.value.count, bool(hand.session)) == (1, True)
    session = hand.session
    hand.sign_out(anyway=True)
    assert (hand.session, hand.ready()) == ("", [])
    with pytest.raises(Problem) as refused:
        hand.ask("GET", "/api/auth/me/", token=session)
    assert (refused.value.http_status, refused.value.code) == (401, "session_ended")
    hand.sign_out()


def test_a_refused_scan_stops_its_lane_until_somebody_looked(handheld, task, other_task):
    hand, code, other = handheld(), code_of(task), code_of(other_task)
    hand.capture(code, "resume")
    hand.capture(code)
    hand.capture(other)
    assert results(hand.drain()) == ["refused", "blocked", "applied"]
    assert set(hand.queue.stopped) == {code}
    assert [one.item["verb"] for one in hand.queue.waiting] == [""]
    assert hand.ready() == []
    hand.looked_at(code)
    assert results(hand.drain()) == ["applied"]


def test_a_refusal_whose_answer_was_lost_stops_the_lane_too(handheld, live_server, task):
    hand, code = handheld(), code_of(task)
    hand.capture(code, "resume")
    direct = hand.site
    with CuttingProxy(live_server.url, cut=1, seed=1) as proxy:
        hand.site = Handheld(proxy.site, "").site
        with pytest.raises(NoReply):
            hand.send()
    hand.site = direct
    (answer,) = hand.drain()
    assert (answer["result"], answer["outcome"]) == ("duplicate", "refused")
    assert set(hand.queue.stopped) == {code}


def test_an_ended_session_keeps_what_waits_for_the_same_person(handheld, badge_of, shop, task):
    hand = handheld()
    hand.capture(code_of(task))
    badge = shop.people["operator"].badges.get()
    pin = new_pin(badge, by=shop.people["administrator"])
    with pytest.raises(SignInAgain):
        hand.send()
    assert (hand.session, len(hand.queue.waiting), hand.ready()) == ("", 1, [])
    hand.badge_in(badge_of("operator")[0], pin)
    assert results(hand.drain()) == ["applied"]


def test_the_queue_outlives_a_restart(handheld, task):
    before = handheld()
    before.capture(code_of(task))
    after = handheld(queue=before.queue)
    after.capture(code_of(task), "report", quantity=10)
    assert [one.item["seq"] for one in after.queue.waiting] == [1, 2]
    assert results(after.drain()) == ["applied", "applied"]


def test_a_client_that_is_too_fast_waits_as_long_as_it_is_told(handheld, settings, task):
    hand = handheld()
    settings.DOCKET_API_PER_MINUTE = 10
    waits = []
    for _scan in range(11):
        hand.capture(code_of(task), "start")
        try:
            hand.send()
        except NoReply as told:
            waits.append(told.wait)
        hand.looked_at(code_of(task))
    assert waits == [6]


def test_pauses_grow_to_a_minute_and_differ():
    hand = Handheld("http://127.0.0.1:1", "", chance=Random(1))
    pauses = [hand.backoff(failed) for failed in range(1, 12)]
    for failed, pause in enumerate(pauses, 1):
        usual = min(2 ** (failed - 1), 60)
        assert usual / 2 <= pause <= usual * 1.5
    assert len({round(hand.backoff(9), 3) for _time in range(20)}) > 10


def test_a_site_that_does_not_answer_is_tried_again_and_nothing_is_dropped(handheld, live_server, task):
    waits: list[float] = []
    hand = handheld(wait=waits.append)
    hand.capture(code_of(task))
    direct, hand.site = hand.site, Handheld("http://127.0.0.1:1", "").site
    with pytest.raises(NoReply):
        hand.drain(tries=4)
    assert (len(waits), len(hand.queue.waiting)) == (3, 1)
    hand.site = direct
    assert results(hand.drain()) == ["applied"]
