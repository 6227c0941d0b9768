"""Jobs that look after the queue, and the queue's own pages."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success
from django_q.signing import SignedPackage

from apps.core.jobs import enqueue, run

pytestmark = pytest.mark.django_db


def aged(row: int, minutes: int) -> OrmQ:
    """The queue's row as if it had been written `minutes` ago."""
    found, ago = OrmQ.objects.get(pk=row), timedelta(minutes=minutes)
    found.payload = SignedPackage.dumps({**found.task, "started": found.task["started"] - ago})
    found.lock -= ago
    found.save()
    return found


def test_a_job_that_was_delivered_for_long_and_never_ended_becomes_a_failure():
    row = aged(enqueue("core.purge"), minutes=25)
    OrmQ.objects.filter(pk=row.pk).update(lock=timezone.now() + timedelta(minutes=5))
    assert run("ops.give_up") == 1
    assert not OrmQ.objects.exists()
    failure = Failure.objects.get()
    assert (failure.name, failure.attempt_count, failure.success) == ("core.purge", 3, False)
    assert failure.result == "Given up: it never came to an end, as when it kills its worker."


def test_a_job_that_only_waits_in_a_long_queue_is_kept():
    aged(enqueue("core.purge"), minutes=25)
    assert run("ops.give_up") == 0
    assert OrmQ.objects.count() == 1


def test_a_job_that_was_delivered_just_now_is_kept():
    row = enqueue("core.purge")
    OrmQ.objects.filter(pk=row).update(lock=timezone.now() + timedelta(minutes=8))
    assert run("ops.give_up") == 0
    assert OrmQ.objects.count() == 1


def test_a_row_that_cannot_be_read_is_left_to_the_doctor():
    OrmQ.objects.create(key="docket", payload="nonsense", lock=timezone.now() - timedelta(days=1))
    assert run("ops.give_up") == 0
    assert OrmQ.objects.count() == 1


def test_failures_are_kept_for_thirty_days():
    now = timezone.now()
    for days in (29, 31):
        Failure.objects.create(id=f"f{days}", name=f"{days} days", func="f", started=now, stopped=now - timedelta(days=days), success=False)
    run("ops.give_up")
    assert list(Failure.objects.values_list("name", flat=True)) == ["29 days"]


@pytest.mark.parametrize("model", [Schedule, Success, Failure, OrmQ])
def test_the_queues_own_pages_are_gone(model):
    """With them, whoever may add a schedule may run any function of the machine."""
    assert not admin.site.is_registered(model)
