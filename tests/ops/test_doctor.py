"""`manage.py doctor`: each illness is made, and named with its cure."""

import errno
import socket
from datetime import timedelta
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.core.signing import dumps
from django.db import connection
from django.test import override_settings
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule

from apps.accounts.services import sync_roles
from apps.core.jobs import RUN, enqueue, run
from apps.core.models import Heartbeat
from apps.ops import doctor, schedules
from apps.ops.doctor import findings
from apps.ops.messages import Catalogue
from apps.ops.models import Backup
from tests.factories import BackupFactory, HoldFactory, JobRunFactory

pytestmark = pytest.mark.django_db


def level_of(check) -> str:
    return check().level


def test_a_broken_database_is_a_finding_and_not_an_exception():
    def broken():
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM core_heartbeat")

    ((name, finding),) = findings((broken,))
    assert (name, finding.level) == ("broken", "error")
    assert finding.text.startswith("The database could not say (")


def test_every_check_says_something_and_every_trouble_has_a_cure():
    found = dict(findings())
    assert list(found) == [check.__name__ for check in doctor.CHECKS]
    assert [name for name, finding in found.items() if finding.level not in ("ok", "warn", "error") or not finding.text] == []
    assert [name for name, finding in found.items() if (finding.level == "ok") is bool(finding.fix)] == []


def test_the_command_fails_when_something_must_be_mended():
    said = StringIO()
    with pytest.raises(CommandError, match="to mend"):
        call_command("doctor", stdout=said)
    assert (
        "ERROR worker: The worker has never run.\n      Start it: systemctl start docket-worker, or the worker's container."
        in said.getvalue()
    )


def test_a_healthy_installation_passes(tmp_path):
    sync_roles()
    schedules.sync()
    run("core.heartbeat")
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with override_settings(STORAGES={**settings.STORAGES, "private": {"OPTIONS": {"location": private}}}):
        said = StringIO()
        call_command("doctor", stdout=said)
    assert "ERROR" not in said.getvalue()


def test_a_missing_migration_is_named():
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'core' AND name = '0001_initial'")
    finding = doctor.migrations()
    assert (finding.level, finding.text) == ("error", "1 migrations are not applied, as core.0001_initial.")
    assert finding.fix == "Run: python manage.py migrate"


@pytest.mark.parametrize(
    ("change", "check"),
    [({"queue_limit": 50}, "E003"), ({"retry": 100}, "E004"), ({"max_attempts": 0}, "E005"), ({"ack_failures": True}, "E005")],
)
def test_settings_that_lose_jobs_are_named_by_their_check(change, check):
    with override_settings(Q_CLUSTER={**settings.Q_CLUSTER, **change}):
        finding = doctor.system_checks()
    assert (finding.level, finding.text.partition(":")[0]) == ("error", f"core.{check}")
    assert finding.fix.startswith("Set ")


def test_a_database_that_does_not_answer_is_named_with_its_cure(elsewhere):
    elsewhere.begin()  # there is none
    ((_name, finding),) = findings((doctor.database,))
    assert (finding.level, finding.text) == ("error", "The database does not answer (OperationalError).")
    assert finding.fix == "Start it, and see DATABASE_URL."


def test_a_sqlite_file_without_wal_is_an_error(elsewhere, tmp_path):
    if connection.vendor != "sqlite":
        return
    (tmp_path / "machine").mkdir()
    elsewhere.begin()
    assert level_of(doctor.sqlite_file) in ("ok", "warn")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode = DELETE")
    assert doctor.sqlite_file().text == "The SQLite file is not in WAL mode."


@pytest.mark.parametrize(("version", "level"), [((3, 40, 1), "warn"), ((3, 51, 3), "ok")])
def test_an_old_sqlite_is_a_warning(version, level, monkeypatch):
    monkeypatch.setattr("sqlite3.sqlite_version_info", version)
    assert level_of(doctor.sqlite_file) == (level if connection.vendor == "sqlite" else "ok")


def test_a_worker_that_is_not_there_or_silent_is_an_error():
    assert doctor.worker() == doctor.error("The worker has never run.", doctor.START_WORKER)
    run("core.heartbeat")
    assert level_of(doctor.worker) == "ok"
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=10))
    assert doctor.worker() == doctor.error("The worker's last sign of life is 10\xa0minutes old.", doctor.START_WORKER)


def test_a_queue_that_stands_still_is_an_error():
    row = OrmQ.objects.create(key="docket", payload="x", lock=timezone.now() - timedelta(minutes=1))
    assert level_of(doctor.queue) == "ok"
    OrmQ.objects.filter(pk=row.pk).update(lock=timezone.now() - timedelta(minutes=7))
    finding = doctor.queue()
    assert (finding.level, finding.text) == ("error", "The oldest job has waited 7\xa0minutes.")
    assert "DOCKET_WORKERS" in finding.fix


