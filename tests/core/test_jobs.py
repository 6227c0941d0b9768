"""The only door to the queue: what goes in, and how what comes out is run."""

import logging
from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ

from apps.accounts.models import OpenSession
from apps.core.context import signature, signed
from apps.core.errors import RuleError
from apps.core.jobs import JOBS, RUN, delivery, enqueue, job, retry, run
from apps.core.models import Bucket, Heartbeat, Hold, IdempotencyKey, JobRun, JobState
from tests.factories import JobRunFactory


@pytest.fixture
def probe():
    """A job that tells how it was signed."""
    seen = []

    @job("tests.probe")
    def tell(*ids):
        seen.append((ids, signature()))
        return len(ids)

    yield seen
    del JOBS["tests.probe"]


@pytest.mark.django_db
def test_a_hint_carries_ids_and_the_request_that_asked(probe):
    with signed(request_id="abc"):
        row = enqueue("tests.probe", 7, 8)
    task = OrmQ.objects.get(pk=row).task
    assert (task["func"], task["args"], task["kwargs"]) == (RUN, ("tests.probe", 7, 8), {"request_id": "abc"})
    assert task["name"] == "tests.probe 7 8"


@pytest.mark.django_db(transaction=True)
def test_a_hint_rolls_back_with_its_caller(probe):
    def verb():
        with transaction.atomic():
            enqueue("tests.probe")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        verb()
    assert not OrmQ.objects.exists()


@pytest.mark.django_db
def test_a_job_that_is_not_registered_is_neither_queued_nor_run(caplog):
    with pytest.raises(KeyError, match=r"There is no job 'os\.system'"):
        enqueue("os.system")
    with caplog.at_level(logging.ERROR), pytest.raises(KeyError, match=r"There is no job 'os\.system'"):
        run("os.system", "true")
    assert [record.getMessage() for record in caplog.records] == ["job os.system is not one of ours and was refused"]
    assert not OrmQ.objects.exists()


def test_a_name_is_taken_once(probe):
    with pytest.raises(ValueError, match="two jobs"):
        job("tests.probe")(print)


@pytest.mark.django_db
def test_a_job_is_signed_as_a_job_under_the_request_that_asked(probe):
    with signed(source="admin", reason="because", request_id="mine"):
        assert run("tests.probe", 1, request_id="abc") == 1
    ((ids, seen),) = probe
    assert (ids, seen.source, seen.request_id, seen.actor, seen.reason) == ((1,), "job", "abc", None, "")


@pytest.mark.django_db
def test_a_job_of_the_schedule_gets_a_request_id_of_its_own(probe):
    run("tests.probe")
    run("tests.probe")
    first, second = (seen.request_id for _ids, seen in probe)
    assert len(first) == 32
    assert first != second


@pytest.mark.django_db
def test_a_failing_job_is_logged_with_its_name_and_fails(caplog):
    @job("tests.fails")
    def fails():
        raise ZeroDivisionError

    try:
        with caplog.at_level(logging.ERROR), pytest.raises(ZeroDivisionError):
            run("tests.fails")
    finally:
        del JOBS["tests.fails"]
    assert caplog.records[0].getMessage() == "job tests.fails failed"


@pytest.mark.django_db
def test_a_sign_of_life_is_one_row():
    run("core.heartbeat")
    run("core.heartbeat")
    beat = Heartbeat.objects.get()
    assert beat.name == "worker"
    assert timezone.now() - beat.beat_at < timedelta(minutes=1)


@pytest.mark.django_db
def test_signs_of_life_are_not_kept_as_results():
    assert OrmQ.objects.get(pk=enqueue("core.heartbeat")).task["save"] is False
    assert OrmQ.objects.get(pk=enqueue("core.purge")).task["save"] is True


@pytest.mark.django_db
def test_purge_keeps_what_may_still_be_asked_for():
    now = timezone.now()
    for name, age in (("old", timedelta(days=7, minutes=1)), ("new", timedelta(days=6, hours=23))):
        key = IdempotencyKey.objects.create(owner="1", key=name, fingerprint="f")
        IdempotencyKey.objects.filter(pk=key.pk).update(created_at=now - age)
    for name, age in (("old", timedelta(hours=25)), ("new", timedelta(hours=23))):
        Bucket.objects.create(key=name, tokens=1, updated_at=(now - age).timestamp())
    for name, age in (("old", -timedelta(minutes=1)), ("new", timedelta(minutes=1))):
        OpenSession.objects.create(session_key=name, session_data="", expire_date=now + age)
    assert run("core.purge") == 2
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["new"]
    assert list(Bucket.objects.values_list("key", flat=True)) == ["new"]
    assert list(OpenSession.objects.values_list("session_key", flat=True)) == ["new"]


