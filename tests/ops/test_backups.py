"""Backups are made, proved and kept; what goes wrong is told, and leaves nothing half."""

import os
import resource
import shutil
import socket
import stat
from datetime import timedelta

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from apps.core.jobs import run
from apps.core.models import Hold
from apps.notices.models import Notice
from apps.ops.alarms import alarm
from apps.ops.backups.archive import open_archive
from apps.ops.backups.errors import BackupError
from apps.ops.backups.making import alone, archives, end_interrupted, last_proved, make_backup, path_of, prune, verify_backup
from apps.ops.models import Backup, BackupState
from apps.workorders.models import Task, WorkEvent
from tests.factories import BackupFactory, UserFactory
from tests.ops.workers import database_url, eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("pg_dump") and os.environ.get("DOCKET_REQUIRE_PG_DUMP", "") != "1" and connection.vendor == "postgresql",
        reason="there is no pg_dump (apt-get install postgresql-client)",
    ),
]
real_rows = pytest.mark.django_db(transaction=True)


@real_rows
def test_a_backup_is_one_closed_file_that_was_restored_on_trial(shop, places):
    order = shop.approved("leaflet")
    (places.private / "link").symlink_to("/etc/passwd")
    row = make_backup()
    assert (row.state, row.problem) == (BackupState.PROVED, "")
    assert row.started_at <= row.made_at <= row.proved_at
    assert archives() == [path_of(row.name)]
    assert stat.S_IMODE(path_of(row.name).stat().st_mode) == 0o600
    assert stat.S_IMODE(places.backups.stat().st_mode) == 0o700
    assert sorted(path.name for path in places.backups.iterdir()) == [".lock", f"{row.name}.tar"]

    archive = open_archive(path_of(row.name))
    said = archive.manifest
    assert archive.files("private") == ["files/private/imports/订单.csv"]
    assert said["counts"]["workorders_task"] == Task.objects.filter(order=order).count()
    assert sum(said["counts"].values()) == row.rows
    assert said["totals"]["events"] == WorkEvent.objects.count() == row.events
    assert (said["vendor"], said["version"], row.sha256, row.host) == (connection.vendor, "1.0.0", archive.sha256, socket.gethostname())
    assert last_proved() == row

    # Proved again by hand; a copy that changed on the way is refused, and leaves the good one alone.
    assert verify_backup(path_of(row.name)).proved_at > row.proved_at
    copy = places.private / path_of(row.name).name
    copy.write_bytes(path_of(row.name).read_bytes()[:-200])
    with pytest.raises(BackupError, match="is not a backup of Docket"):
        verify_backup(copy)
    assert last_proved() == row
    shutil.move(copy, path_of(row.name))
    with pytest.raises(CommandError, match="is not a backup of Docket"):
        call_command("verify_backup", "latest")
    row.refresh_from_db()
    assert row.state == BackupState.FAILED
    assert last_proved() is None


@real_rows
def test_what_is_not_sound_is_not_proved_and_the_old_backups_stay(shop, places):
    shop.approved("leaflet")
    old = places.backups / "docket-20200101T020000Z-abcd.tar"
    places.backups.mkdir()
    old.write_bytes(b"old")
    task = Task.objects.order_by("pk").first()
    Task.objects.filter(pk=task.pk).update(good=7)
    with pytest.raises(BackupError, match=rf"task_totals: 1 rows, as T{task.pk}"):
        make_backup()
    row = Backup.objects.get()
    assert (row.state, row.made_at is not None, row.proved_at) == (BackupState.FAILED, True, None)
    assert old.exists()
    assert path_of(row.name).exists()
    told = Notice.objects.get(kind="backup_failed", user=shop.people["administrator"])
    assert row.name in str(told)
    assert "task_totals" in str(told)

    Task.objects.filter(pk=task.pk).update(good=0)
    with override_settings(DOCKET_BACKUP_COPY=["cp", "-t", str(places.private)]):
        row = make_backup()
    assert row.copied_at
    assert (places.private / path_of(row.name).name).read_bytes() == path_of(row.name).read_bytes()
    assert not old.exists()


@real_rows
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["false"], "exit code 1"),
        (["/nowhere/rclone", "copyto"], "/nowhere/rclone: No such file or directory"),
        (["/etc"], "/etc: Permission denied"),
        (["sh", "-c", r"printf 'no r\303om\n' >&2; exit 3"], "no r\ufffdom"),
        (["sh", "-c", "exec sleep 9"], "sh took longer than 0.0001 hours"),
    ],
)
def test_a_copy_off_site_that_fails_is_a_failure(places, administrator, monkeypatch, words, why):
    monkeypatch.setattr("apps.ops.backups.making.COPY_LIMIT", timedelta(seconds=0.36))
    with override_settings(DOCKET_BACKUP_COPY=words), pytest.raises(CommandError) as caught:
        call_command("backup")
    said = f"The archive is made and proved, but its copy off site failed: {why}. See DOCKET_BACKUP_COPY."
    row = Backup.objects.get()
    assert str(caught.value) == row.problem == said
    assert (row.state, row.copied_at) == (BackupState.FAILED, None)
    assert path_of(row.name).exists()
    assert said in str(Notice.objects.get(kind="backup_failed", user=administrator))