def test_jobs_that_were_given_up_are_a_warning():
    assert level_of(doctor.dead_letters) == "ok"
    JobRunFactory(state="dead")
    assert (level_of(doctor.dead_letters), doctor.dead_letters().text) == ("warn", "1 jobs were given up.")


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda rows: rows.filter(name="ops.backup").delete(), "ops.backup"),
        (lambda rows: rows.filter(name="core.purge").update(cron="0 0 1 1 *"), "core.purge"),
        (lambda rows: rows.filter(name="imports.sweep").update(args="'another.job'"), "imports.sweep"),
        (lambda rows: rows.filter(name="imports.sweep").update(repeats=0), "imports.sweep"),
        (lambda rows: rows.create(name="old.job", func=RUN, args="'old.job'"), "old.job"),
    ],
    ids=["missing", "moved", "other job", "ended", "left over"],
)
def test_a_schedule_that_is_not_as_it_should_be_is_named(spoil, name):
    schedules.sync()
    spoil(Schedule.objects.all())
    finding = doctor.periodic_jobs()
    assert (finding.level, finding.text) == ("error", f"The schedule {name} is missing or not as it should be.")
    schedules.sync()
    assert level_of(doctor.periodic_jobs) == "ok"


def test_sqlite_must_check_foreign_keys_and_wait_for_its_lock():
    if connection.vendor != "sqlite":
        assert doctor.sqlite_file().text == "The database is not SQLite."
        return
    assert level_of(doctor.sqlite_file) in ("ok", "warn")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 5000")
        try:
            assert level_of(doctor.sqlite_file) == "error"
        finally:
            cursor.execute("PRAGMA busy_timeout = 20000")


@pytest.mark.parametrize(
    ("change", "level"),
    [({}, "ok"), ({"CONN_HEALTH_CHECKS": False}, "error"), ({"CONN_MAX_AGE": 0}, "warn"), ({"HOST": "db.example.com"}, "warn")],
)
def test_postgresql_connections_are_kept_checked_and_protected(change, level, monkeypatch):
    if connection.vendor != "postgresql":
        assert doctor.postgresql_connection().text == "The database is not PostgreSQL."
        return
    for name, value in change.items():
        monkeypatch.setitem(connection.settings_dict, name, value)
    assert level_of(doctor.postgresql_connection) == level


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (5, "warn"), (60, "error")])
def test_clocks_that_differ_are_named(seconds, level, monkeypatch):
    if connection.vendor != "postgresql":
        assert doctor.clock().text == "The database is on this machine's clock."
        return
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(seconds=seconds))
    assert level_of(doctor.clock) == level


def test_jobs_that_another_key_signed_are_named():
    enqueue("core.purge")
    assert level_of(doctor.undecodable_jobs) == "ok"
    row = OrmQ.objects.create(key="docket", payload=dumps({}, key="another key"), lock=timezone.now())
    assert doctor.undecodable_jobs().text == f"1 waiting jobs cannot be read, as row {row.pk}: the secret key has changed."


def test_failed_jobs_of_the_last_day_are_named():
    now = timezone.now()
    Failure.objects.create(id="1", name="workorders.sweep", func="f", started=now, stopped=now, success=False)
    Failure.objects.create(id="2", name="older", func="f", started=now, stopped=now - timedelta(days=2), success=False)
    assert doctor.failed_jobs().text == "1 jobs failed in the last day, as workorders.sweep."


def test_schedules_roles_and_presets_are_looked_for():
    schedules.sync()
    sync_roles()
    assert [level_of(check) for check in (doctor.periodic_jobs, doctor.roles, doctor.presets)] == ["ok", "ok", "warn"]
    Group.objects.filter(name="operator").delete()
    assert doctor.roles().text == "The role operator has no group."


def test_an_unprotected_ledger_is_an_error():
    assert level_of(doctor.ledger) == "ok"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'workorders_workevent'")
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TRIGGER {name}")
        else:
            cursor.execute("ALTER TABLE workorders_workevent DISABLE TRIGGER USER")
    assert level_of(doctor.ledger) == "error"


def test_a_short_secret_key_is_a_warning():
    with override_settings(SECRET_KEY="x" * 49):
        assert level_of(doctor.secret_key) == "warn"


def test_a_cache_that_forgets_is_a_warning():
    assert level_of(doctor.cache_works) == "ok"
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}):
        assert level_of(doctor.cache_works) == "warn"


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path):
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    (tmp_path / "cache").write_text("a file is where the folder should be")
    with override_settings(CACHES={"default": {"BACKEND": backend, "LOCATION": tmp_path / "cache" / "docket"}}):
        assert doctor.cache_works().text == "The cache does not keep what is written: pages are slower."


