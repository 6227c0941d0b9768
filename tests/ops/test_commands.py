"""`manage.py prepare`, and the worker's own options."""

import os
import subprocess
import sys
import threading
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test import override_settings

from apps.accounts.roles import ROLES
from apps.ops.doctor import unusable_database
from apps.ops.management.commands.prepare import LOCK, alone
from apps.ops.processes import end_group, members, process


@pytest.fixture
def site(tmp_path: Path):
    """Folders of a new installation."""
    static = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    private = {**settings.STORAGES["private"], "OPTIONS": {"location": tmp_path / "private"}}
    storages = {**settings.STORAGES, "private": private, "staticfiles": static}
    with override_settings(VAR_DIR=tmp_path, STATIC_ROOT=tmp_path / "static", STORAGES=storages):
        yield tmp_path


@pytest.mark.django_db
def test_prepare_makes_folders_roles_and_static_files(site):
    call_command("prepare")
    assert (site / "private").stat().st_mode & 0o777 == 0o700
    assert (site / "static" / "admin").is_dir()
    assert set(Group.objects.values_list("name", flat=True)) >= {str(role) for role in ROLES}


@pytest.mark.django_db
def test_prepare_collects_static_files_only_when_they_changed(site):
    call_command("prepare")
    (site / "static" / "added-by-hand").write_text("")
    call_command("prepare")
    assert (site / "static" / "added-by-hand").exists()
    (site / "static" / ".collected").write_text("something else")
    call_command("prepare")
    assert not (site / "static" / "added-by-hand").exists()


@pytest.mark.slow
@pytest.mark.django_db
def test_the_demo_fills_an_empty_database_once_and_prints_its_sign_ins_each_time(site):
    first, second = StringIO(), StringIO()
    call_command("prepare", "--demo", stdout=first)
    assert (site / "demo-sign-ins.txt").stat().st_mode & 0o777 == 0o600
    sign_ins = (site / "demo-sign-ins.txt").read_text(encoding="utf-8")
    assert sign_ins
    assert sign_ins in first.getvalue()
    call_command("prepare", "--demo", stdout=second)
    assert second.getvalue() == sign_ins


def test_a_worker_that_would_restart_all_the_time_is_refused():
    with pytest.raises(CommandError, match="1 second or more"):
        call_command("worker", "--stale-after", "0.5")


def test_a_cluster_with_a_pool_of_connections_is_refused(monkeypatch):
    monkeypatch.setitem(settings.DATABASES["default"], "OPTIONS", {"pool": {"max_size": 4}})
    with pytest.raises(CommandError, match="DATABASE_POOL_SIZE is for the web process only"):
        call_command("worker", "--cluster", "1")


def test_a_process_that_is_gone_is_nobody():
    assert process(2**22 + 1) is None
    assert members(2**22 + 1) == []
    end_group(2**22 + 1)


@pytest.mark.django_db
def test_waiting_ends_when_the_database_answers():
    said = StringIO()
    call_command("wait_for_database", stderr=said)
    assert said.getvalue() == ""


def test_waiting_for_a_database_that_never_answers_ends_with_a_sentence(monkeypatch):
    pauses, said = [], StringIO()

    def refused():
        raise OperationalError("connection refused\n\tIs the server running?")

    monkeypatch.setattr(connection, "ensure_connection", refused)
    monkeypatch.setattr("apps.ops.management.commands.wait_for_database.time.sleep", pauses.append)
    with pytest.raises(CommandError, match=r"does not answer: connection refused$"):
        call_command("wait_for_database", stderr=said)
    assert said.getvalue().count("retry in") == len(pauses) == 29
    assert (pauses[:3], pauses[-1]) == ([0.25, 0.5, 1.0], 5.0)


@pytest.mark.django_db(transaction=True)
def test_of_two_that_prepare_at_once_one_waits_for_the_other(site):
    """The other is this test, which holds the lock of the folder, as a second process does."""
    done = threading.Event()

    def prepare():
        with alone():
            done.set()
        connection.close()

    second = threading.Thread(target=prepare)
    with alone():
        second.start()
        assert not done.wait(0.3)
    assert done.wait(10)
    second.join()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own lock")
def test_of_two_machines_that_prepare_at_once_one_waits_for_the_other(site, tmp_path_factory):
    done = threading.Event()

    def prepare():
        with override_settings(VAR_DIR=tmp_path_factory.mktemp("other-machine")), alone():
            done.set()
        connection.close()

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        second = threading.Thread(target=prepare)
        second.start()
        assert not done.wait(0.3)
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    assert done.wait(10)
    second.join()


NOWHERE = "postgresql://docket:secret@127.0.0.1:1/docket"
NO_TABLES = "This database lacks tables: "


def manage(tmp_path: Path, url: str, *words: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "DATABASE_URL": url, "DOCKET_VAR_DIR": str(tmp_path)}
    program = [sys.executable, "-W", "ignore", str(settings.BASE_DIR / "manage.py")]
    return subprocess.run([*program, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.once
@pytest.mark.parametrize(
    "words",
    [
        "backup", "check_integrity", "seed_presets", "release", "why_visible anna 202611-0001", "dispatch", "reset_second_factor anna",
        "export orders --as anna --out orders.csv", "createsuperuser --noinput --username anna",
    ],
    ids=lambda words: words.partition(" ")[0],
)  # fmt: skip
def test_a_database_without_tables_is_one_sentence_of_every_command(tmp_path, words):
    done = manage(tmp_path, f"sqlite:///{tmp_path}/empty.sqlite3", *words.split())
    assert done.returncode == 1
    assert done.stderr.startswith(NO_TABLES)
    assert done.stderr.endswith(" migrations are not applied. Run: python manage.py migrate\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.once
@pytest.mark.parametrize("words", ["prepare", "migrate", "backup", "release"])
def test_a_database_that_does_not_answer_is_one_sentence_of_every_command(tmp_path, words):
    done = manage(tmp_path, NOWHERE, words)
    assert done.returncode == 1
    assert done.stderr.startswith("The database does not answer: ")
    assert done.stderr.endswith(". Start it, and look at DATABASE_URL, POSTGRES_HOST or DOCKET_VAR_DIR.\n")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


@pytest.mark.once
def test_whoever_wants_the_traceback_gets_it(tmp_path):
    done = manage(tmp_path, NOWHERE, "release", "--traceback")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "django.db.utils.OperationalError: " in done.stderr


@pytest.mark.django_db
def test_a_database_that_is_well_is_no_reason_for_a_fault():
    assert unusable_database() == ""
