"""Settings that were measured to lose jobs or writes are refused by `manage.py check`."""

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.test import override_settings


def ids(*, deploy: bool = False) -> list[str]:
    return [message.id for message in run_checks(include_deployment_checks=deploy) if message.id.startswith("core.")]


def test_the_settings_as_they_come_pass():
    assert ids() == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"queue_limit": 3, "retry": 600}, "core.E003"),
        ({"bulk": 2}, "core.E003"),
        ({"retry": 419}, "core.E004"),
        ({"timeout": 3600}, "core.E004"),
        ({"ack_failures": True}, "core.E005"),
        ({"max_attempts": 0}, "core.E005"),
    ],
)
def test_a_queue_that_would_run_jobs_twice_or_never_is_refused(change, expected):
    with override_settings(Q_CLUSTER={**settings.Q_CLUSTER, **change}):
        assert ids() == [expected]


@pytest.mark.parametrize(("change", "expected"), [({"transaction_mode": None}, "core.E001"), ({"timeout": 5}, "core.E002")])
def test_sqlite_without_its_options_is_refused(change, expected, monkeypatch):
    options = {"transaction_mode": "IMMEDIATE", "timeout": 20}
    config = {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {**options, **change}}
    monkeypatch.setattr(settings, "DATABASES", {"default": config})
    assert ids() == [expected]


def test_a_cache_of_one_process_is_refused_in_production():
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}):
        assert ids() == []
        assert ids(deploy=True) == ["core.E006"]
