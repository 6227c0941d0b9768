"""Many scans at once: always 200, each done or refused by itself, a lane in its order, nothing counted twice."""

import json
import random
import uuid
from datetime import timedelta

import pytest

from apps.scanning.models import Scan
from apps.workorders.models import WorkEvent
from tests.queries import count_queries
from tests.scanning.sending import broken, code_of, counted, item, moment, results, send, send_batch, stored

KEYS = {"results", "applied", "duplicate", "refused", "held", "blocked", "clock", "received_at"}


@pytest.fixture
def api(handheld, operator):
    return handheld.signed_in(operator)


def lane(task, *steps):
    """One lane: (verb, values) in order."""
    return [item(task, verb, lane=code_of(task), seq=number, **values) for number, (verb, values) in enumerate(steps, 1)]


def test_a_shift_in_one_batch(api, pending_task):
    sent = lane(
        pending_task,
        ("", {}),
        ("report", {"quantity": 400}),
        ("pause", {"reason": "break"}),
        ("resume", {}),
        ("complete", {"quantity": 600}),
    )
    answer = send_batch(api, sent, moment())
    assert results(answer) == ["applied"] * 5
    body = answer.json()
    assert body.keys() == KEYS
    assert [body[kind] for kind in ("applied", "duplicate", "refused", "held", "blocked")] == [5, 0, 0, 0, 0]
    assert body["clock"]["is_off"] is False
    assert counted(pending_task) == (1000, 0)
    assert broken() == []


def test_the_same_batch_again_is_all_duplicates(api, pending_task):
    sent = lane(pending_task, ("", {}), ("report", {"quantity": 400}), ("report", {"scrap": 2}))
    first = send_batch(api, sent)
    assert results(first) == ["applied", "applied", "refused"]
    again = send_batch(api, sent)
    assert results(again) == ["duplicate"] * 3
    assert [one["outcome"] for one in again.json()["results"]] == ["applied", "applied", "refused"]
    assert counted(pending_task) == (400, 0)


def test_shuffled_and_doubled_a_lane_still_goes_in_its_order(api, pending_task):
    sent = lane(pending_task, ("", {}), *[("report", {"quantity": 10})] * 20, ("complete", {"quantity": 800}))
    shuffled = sent + sent
    random.Random(7).shuffle(shuffled)
    answer = send_batch(api, shuffled)
    assert sorted(results(answer)) == ["applied"] * 22 + ["duplicate"] * 22
    assert counted(pending_task) == (1000, 0)
    assert [one["client_event_id"] for one in answer.json()["results"]] == [one["client_event_id"] for one in shuffled]


def test_behind_a_refused_one_its_lane_waits_and_other_lanes_go_on(api, shop, running_task):
    other = shop.started(shop.ready_to_print(shop.approved()), by="operator")
    sent = lane(running_task, ("report", {"quantity": 5}), ("report", {"scrap": 1}), ("report", {"quantity": 7}), ("pause", {}))
    beside = lane(other, ("report", {"quantity": 3}), ("report", {"quantity": 4}))
    without = item(running_task, "report", quantity=1)
    answer = send_batch(api, [*sent, *beside, without])
    assert results(answer) == ["applied", "refused", "blocked", "blocked", "applied", "applied", "applied"]
    assert [one["code"] for one in answer.json()["results"][1:4]] == ["reason_needed", "behind_refused", "behind_refused"]
    assert (counted(running_task), counted(other)) == ((6, 0), (7, 0))
    assert stored(sent[2]).outcome == "blocked"

    # The reply was lost: the whole lane again changes nothing. Without the refused one, the rest is looked at anew.
    assert results(send_batch(api, sent)) == ["duplicate", "duplicate", "blocked", "blocked"]
    assert results(send_batch(api, sent[2:])) == ["applied", "applied"]
    assert counted(running_task) == (13, 0)
    assert broken() == []


def test_a_blocked_one_may_be_sent_alone(api, running_task):
    sent = lane(running_task, ("report", {"scrap": 1}), ("report", {"quantity": 7}))
    assert results(send_batch(api, sent)) == ["refused", "blocked"]
    assert send(api, sent[1]).json()["result"] == "applied"


def test_a_held_one_blocks_nothing(api, shop, operator):
    task = shop.task_in("completed")
    sent = lane(task, ("report", {"quantity": 5}), ("report", {"quantity": 6}))
    assert results(send_batch(api, sent)) == ["held", "held"]


