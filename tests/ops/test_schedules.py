"""The list of periodic jobs, and the queue's table that follows it."""

from datetime import UTC, timedelta

import pytest
from django.utils import timezone
from django_q.models import Schedule

from apps.core.jobs import JOBS, RUN
from apps.ops import schedules

pytestmark = pytest.mark.django_db

NAMES = [
    "core.purge", "imports.exports_due", "imports.purge", "imports.sweep", "ops.backup", "ops.give_up", "ops.watch_backups",
    "scanning.sweep", "workorders.expire_shares", "workorders.sweep",
]  # fmt: skip


def test_every_periodic_job_is_one_of_ours():
    assert [periodic.job for periodic in schedules.PERIODIC if periodic.job not in JOBS] == []


def test_each_job_is_scheduled_once_and_a_second_run_changes_nothing():
    assert schedules.differences() == NAMES
    assert schedules.sync() == NAMES
    rows = list(Schedule.objects.order_by("name").values_list("name", "func", "args", "schedule_type", "minutes", "cron"))
    assert rows == [
        ("core.purge", RUN, "'core.purge'", "C", None, "20 3 * * *"),
        ("imports.exports_due", RUN, "'imports.exports_due'", "I", 5, None),
        ("imports.purge", RUN, "'imports.purge'", "I", 60, None),
        ("imports.sweep", RUN, "'imports.sweep'", "I", 1, None),
        ("ops.backup", RUN, "'ops.backup'", "C", None, "0 2 * * *"),
        ("ops.give_up", RUN, "'ops.give_up'", "I", 10, None),
        ("ops.watch_backups", RUN, "'ops.watch_backups'", "I", 30, None),
        ("scanning.sweep", RUN, "'scanning.sweep'", "I", 2, None),
        ("workorders.expire_shares", RUN, "'workorders.expire_shares'", "I", 10, None),
        ("workorders.sweep", RUN, "'workorders.sweep'", "I", 1, None),
    ]
    assert schedules.sync() == []


def test_a_schedule_that_is_as_it_should_be_keeps_its_next_run():
    schedules.sync()
    later = timezone.now() + timedelta(hours=5)
    Schedule.objects.filter(name="workorders.sweep").update(next_run=later)
    assert schedules.sync() == []
    assert Schedule.objects.get(name="workorders.sweep").next_run == later


def test_a_changed_schedule_is_put_right_and_one_that_is_ours_no_longer_goes():
    schedules.sync()
    Schedule.objects.filter(name="workorders.sweep").update(minutes=99)
    Schedule.objects.create(name="old", func=RUN, args="'old'")
    Schedule.objects.create(name="theirs", func="somebody.else")
    assert schedules.sync() == ["old", "workorders.sweep"]
    assert Schedule.objects.get(name="workorders.sweep").minutes == 1
    assert Schedule.objects.filter(name="theirs").exists()
    assert not Schedule.objects.filter(name="old").exists()


def test_the_backup_runs_at_two_in_the_night_of_the_shop():
    """In the site's time zone, Asia/Shanghai: 18:00 of the day before in UTC."""
    schedules.sync()
    row = Schedule.objects.get(name="ops.backup")
    following = row.calculate_next_run().astimezone(UTC)
    assert (following.hour, following.minute) == (18, 0)
    assert timedelta() < following - timezone.now() <= timedelta(days=1)
