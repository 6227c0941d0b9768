"""A scan that comes after its task or order was closed: neither lost nor silently counted."""

from datetime import timedelta

import pytest

from apps.notices.models import Notice
from apps.scanning.models import Scan
from apps.workorders import services as do
from tests.personas import again, api_of
from tests.scanning.sending import broken, counted, item, moment, send, stored, told


@pytest.fixture
def api(handheld, operator):
    return handheld.signed_in(operator)


@pytest.fixture
def completed_task(shop):
    """A printing task that `operator` completed with 1,000; its order runs."""
    return shop.task_in("completed")


@pytest.mark.parametrize("verb", ["report", "complete"])
def test_pieces_for_a_completed_task_are_held(api, completed_task, verb):
    sent = item(completed_task, verb, quantity=40, scrap=2, reason="colour")
    answer = send(api, sent)
    assert told(answer) == (200, "held", "late")
    assert "completed" in answer.json()["detail"]
    scan = stored(sent)
    assert (scan.outcome, scan.decision, scan.task, scan.quantity, scan.scrap) == ("held", "", completed_task, 40, 2)
    assert counted(completed_task) == (1000, 0)
    assert told(send(api, sent)) == (200, "duplicate", "late")
    assert Scan.objects.in_inbox().count() == 1
    assert broken() == []


def test_the_leads_are_told_once(api, completed_task, supervisor, prepress_lead):
    sent = item(completed_task, "report", quantity=40)
    send(api, sent)
    send(api, sent)
    notice = Notice.objects.get(kind="scan_held")
    assert (notice.user, notice.params) == (supervisor, {"number": str(completed_task), "order": completed_task.order.number})
    assert "waits for your decision" in str(notice)


def test_pieces_for_a_cancelled_task_a_completed_and_a_cancelled_order_are_held(api, shop, running_task, supervisor, salesperson):
    do.cancel_task(running_task, by=again(supervisor), reason="Not needed.")
    assert told(send(api, item(running_task, "report", quantity=4))) == (200, "held", "late")
    done = shop.finish_all(shop.approved())
    assert told(send(api, item(shop.task(done, "PRT"), "report", quantity=4))) == (200, "held", "late")
    task = shop.started(shop.ready_to_print(shop.approved()), by="operator")
    do.cancel_order(task.order, by=again(salesperson), reason="The customer went away.")
    assert told(send(api, item(task, "complete", quantity=4))) == (200, "held", "late")
    assert broken() == []


def test_without_pieces_and_after_the_closing_it_is_refused(api, completed_task):
    for verb in ("complete", "pause", "start", ""):
        assert told(send(api, item(completed_task, verb))) == (409, "refused", "wrong_state")
    sent = item(completed_task, "pause", captured_at=moment(), device_time=moment())
    assert told(send(api, sent)) == (409, "refused", "wrong_state")


@pytest.mark.parametrize("verb", ["pause", "complete", "undo"])
def test_what_was_captured_before_the_closing_is_held_by_the_right_clock(api, completed_task, verb):
    """The handheld's clock is an hour fast: what it calls half an hour ahead was half an hour before the completion."""
    fast = timedelta(hours=1)
    sent = item(completed_task, verb, captured_at=moment(30, clock=fast), device_time=moment(clock=fast))
    assert told(send(api, sent)) == (200, "held", "late")
    completed_task.refresh_from_db()
    assert (completed_task.status, completed_task.good) == ("completed", 1000)


def test_an_undo_after_the_closing_takes_the_completion_back(api, completed_task):
    sent = item(completed_task, "undo", captured_at=moment(), device_time=moment())
    assert told(send(api, sent)) == (200, "applied", "")
    assert counted(completed_task) == (0, 0)


def test_pieces_of_who_had_the_task_are_held_when_it_is_somebody_elses(handheld, shop, operator, second_operator, supervisor, running_task):
    """He worked without network while the supervisor gave his task away: he sees it no more, his pieces are there all the same."""
    do.assign_task(running_task, by=again(supervisor), operator=second_operator)
    api = handheld.signed_in(operator)
    sent = item(running_task, "report", quantity=70)
    answer = send(api, sent)
    assert told(answer) == (200, "held", "not_yours")
    assert answer.json()["task"] is None
    assert (stored(sent).task, counted(running_task)) == (running_task, (0, 0))
    assert told(send(api, item(running_task, "pause"))) == (404, "refused", "unknown_code")


def test_who_never_had_it_hears_that_nobody_knows_it(handheld, running_task, stranger):
    assert told(send(handheld.signed_in(stranger), item(running_task, "report", quantity=70))) == (404, "refused", "unknown_code")


def test_the_floor_without_a_lead_tells_the_planner(shop, operator, planner, completed_task):
    shop.people["supervisor"].memberships.update(is_lead=False)
    send(api_of(operator), item(completed_task, "report", quantity=1))
    assert [notice.user for notice in Notice.objects.filter(kind="scan_held")] == [planner]