def test_a_malformed_item_is_refused_by_itself_and_kept(api, running_task):
    good = item(running_task, "report", quantity=5)
    bad = [
        item(running_task, "report", quantity="many"),
        item(running_task, "report", quantity=1, colour="red"),
        item("NUL\x00here"),
        item("half \ud800"),
        item(running_task, "report", reason={"deep": [[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]}),
    ]
    nameless = [7, "T2N7", None, [], {}, {"client_event_id": "x"}, item(running_task) | {"client_event_id": 5}]
    body = json.dumps({"items": [*bad, good, *nameless]})
    answer = api.post("/api/scans/batch/", body, content_type="application/json")
    assert results(answer) == ["refused"] * 5 + ["applied"] + ["refused"] * 7
    assert [one["code"] for one in answer.json()["results"][:5]] == ["invalid", "invalid", "bad_code", "bad_code", "invalid"]
    assert all(one["detail"] for one in answer.json()["results"])
    assert [one["scan_id"] is None for one in answer.json()["results"]] == [False] * 6 + [True] * 7
    assert Scan.objects.count() == 6
    assert stored(bad[2]).raw["code"] == "NUL\ufffdhere"
    assert results(api.post("/api/scans/batch/", body, content_type="application/json"))[:6] == ["duplicate"] * 6
    assert counted(running_task) == (5, 0)


def test_a_wrong_item_blocks_the_rest_of_its_lane(api, running_task):
    sent = lane(running_task, ("report", {"quantity": -4}), ("report", {"quantity": 7}))
    assert results(send_batch(api, sent)) == ["refused", "blocked"]


def test_numbers_without_end_are_one_items_fault(api, running_task):
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    code = code_of(running_task)
    body = (
        f'{{"items": [{{"client_event_id": "{first}", "code": "{code}", "verb": "report", "quantity": 1e999}},'
        f' {{"client_event_id": "{second}", "code": "{code}", "verb": "report", "quantity": 2}}]}}'
    )
    answer = api.post("/api/scans/batch/", body, content_type="application/json")
    assert results(answer) == ["refused", "applied"]


def test_201_are_too_many(api, running_task):
    items = [item(running_task, "report", quantity=1) for _one in range(201)]
    answer = send_batch(api, items)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_items")
    assert not Scan.objects.exists()
    assert counted(running_task) == (0, 0)
    assert results(send_batch(api, items[:200])) == ["applied"] * 200


def test_a_megabyte_is_too_large(api, running_task):
    answer = send_batch(api, [item(running_task, "report", quantity=1, reason="x" * 1_000_000)])
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "body",
    [{}, {"items": {}}, {"items": "T2N7"}, {"items": [], "more": 1}, {"items": [], "device_time": "now"}, {"items": [], "device_time": 5}],
)
def test_a_batch_that_is_none_is_refused(api, body):
    assert api.post("/api/scans/batch/", body, format="json").status_code == 400


def test_an_empty_batch_is_a_question_for_the_clock(api):
    answer = send_batch(api, [], moment())
    assert (results(answer), answer.json()["clock"]["is_off"]) == ([], False)


def test_a_clock_that_is_off_is_told_and_set_right(api, handheld, running_task):
    slow = timedelta(hours=-1)
    sent = item(running_task, "report", quantity=5, captured_at=moment(20, clock=slow))
    answer = send_batch(api, [sent], moment(clock=slow))
    assert results(answer) == ["applied"]
    assert answer.json()["clock"]["is_off"] is True
    assert abs(answer.json()["clock"]["offset_seconds"] + 3600) < 2
    assert [one["code"] for one in answer.json()["results"][0]["warnings"]] == ["clock_off"]
    assert abs((stored(sent).received_at - stored(sent).happened_at).total_seconds() - 1200) < 2


def test_a_batch_is_signed_as_single_scans_are(api, handheld, running_task, operator):
    sent = item(running_task, "report", quantity=5)
    send_batch(api, [sent])
    event = running_task.events.get(verb="report")
    assert (event.actor, event.source, event.device, event.scan_id) == (operator, "scan", "Press 1", stored(sent).pk)


def test_an_item_of_somebody_else_is_not_sent_for_him(handheld, running_task, operator, second_operator):
    sent = item(running_task, "report", quantity=5)
    send(handheld.signed_in(operator), sent)
    answer = send_batch(handheld.signed_in(second_operator), [sent])
    assert (results(answer), answer.json()["results"][0]["code"]) == (["refused"], "other_person")
    assert answer.json()["results"][0]["task"] is None


def test_a_handheld_alone_sends_nothing(handheld, running_task):
    answer = send_batch(handheld.alone, [item(running_task, "report", quantity=1)])
    assert (answer.status_code, answer.json()["code"]) == (403, "badge_needed")


def test_200_reports_cost_at_most_10_queries_each(api, shop, running_task):
    other = shop.started(shop.ready_to_print(shop.approved()), by="operator")
    send_batch(api, [])
    costs = {}
    for size in (50, 200):
        items = [item(task, "report", quantity=1) for task in (running_task, other) for _one in range(size // 2)]
        with count_queries(10 * size) as queries:
            answer = send_batch(api, items, moment())
        assert results(answer) == ["applied"] * size
        costs[size] = len(queries)
    # Six for each report; what comes on top does not grow with the batch, but for SQLite's chunks of the one insert.
    assert {size: cost - 6 * size for size, cost in costs.items() if not 0 <= cost - 6 * size <= 16} == {}
    with count_queries(10) as queries:
        assert results(send_batch(api, items)) == ["duplicate"] * 200
    assert WorkEvent.objects.filter(verb="report", scan_id__isnull=False).count() == 250