@pytest.mark.parametrize(("mode", "level"), [(None, "error"), (0o755, "error"), (0o700, "ok")])
def test_the_folder_of_uploads_is_there_and_closed(mode, level, tmp_path: Path):
    private = tmp_path / "private"
    if mode:
        private.mkdir()
        private.chmod(mode)
    with override_settings(STORAGES={**settings.STORAGES, "private": {"OPTIONS": {"location": private}}}):
        assert level_of(doctor.folders) == level


def test_a_folder_of_uploads_on_a_disk_that_takes_nothing_is_an_error(tmp_path: Path, monkeypatch):
    def refuse(**_):
        raise OSError(errno.EROFS, "Read-only file system")

    tmp_path.chmod(0o700)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with override_settings(STORAGES={**settings.STORAGES, "private": {"OPTIONS": {"location": tmp_path}}}):
        finding = doctor.folders()
    assert finding == doctor.error(f"{tmp_path} cannot be written: Read-only file system.", "Give the folder to the user that runs Docket.")


@pytest.mark.parametrize(("megabytes", "level"), [(5000, "ok"), (500, "warn"), (50, "error")])
def test_a_disk_that_fills_up_is_told_in_time(megabytes, level, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: SimpleNamespace(free=megabytes * 1024**2))
    finding = doctor.disk()
    assert finding.level == level
    assert level == "ok" or finding.text == f"{megabytes} MB are free for {settings.VAR_DIR}."


def test_texts_that_are_not_compiled_are_a_warning(tmp_path: Path):
    (catalogue,) = Catalogue.all(tmp_path)
    catalogue.folder.mkdir(parents=True)
    catalogue.source.write_text('msgid "order"\nmsgstr "施工单"\n')
    assert doctor.translations(tmp_path).text == "The texts of zh_Hans are not compiled."
    catalogue.compile()
    assert doctor.translations(tmp_path).level == "ok"


def test_backups_are_looked_for_proved_there_and_closed(places):
    def levels():
        return [check().level for check in (doctor.backup, doctor.backup_files, doctor.drills, doctor.backup_elsewhere)]

    assert levels() == ["warn", "ok", "warn", "warn"]
    row = BackupFactory(state="proved", host=socket.gethostname(), size=4, drilled_at=timezone.now())
    with override_settings(DOCKET_BACKUP_COPY=["no-such-program", "x"]):
        assert doctor.backup_elsewhere() == doctor.error(
            "No copy of the backups leaves this machine: there is no program no-such-program.", "Install it, or mend DOCKET_BACKUP_COPY."
        )
    with override_settings(DOCKET_BACKUP_COPY=["cp"]):
        assert levels() == ["ok", "error", "ok", "warn"]
        assert "that leave this machine are not encrypted" in doctor.backup_elsewhere().text
        with override_settings(DOCKET_BACKUP_KEYS=[bytes(32)]):
            assert levels() == ["ok", "error", "ok", "ok"]
    places.backups.mkdir(mode=0o700)
    path = places.backups / f"{row.name}.tar"
    path.write_bytes(b"four")
    path.chmod(0o600)
    assert level_of(doctor.backup_files) == "ok"
    path.chmod(0o644)
    assert "Other users of this machine can read" in doctor.backup_files().text
    path.write_bytes(b"cut")
    assert "is gone or cut short" in doctor.backup_files().text
    Backup.objects.update(started_at=timezone.now() - timedelta(hours=37), drilled_at=timezone.now() - timedelta(days=36))
    assert (level_of(doctor.backup), level_of(doctor.drills)) == ("error", "warn")


def test_what_backups_need_of_postgresql_is_named(monkeypatch):
    if connection.vendor != "postgresql":
        assert [level_of(doctor.backup_tools), level_of(doctor.scratch_rights)] == ["ok", "ok"]
        return
    assert [level_of(doctor.backup_tools), level_of(doctor.scratch_rights)] == ["ok", "ok"]
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE docket_poor")
        cursor.execute("SET LOCAL ROLE docket_poor")
        try:
            assert doctor.scratch_rights().fix == "In psql, run: ALTER ROLE docket_poor CREATEDB"
        finally:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP ROLE docket_poor")
    monkeypatch.setenv("PATH", "/nowhere")
    assert doctor.backup_tools().text == "pg_dump is missing: no backup can be made."


def test_a_restored_copy_that_is_not_released_is_an_error():
    assert level_of(doctor.held) == "ok"
    HoldFactory()
    assert doctor.held().fix.endswith("python manage.py release")