@real_rows
def test_a_full_disk_leaves_no_half_archive(places):
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000 if connection.vendor == "sqlite" else 20_000, hard))
    try:
        with pytest.raises(BackupError):
            make_backup()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in places.backups.iterdir()] == [".lock"]
    assert Backup.objects.get().state == BackupState.FAILED


@real_rows
def test_the_nightly_job_starts_a_process_that_makes_one(places, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", database_url())
    monkeypatch.setenv("DOCKET_BACKUP_DIR", str(places.backups))
    run("ops.backup")
    assert eventually(lambda: last_proved()).name == archives()[0].stem


@real_rows
def test_a_missing_program_is_named_with_what_to_install(places, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    if connection.vendor == "sqlite":
        assert make_backup().state == BackupState.PROVED
        return
    with pytest.raises(BackupError, match=r"pg_dump is missing on this machine\. Install .*: apt-get install postgresql-client"):
        make_backup()


@pytest.mark.django_db
def test_one_run_at_a_time_and_the_leavings_of_a_killed_one_go(places):
    with alone() as place:
        (place / "docket-x.part").write_bytes(b"half")
        (place / ".work-x").mkdir()
        (place / ".restoring-x").mkdir()
        with pytest.raises(BackupError, match="Another backup, proof or restore is running"), alone():
            pass
        assert end_interrupted() == 0
    with alone():
        assert [path.name for path in place.iterdir()] == [".lock"]


@pytest.mark.django_db
def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").touch()
    with override_settings(DOCKET_BACKUP_DIR=tmp_path / "file" / "below"), pytest.raises(BackupError, match="Set DOCKET_BACKUP_DIR"):
        archives()


@pytest.mark.django_db
def test_old_archives_go_but_never_the_one_that_was_just_proved(places):
    now = timezone.now()
    stamps = {days: f"docket-{now - timedelta(days=days):%Y%m%dT%H%M%SZ}-abcd" for days in (0, 29, 31, 400)}
    rows = {days: BackupFactory(name=name, state="proved", started_at=now - timedelta(days=days)) for days, name in stamps.items()}
    BackupFactory(name="failed long ago", state="failed", started_at=now - timedelta(days=400))
    places.backups.mkdir()
    for name in [*stamps.values(), "docket-strange"]:
        path_of(name).touch()
    assert prune(rows[0]) == [stamps[400], stamps[31]]
    assert {path.stem for path in archives()} == {stamps[29], stamps[0], "docket-strange"}
    assert sorted(Backup.objects.values_list("state", flat=True)) == ["proved", "proved", "removed"]
    assert prune(rows[400]) == []  # an old one that was just proved stays, too


@pytest.mark.django_db
def test_a_killed_run_is_told(places, administrator):
    mine, theirs = BackupFactory(host=socket.gethostname()), BackupFactory(host="another")
    assert run("ops.watch_backups") is True
    mine.refresh_from_db()
    theirs.refresh_from_db()
    assert (mine.state, mine.problem, theirs.state) == ("failed", "The run was killed before its end.", "running")
    assert Notice.objects.filter(kind="backup_failed", user=administrator).exists()
    assert run("ops.watch_backups") is False


@pytest.mark.django_db
def test_too_long_without_a_proof_is_told_once_a_day(places, administrator):
    row = BackupFactory(state="proved", started_at=timezone.now() - timedelta(hours=35))
    assert run("ops.watch_backups") is False
    Backup.objects.filter(pk=row.pk).update(started_at=timezone.now() - timedelta(hours=37))
    assert run("ops.watch_backups") is True
    assert run("ops.watch_backups") is False
    assert Notice.objects.filter(kind="backup_missing", user=administrator).count() == 1


@pytest.mark.django_db
def test_an_alarm_is_mailed_where_mail_is_set_up_and_nothing_is_held():
    UserFactory(is_superuser=True)
    for changes, hold, mails in (({}, False, 0), (MAIL, False, 1), (MAIL, True, 1)):
        if hold:
            Hold.objects.create(name="jobs", since=timezone.now())
        with override_settings(**changes):
            alarm("backup_failed", name="x", reason="no room")
        assert len(mail.outbox) == mails
    assert (mail.outbox[0].to, mail.outbox[0].body) == (["ops@example.com"], "Backup x failed: no room")
    assert Notice.objects.count() == 3


@pytest.mark.django_db
def test_mail_that_cannot_be_sent_stops_nothing():
    UserFactory(is_superuser=True)
    refused = {"EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend", "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": 1}
    with override_settings(ADMINS=MAIL["ADMINS"], **refused):
        alarm("backup_failed", name="x", reason="no room")
    assert Notice.objects.count() == 1


MAIL = {"EMAIL_HOST": "mail.example.com", "ADMINS": [("Docket", "ops@example.com")]}
