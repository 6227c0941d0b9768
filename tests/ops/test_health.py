"""What load balancers are told."""

from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone
from django_q.models import OrmQ

from apps.core.jobs import run
from apps.core.models import Heartbeat
from tests.factories import BackupFactory

READY = {"database": "ok", "migrations": "ok", "worker": "ok", "queue": "ok", "backup": "No backup was ever proved."}


def test_alive_needs_no_database(client):
    """pytest-django refuses every query here, since the test asks for no database."""
    answer = client.get("/health/")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]


def test_health_can_only_be_read(client):
    assert client.post("/health/").status_code == 405


@override_settings(SECURE_SSL_REDIRECT=True)
def test_health_answers_without_https(client):
    assert client.get("/health/").status_code == 200


@pytest.mark.django_db
def test_ready_when_a_job_went_through_the_queue(client):
    run("core.heartbeat")
    answer = client.get("/health/ready/")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "checks": READY})


@pytest.mark.django_db
def test_ready_costs_six_queries(client, django_assert_max_num_queries):
    run("core.heartbeat")
    client.get("/health/ready/")
    with django_assert_max_num_queries(6):
        client.get("/health/ready/")


@pytest.mark.django_db
def test_a_worker_that_never_ran_is_named(client):
    answer = client.get("/health/ready/")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "checks": {**READY, "worker": "The worker has never run."}})


@pytest.mark.django_db
def test_an_old_sign_of_life_is_named_with_its_age(client):
    Heartbeat.objects.create(name="worker", beat_at=timezone.now() - timedelta(minutes=4))
    answer = client.get("/health/ready/")
    assert answer.status_code == 503
    assert answer.json()["checks"]["worker"] == "The worker's last sign of life is 4\xa0minutes old."


@pytest.mark.django_db
def test_a_job_that_waits_too_long_is_named(client):
    run("core.heartbeat")
    OrmQ.objects.create(key="docket", payload="x", lock=timezone.now() - timedelta(minutes=3))
    answer = client.get("/health/ready/")
    assert answer.status_code == 503
    assert answer.json()["checks"]["queue"] == "The oldest job has waited 3\xa0minutes."


@pytest.mark.django_db
def test_an_old_backup_is_named_and_sends_nobody_away(client):
    run("core.heartbeat")
    BackupFactory(state="proved", started_at=timezone.now() - timedelta(days=3))
    answer = client.get("/health/ready/")
    assert (answer.status_code, answer.json()["checks"]["backup"]) == (200, "The last proved backup is 3\xa0days old.")
    BackupFactory(state="proved")
    assert client.get("/health/ready/").json()["checks"]["backup"] == "ok"
