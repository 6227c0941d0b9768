"""Handhelds whose clocks are wrong: their scans count, in the order of their lanes, at a time that the server believes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.scanning.models import Device, Scan
from apps.scanning.simulation.handheld import Handheld
from apps.workorders.models import Task, WorkEvent
from tests.floor.conftest import code_of

pytestmark = pytest.mark.slow
SOON = timedelta(seconds=10)


class Wrong:
    """A clock that is off by `off`, and that a test can set."""

    def __init__(self, off: timedelta = timedelta()) -> None:
        self.off = off

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.off


def shift_of(hand: Handheld, task: Task) -> list[dict[str, Any]]:
    """Start, report, complete: captured and sent."""
    code = code_of(task)
    for verb, values in (("", {}), ("report", {"quantity": 400}), ("complete", {"quantity": 600})):
        hand.capture(code, verb, **values)
    return hand.drain()


def is_in_order(task: Task) -> None:
    """The ledger tells the lane's order, and nothing took less than no time."""
    events = list(WorkEvent.objects.filter(task=task, scan_id__isnull=False).exclude(verb="claim").order_by("pk"))
    assert [event.verb for event in events] == ["start", "report", "complete"]
    assert [event.at for event in events] == sorted(event.at for event in events)
    scans = list(Scan.objects.filter(task=task).order_by("seq"))
    assert [scan.pk for scan in scans] == [event.scan_id for event in events]
    task.refresh_from_db()
    assert (task.status, task.good) == ("completed", 1000)
    assert task.completed_at >= task.started_at


@pytest.mark.parametrize(
    ("off", "is_off"),
    [
        (timedelta(days=-1), True),
        (timedelta(hours=1), True),
        (timedelta(days=-365), True),
        (timedelta(seconds=90), False),
        (timedelta(seconds=-90), False),
    ],
    ids=["a day behind", "an hour ahead", "a year behind", "a bit ahead", "a bit behind"],
)
def test_a_clock_that_is_off_changes_nothing_but_the_flag(off: timedelta, is_off: bool, handheld: Callable, device: Device, task: Task):
    hand = handheld(clock=Wrong(off))
    assert [answer["result"] for answer in shift_of(hand, task)] == ["applied"] * 3
    is_in_order(task)
    for scan in Scan.objects.filter(task=task):
        assert scan.is_clock_off is is_off
        assert abs(scan.happened_at - scan.received_at) < SOON
        assert scan.happened_at <= scan.received_at
        assert abs(scan.captured_at - off - scan.received_at) < SOON
    device.refresh_from_db()
    assert abs(device.clock_offset_ms - off.total_seconds() * 1000) < SOON.total_seconds() * 1000


@pytest.mark.parametrize("jump", [timedelta(hours=-3), timedelta(hours=3), timedelta(days=-400)], ids=str)
def test_a_clock_that_jumps_in_the_middle_of_a_lane_keeps_the_lanes_order(jump: timedelta, handheld: Callable, task: Task):
    clock = Wrong()
    hand, code = handheld(clock=clock), code_of(task)
    hand.capture(code)
    clock.off = jump
    hand.capture(code, "report", quantity=400)
    clock.off = timedelta()
    hand.capture(code, "complete", quantity=600)
    hand.send_old()
    assert [answer["result"] for answer in hand.drain()] == ["applied"] * 3
    is_in_order(task)
    assert all(scan.happened_at <= scan.received_at for scan in Scan.objects.filter(task=task))


def test_scans_that_waited_happened_when_they_were_captured(handheld, task):
    """An hour without a network, on a handheld whose clock is a day behind."""
    clock = Wrong(timedelta(days=-1, hours=-1))
    hand, code = handheld(clock=clock), code_of(task)
    hand.capture(code)
    clock.off = timedelta(days=-1)
    assert [answer["result"] for answer in hand.drain()] == ["applied"]
    scan = Scan.objects.get(task=task)
    assert abs(scan.received_at - scan.happened_at - timedelta(hours=1)) < SOON
    assert scan.is_clock_off


def test_without_the_handhelds_time_the_moment_of_arrival_counts(handheld, task):
    hand = handheld()
    item = hand.capture(code_of(task)).item | {"captured_at": "2019-01-01T00:00:00+08:00"}
    answer = hand.ask("POST", "/api/scans/", item, token=hand.session)
    assert answer["result"] == "applied"
    scan = Scan.objects.get(task=task)
    assert scan.happened_at == scan.received_at


def test_a_batch_says_how_far_the_clock_is_off(handheld, task):
    hand = handheld(clock=Wrong(timedelta(hours=1)))
    item = hand.capture(code_of(task)).item
    body = {"device_time": hand.clock().isoformat(), "items": [item]}
    answer = hand.ask("POST", "/api/scans/batch/", body, token=hand.session)
    assert answer["clock"]["is_off"] is True
    assert answer["clock"]["offset_seconds"] == pytest.approx(3600, abs=5)
    assert [warning["code"] for warning in answer["results"][0]["warnings"]] == ["clock_off"]