@pytest.mark.django_db
def test_purge_deletes_by_the_thousand():
    IdempotencyKey.objects.bulk_create(IdempotencyKey(owner="1", key=str(number), fingerprint="f") for number in range(1001))
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(days=8))
    assert run("core.purge") == 1001
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db
def test_no_job_runs_while_the_installation_is_held(probe, caplog):
    Hold.objects.create(name="jobs", since=timezone.now())
    with caplog.at_level(logging.WARNING):
        assert run("tests.probe", 1) is None
    assert probe == []
    assert "jobs stand still since a restore" in caplog.records[0].getMessage()


@pytest.fixture
def delivered():
    """What comes from the queue comes under one name, however often."""

    def deliver(name, *ids, key="q1", **options):
        token = delivery.set(key)
        try:
            return run(name, *ids, **options)
        finally:
            delivery.reset(token)

    return deliver


@pytest.mark.django_db
def test_each_job_leaves_a_row_that_says_how_it_went(probe, delivered):
    delivered("tests.probe", 7, "x", request_id="abc")
    row = JobRun.objects.get()
    assert (str(row), row.key, row.state, row.attempts, row.request_id, row.lock) == ("tests.probe 7 x", "q1", "done", 1, "abc", "")
    assert row.started_at <= row.finished_at
    assert row.milliseconds is not None
    # Delivered again, as after a lost acknowledgement: it is done already.
    assert delivered("tests.probe", 7, "x") is None
    assert len(probe) == 1


@pytest.mark.django_db
def test_signs_of_life_leave_no_row():
    run("core.heartbeat")
    assert not JobRun.objects.exists()


@pytest.mark.django_db
def test_a_start_is_counted_before_it_happens_and_the_fourth_does_not(delivered, caplog):
    """As when a job kills its worker: nothing after the start is ever written."""

    class Killed(BaseException):
        pass

    starts = []

    @job("tests.dies")
    def dies():
        starts.append(JobRun.objects.get().attempts)
        raise Killed

    try:
        for _ in range(3):
            with pytest.raises(Killed):
                delivered("tests.dies")
        with caplog.at_level(logging.CRITICAL):
            assert delivered("tests.dies") is None
            assert delivered("tests.dies") is None
    finally:
        del JOBS["tests.dies"]
    assert starts == [1, 2, 3]
    row = JobRun.objects.get()
    assert (row.state, row.problem) == ("dead", "It was started 3 times and never came to an end, as when it kills its worker.")
    assert len(caplog.records) == 1


@pytest.mark.django_db
def test_a_job_that_fails_three_times_is_given_up_and_can_be_tried_again(delivered, administrator, maker):
    @job("tests.fails")
    def fails(number):
        raise ZeroDivisionError(f"no {number}")

    try:
        for state in ("failed", "failed", "dead"):
            with pytest.raises(ZeroDivisionError):
                delivered("tests.fails", 5)
            assert JobRun.objects.get().state == state
        row = JobRun.objects.get()
        assert row.problem == "ZeroDivisionError: no 5"
        with pytest.raises(PermissionDenied):
            retry(row, by=maker)
        assert retry(row, by=administrator).state == JobState.RETRIED
        assert OrmQ.objects.get().task["args"] == ("tests.fails", 5)
        for wrong, says in ((row, "Only a job that failed"), (JobRun(pk=row.pk, name="tests.fails", state="dead"), "Somebody was faster")):
            with pytest.raises(RuleError, match=says):
                retry(wrong, by=administrator)
    finally:
        del JOBS["tests.fails"]
    with pytest.raises(RuleError, match=r"has no job tests\.fails any more"):
        retry(JobRun(name="tests.fails", state="dead"), by=administrator)


@pytest.mark.django_db
def test_of_a_periodic_job_one_runs_at_a_time(probe, delivered):
    other = JobRunFactory(name="tests.probe", lock="tests.probe")
    assert delivered("tests.probe", alone=True) is None
    assert probe == []
    assert list(JobRun.objects.all()) == [other]
    # Its worker was killed long ago: the lock is free again.
    JobRun.objects.update(started_at=timezone.now() - timedelta(seconds=481))
    assert delivered("tests.probe", alone=True) == 0
    assert set(JobRun.objects.values_list("lock", flat=True)) == {""}


@pytest.mark.django_db
def test_rows_of_jobs_are_kept_for_days_and_failures_for_a_month():
    now = timezone.now()
    for state, days in (("done", 1), ("done", 3), ("retried", 3), ("dead", 29), ("dead", 31), ("running", 31)):
        JobRunFactory(state=state, name=f"{state} {days}", started_at=now - timedelta(days=days))
    run("core.purge")
    assert set(JobRun.objects.values_list("name", flat=True)) == {"core.purge", "done 1", "dead 29"}
