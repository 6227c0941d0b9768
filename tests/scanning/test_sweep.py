"""A crash between storing and counting: sending again, or the sweeper, finishes it; never both."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core.context import signed
from apps.core.jobs import run
from apps.ops.integrity import run_checks
from apps.scanning.models import Scan
from apps.scanning.services import scans
from apps.scanning.services.doing import Sender
from tests.personas import again
from tests.scanning.sending import broken, code_of, counted, item, results, send, send_batch, stored, told


@pytest.fixture
def api(handheld, operator):
    return handheld.signed_in(operator)


def left_behind(sent, handheld, person, minutes=2):
    """The scan as a crash leaves it right after it was stored."""
    at = timezone.now() - timedelta(minutes=minutes)
    session = handheld.device.sessions.order_by("-pk").first()
    with signed(request_id="crashed"):
        row = scans._row(sent, Sender(again(person), handheld.device, session), at, None)
    row.save()
    return row


def test_sent_again_it_is_counted_and_then_it_is_a_duplicate(api, handheld, operator, running_task):
    sent = item(running_task, "report", quantity=12)
    left_behind(sent, handheld, operator, minutes=0)
    assert told(send(api, sent)) == (200, "applied", "")
    assert told(send(api, sent)) == (200, "duplicate", "")
    assert counted(running_task) == (12, 0)


def test_sent_again_in_a_batch_too(api, handheld, operator, running_task):
    sent = item(running_task, "report", quantity=12)
    left_behind(sent, handheld, operator)
    assert results(send_batch(api, [sent, sent])) == ["applied", "duplicate"]
    assert counted(running_task) == (12, 0)


def test_the_sweeper_finishes_it_in_the_name_of_who_scanned(api, handheld, operator, running_task):
    row = left_behind(item(running_task, "report", quantity=12), handheld, operator)
    fresh = left_behind(item(running_task, "report", quantity=1), handheld, operator, minutes=0)
    assert run("scanning.sweep") == 1
    row.refresh_from_db()
    assert (row.outcome, row.attempts, row.answer["task"]["good"]) == ("applied", 1, 12)
    event = running_task.events.get(verb="report")
    assert (event.actor, event.source, event.device, event.scan_id, event.request_id) == (operator, "scan", "Press 1", row.pk, "crashed")
    fresh.refresh_from_db()
    assert fresh.outcome == "received"
    assert told(send(api, row.raw)) == (200, "duplicate", "")
    assert run("scanning.sweep") == 0
    assert counted(running_task) == (12, 0)


def test_the_sweeper_goes_by_lane_and_stops_behind_a_refused_one(api, handheld, operator, running_task):
    lane = {"lane": code_of(running_task)}
    late, first, second = (
        item(running_task, "report", quantity=5, seq=3, **lane),
        item(running_task, "report", quantity=1, seq=1, **lane),
        item(running_task, "report", scrap=1, seq=2, **lane),
    )
    for sent in (late, first, second):
        left_behind(sent, handheld, operator)
    assert run("scanning.sweep") == 3
    assert [stored(sent).outcome for sent in (first, second, late)] == ["applied", "refused", "blocked"]
    assert run("scanning.sweep") == 0
    assert results(send_batch(api, [late])) == ["applied"]
    assert counted(running_task) == (6, 0)
    assert broken() == []


def test_a_refusal_is_swept_as_well_and_a_person_who_left_loses_no_pieces(api, handheld, operator, running_task):
    refused = left_behind(item(running_task, "report", scrap=1), handheld, operator)
    run("scanning.sweep")
    refused.refresh_from_db()
    assert (refused.outcome, refused.outcome_code) == ("refused", "reason_needed")
    pieces = left_behind(item(running_task, "report", quantity=9), handheld, operator)
    operator.is_active = False
    operator.save()
    run("scanning.sweep")
    pieces.refresh_from_db()
    assert (pieces.outcome, pieces.outcome_code) == ("held", "not_yours")


def test_what_lies_for_five_minutes_is_a_finding(api, handheld, operator, running_task):
    left_behind(item(running_task, "report", quantity=1), handheld, operator, minutes=4)
    assert broken() == []
    left_behind(item(running_task, "report", quantity=1), handheld, operator, minutes=6)
    assert broken() == ["scans_left"]


def test_the_invariants_see_what_does_not_agree(api, running_task):
    assert broken() == []
    sent = item(running_task, "report", quantity=10)
    send(api, sent)
    other = item(running_task, "pause", quantity=3)
    send(api, other)
    assert broken() == []
    Scan.objects.filter(pk=stored(sent).pk).update(quantity=11)
    assert broken() == ["scan_pieces"]
    Scan.objects.filter(pk=stored(sent).pk).update(quantity=10, outcome="refused")
    assert broken() == ["scan_effects"]
    Scan.objects.filter(pk=stored(sent).pk).update(outcome="applied")
    Scan.objects.filter(pk=stored(other).pk).update(outcome="applied")
    assert broken() == ["scan_effects"]
    Scan.objects.filter(pk=stored(other).pk).update(outcome="refused")
    Scan.objects.filter(pk=stored(sent).pk).delete()
    assert broken() == ["scan_effects"]
    assert [finding.count for finding in run_checks(["scan_effects"])] == [1]
