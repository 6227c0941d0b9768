"""The only door to the queue: what goes in, and how what comes out is run."""

import logging
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ

from apps.core.context import signature, signed
from apps.core.jobs import JOBS, RUN, enqueue, job, run
from apps.core.models import Bucket, Heartbeat, Hold, IdempotencyKey


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
    assert caplog.records[0].getMessage() == "job tests.fails () failed"


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
        Session.objects.create(session_key=name, session_data="", expire_date=now + age)
    assert run("core.purge") == 2
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["new"]
    assert list(Bucket.objects.values_list("key", flat=True)) == ["new"]
    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]


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
