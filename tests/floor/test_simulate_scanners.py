"""`manage.py simulate_scanners`: refuses what may be the real shop, says what it makes, checks what came of it."""

from io import StringIO
from random import Random
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.scanning.models import Device, Scan
from apps.scanning.simulation import stage
from apps.scanning.simulation.shift import LANE, PLANNED, Plan, script_of
from apps.workorders.models import Task, WorkOrder

pytestmark = pytest.mark.slow
SMALL = {"clients": 2, "scans": 24, "sends": 60, "cut": 0.3, "seed": 7}


def simulate(**options: Any) -> str:
    out = StringIO()
    call_command("simulate_scanners", stdout=out, no_color=True, **options)
    return out.getvalue()


def test_a_shop_that_does_not_say_it_is_a_copy_is_refused(db, settings):
    settings.UNFOLD = settings.UNFOLD | {"ENVIRONMENT": None}
    with pytest.raises(CommandError, match="DOCKET_ENVIRONMENT is not set, so this may be the shop's real one"):
        simulate()
    settings.UNFOLD = settings.UNFOLD | {"ENVIRONMENT": ["Plant 2", "warning"]}
    with pytest.raises(CommandError, match="says 'Plant 2', so this may be"):
        simulate()
    assert not Device.objects.exists()


def test_nothing_is_made_where_nobody_answers(db):
    with pytest.raises(CommandError, match=r"Nobody answers at http://127.0.0.1:1\. Start the test copy's web server first"):
        simulate(base="http://127.0.0.1:1")
    with pytest.raises(CommandError, match="Write the address of the site"):
        simulate(base="127.0.0.1:8000")
    assert not Device.objects.exists()


def test_a_site_on_another_database_gets_no_scan(transactional_db, live_server, monkeypatch):
    made = stage.register_device

    def elsewhere(name: str, *args: Any, **kwargs: Any) -> Any:
        device, _token = made(name, *args, **kwargs)
        return device, "dkd_of_another_site"

    monkeypatch.setattr(stage, "register_device", elsewhere)
    with pytest.raises(CommandError, match=r"does not use this database \(401 token_unknown"):
        simulate(base=live_server.url, **SMALL)
    assert not Scan.objects.exists()


def test_a_replayed_shift_counts_once_and_says_so(transactional_db, live_server, settings):
    settings.DOCKET_API_PER_MINUTE = 100_000
    settings.UNFOLD = settings.UNFOLD | {"ENVIRONMENT": ["Training", "warning"]}
    said = simulate(base=live_server.url, **SMALL)
    assert "Made and left in the tables:" in said
    assert "2 handhelds" in said
    assert said.splitlines()[-1] == "Everything counted once, and nothing is lost."
    assert Scan.objects.filter(outcome="applied").count() == 24
    assert set(WorkOrder.objects.values_list("status", flat=True)) == {"completed"}
    # A second one makes what a shift uses up, and takes the people that are there.
    assert "people" not in simulate(base=live_server.url, **SMALL | {"seed": 8})
    assert Scan.objects.count() == 48


def test_what_is_wrong_is_named_and_ends_with_1(transactional_db, live_server, settings, monkeypatch):
    """Somebody's report in the middle of the shift: the totals are not what was captured."""
    settings.DOCKET_API_PER_MINUTE = 100_000
    replay = stage.faults

    def meddled(made: stage.Stage, journal: Any) -> Any:
        task = Task.objects.filter(order__in=made.orders).first()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE workorders_task SET good = good + 1 WHERE id = %s", [task.pk])
        return replay(made, journal)

    monkeypatch.setattr("apps.scanning.management.commands.simulate_scanners.faults", meddled)
    with pytest.raises(CommandError, match=r"things are wrong\. The seed was 7\.") as failed:
        simulate(base=live_server.url, **SMALL)
    assert failed.value.returncode == 1


@pytest.mark.parametrize("options", [{"scans": 3, "clients": 2}, {"clients": 65}, {"cut": 1.5}, {"shift_hours": 13}], ids=str)
def test_numbers_that_make_no_shift_are_refused(options, db):
    with pytest.raises(CommandError):
        call_command(
            "simulate_scanners", *[word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        )


def test_a_shift_has_as_many_scans_as_it_was_asked_for_and_reports_the_whole_plan():
    for scans in (2, 3, 24, 157):
        tasks = [f"T{number}" for number in range(max(1, round(scans / LANE)))]
        script = script_of(tasks, scans, Random(scans))
        assert len(script) == scans
        for code in tasks:
            lane = [(verb, values) for task, verb, values in script if task == code]
            assert (lane[0], lane[-1][0]) == (("", {}), "complete")
            assert sum(values.get("quantity", 0) for _verb, values in lane) == PLANNED
    plan = Plan(clients=8, scans=1250)
    assert sum(plan.scans_of(client) for client in range(8)) == 1250
