"""Real threads on a real database: the same and different scans at the same moment are counted once each."""

import random
from collections import Counter
from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from apps.core.errors import RuleError
from apps.scanning.models import Scan
from apps.scanning.services import devices, inbox, scans
from apps.workorders.models import Task, WorkEvent
from tests.personas import again
from tests.scanning.sending import broken, code_of, counted, item
from tests.shop import make_shop

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def shop(transactional_db):
    return make_shop()


@pytest.fixture
def device(shop):
    return devices.register_device("Press 1", shop.departments["printing"], by=shop.people["administrator"])[0]


def together(actions: list[Callable[[], Any]]) -> list[Any]:
    """Run the actions in threads that start at the same moment. Returns what each returned or raised, in their order."""
    barrier, outcomes = Barrier(len(actions)), [None] * len(actions)

    def run(number: int, action: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=60)
            outcomes[number] = action()
        except (RuleError, PermissionDenied) as refusal:
            outcomes[number] = refusal
        finally:
            connection.close()

    threads = [Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def running(shop) -> Task:
    return shop.started(shop.ready_to_print(shop.approved()), by="operator")


def test_20_senders_of_the_same_scans_count_each_once(shop, device):
    task = running(shop)
    sent = [item(task, "report", quantity=1) for _scan in range(10)]
    people = [again(shop.people["operator"]) for _sender in range(20)]

    def send_all(person, seed) -> Callable[[], list[str]]:
        mine = sent.copy()
        random.Random(seed).shuffle(mine)
        return lambda: [scans.record_scan(one, by=person, device=device).result for one in mine]

    heard = Counter(result for results in together([send_all(person, seed) for seed, person in enumerate(people)]) for result in results)
    assert heard == {"applied": 10, "duplicate": 190}
    assert counted(task) == (10, 0)
    assert WorkEvent.objects.filter(task=task, verb="report").count() == Scan.objects.count() == 10
    assert broken() == []


def test_20_senders_of_different_scans_lose_none(shop, device):
    task = running(shop)
    people = [again(shop.people["operator"]) for _sender in range(20)]
    actions = [
        lambda person=person: [scans.record_scan(item(task, "report", quantity=2), by=person, device=device).result for _one in range(10)]
        for person in people
    ]
    assert Counter(result for results in together(actions) for result in results) == {"applied": 200}
    assert counted(task) == (400, 0)
    assert broken() == []


def test_the_same_batch_from_8_threads_keeps_its_lanes_and_counts_once(shop, device):
    tasks = [shop.ready_to_print(shop.approved()) for _lane in range(3)]
    items = []
    for task in tasks:
        steps = [("", {}), *[("report", {"quantity": 10})] * 8, ("pause", {}), ("resume", {}), ("complete", {"quantity": 920})]
        items += [item(task, verb, lane=code_of(task), seq=number, **values) for number, (verb, values) in enumerate(steps)]

    def send_all(seed) -> Callable[[], list[str]]:
        mine, person = items.copy(), again(shop.people["operator"])
        random.Random(seed).shuffle(mine)
        return lambda: [one.result for one in scans.record_batch(mine, timezone.now(), by=person, device=device)]

    heard = Counter(result for results in together([send_all(seed) for seed in range(8)]) for result in results)
    assert heard == {"applied": 36, "duplicate": 7 * 36}
    for task in tasks:
        assert counted(task) == (1000, 0)
        assert task.status == "completed"
    assert set(Scan.objects.values_list("outcome", flat=True)) == {"applied"}
    assert broken() == []


def test_one_key_with_20_bodies_counts_one_of_them(shop, device):
    task = running(shop)
    sent = item(task, "report")
    bodies = [sent | {"quantity": number} for number in range(1, 21)]
    outcomes = together([lambda body=body: scans.record_scan(body, by=again(shop.people["operator"]), device=device) for body in bodies])
    assert Counter(one.result for one in outcomes) == {"applied": 1, "duplicate": 19}
    first = next(one for one in outcomes if one.result == "applied")
    assert counted(task) == (first.task["good"], 0)
    assert sum(warning["code"] == "other_body" for one in outcomes for warning in one.warnings) == 19
    assert broken() == []


def test_two_operators_who_start_one_task_at_once_hear_who_was_faster(shop, device):
    for _round in range(5):
        task = shop.ready_to_print(shop.approved())
        outcomes = together(
            [lambda name=name: scans.record_scan(item(task, ""), by=again(shop.people[name])) for name in ("operator", "second_operator")]  # noqa: B023
        )
        assert Counter(one.code for one in outcomes) == {"": 1, "already_claimed": 1}


def test_the_sweeper_and_the_sender_at_once_count_once(shop, device):
    task, person = running(shop), shop.people["operator"]
    for _round in range(10):
        sent = item(task, "report", quantity=1)
        row = scans._row(sent, scans.Sender(person, device), timezone.now() - timezone.timedelta(minutes=5), None)
        row.save()
        together(
            [
                lambda: scans.sweep(timezone.now()),
                lambda: scans.record_scan(sent, by=again(person), device=device),  # noqa: B023
                lambda: scans.record_scan(sent, by=again(person), device=device),  # noqa: B023
            ]
        )
    assert counted(task) == (10, 0)
    assert broken() == []


def test_a_late_scan_is_decided_once_by_ten_supervisors(shop, device):
    task = shop.task_in("completed")
    result = scans.record_scan(item(task, "report", quantity=40), by=again(shop.people["operator"]), device=device)
    scan = Scan.objects.get(pk=result.scan_id)
    people = [again(shop.people["supervisor"]) for _person in range(10)]
    outcomes = together([lambda person=person: inbox.apply_scan(scan, by=person, reason="He told me.") for person in people])
    assert Counter(getattr(one, "code", "done") if isinstance(one, Exception) else "done" for one in outcomes) == {
        "done": 1,
        "already_decided": 9,
    }
    assert counted(task) == (1040, 0)
    assert broken() == []
