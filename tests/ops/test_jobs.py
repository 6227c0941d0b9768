"""Jobs that look after the queue, and the queue's own pages."""

from datetime import timedelta

import pytest
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success
from django_q.signing import SignedPackage

from apps.core.jobs import enqueue, run
from apps.core.models import JobRun
from apps.notices.models import Notice
from apps.ops import doctor
from tests.factories import JobRunFactory
from tests.personas import client_of

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


def test_a_job_that_was_given_up_is_told_once(administrator):
    row = aged(enqueue("core.purge"), minutes=25)
    OrmQ.objects.filter(pk=row.pk).update(lock=timezone.now() + timedelta(minutes=5))
    JobRunFactory(key=row.task_id(), state="running", attempts=1)
    assert run("ops.give_up") == 1
    assert run("ops.give_up") == 0
    told = Notice.objects.get(user=administrator)
    assert str(told) == "Background job core.purge is given up: It never came to an end, as when it kills its worker."
    dead = JobRun.objects.get(key=row.task_id())
    assert told.url == reverse("admin:core_jobrun_change", args=[dead.pk])
    assert doctor.dead_letters().text == "1 jobs were given up."


def test_administrators_try_a_dead_job_again_on_its_page(administrator):
    row = JobRunFactory(state="dead", problem="It broke.", arguments=[])
    client = client_of(administrator)
    page = client.get(reverse("admin:core_jobrun_changelist")).content.decode()
    assert "core.purge" in page
    assert "It broke." in page
    button = reverse("admin:core_jobrun_verb_retry", args=[row.pk])
    assert button in client.get(reverse("admin:core_jobrun_change", args=[row.pk])).content.decode()
    assert client.post(button).status_code == 302
    assert OrmQ.objects.count() == 1
    row.refresh_from_db()
    assert row.state == "retried"
    assert client.get(button).status_code == 403


def test_a_job_is_found_by_what_it_was_about(administrator):
    wanted, _other = JobRunFactory(name="imports.work", arguments=[4711]), JobRunFactory(name="imports.work", arguments=[12])
    page = client_of(administrator).get(reverse("admin:core_jobrun_changelist") + "?q=4711")
    assert list(page.context["cl"].result_list) == [wanted]


@pytest.mark.parametrize("name", ["maker", "supervisor", "planner", "auditor"])
def test_jobs_are_for_administrators(everybody, name):
    client = client_of(everybody[name])
    assert client.get(reverse("admin:core_jobrun_changelist")).status_code == 403
    assert client.post(reverse("admin:core_jobrun_verb_retry", args=[JobRunFactory(state="dead").pk])).status_code == 403
