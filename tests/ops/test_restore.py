"""From an archive to a running installation: an empty machine, a used one, a rehearsal."""

import io
import os
import shutil
import subprocess
import sys
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from apps.accounts.models import OpenSession
from apps.core.jobs import enqueue, run
from apps.core.models import Heartbeat, Hold
from apps.ops.backups.archive import Writer, open_archive
from apps.ops.backups.databases import Moves, Sqlite, present
from apps.ops.backups.errors import BackupError, BadArchive
from apps.ops.backups.facts import differences, facts_of, known_migrations
from apps.ops.backups.making import make_backup, path_of
from apps.ops.backups.restoring import check, drill, release, restore
from apps.ops.models import Backup
from apps.ops.supervisor import Supervisor
from apps.workorders.models import Task, WorkEvent
from tests.ops.test_archives import FACTS
from tests.ops.test_backups import pytestmark  # noqa: F401
from tests.ops.workers import database_url

real_rows = pytest.mark.django_db(transaction=True)


def told(*words: str, **options) -> str:
    said = StringIO()
    call_command(*words, stdout=said, **options)
    return said.getvalue()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own statistics")
@real_rows
def test_a_restored_database_knows_how_large_its_tables_are(shop, places):
    """Without that the questions of its proof are answered row by row: hours for a shop of some years."""
    archive = open_archive(path_of(make_backup().name))
    with present().unpacked(archive, settings.DOCKET_BACKUP_DIR) as copy, copy.database.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples < 0")
        assert cursor.fetchall() == []


@real_rows
def test_an_empty_machine_gets_everything_back_and_holds_still(shop, places, elsewhere, monkeypatch):
    shop.approved("leaflet")
    enqueue("core.purge")
    run("core.heartbeat")
    OpenSession.objects.create(session_key="s", session_data="", expire_date=timezone.now())
    row = make_backup()
    before, tasks = facts_of(connection), list(Task.objects.order_by("pk").values_list("pk", "version", "good"))
    shutil.rmtree(places.private)

    elsewhere.begin()
    assert "could be restored" in told("restore", "latest", "--drill")
    assert not places.private.exists()

    said = told("restore", str(path_of(row.name)), "--yes")
    assert f"{row.name} is restored in " in said
    assert "What was there" not in said
    after = facts_of(connection)
    assert after["totals"] == before["totals"]
    emptied = {"django_q_ormq", "django_session", "accounts_opensession", "core_heartbeat", "core_hold"}
    assert {name: count for name, count in after["counts"].items() if name not in emptied} == {
        name: count for name, count in before["counts"].items() if name not in emptied
    }
    assert list(Task.objects.order_by("pk").values_list("pk", "version", "good")) == tasks
    assert (places.private / "imports" / "订单.csv").read_text() == "orders"
    assert Backup.objects.get().state == "proved"

    # The next row gets a number of its own, and the ledger is still protected.
    event = WorkEvent.objects.order_by("-pk").first()
    event.pk = None
    event.save(force_insert=True)
    assert WorkEvent.objects.latest("pk").pk == event.pk

    # Nothing goes by itself until somebody says so.
    assert (OrmQ.objects.count(), OpenSession.objects.count(), Heartbeat.objects.count()) == (0, 0, 0)
    run("core.heartbeat")
    assert not Heartbeat.objects.exists()
    supervisor = Supervisor(stale_after=60)
    supervisor._prepare()
    assert supervisor.is_held
    assert "Released" in told("release")
    assert "Nothing was held" in told("release")
    supervisor._prepare()
    assert not supervisor.is_held
    run("core.heartbeat")
    assert Heartbeat.objects.exists()

    # Over what is there: only when nobody uses it, only when asked, and what was there is kept.
    monkeypatch.setattr(sys, "stdin", io.StringIO("no\n"))
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("restore", str(path_of(row.name)), stdout=StringIO())
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(CommandError, match="Nothing was changed"):
        call_command("restore", str(path_of(row.name)), stdout=StringIO())
    user = connection.copy("another")
    with user.cursor() as cursor:
        cursor.execute("SELECT 1 FROM core_hold")
    with pytest.raises(CommandError, match="Another process uses"):
        told("restore", str(path_of(row.name)), "--yes")
    user.close()
    assert Heartbeat.objects.exists()
    monkeypatch.setattr(sys, "stdin", io.StringIO("restore\n"))
    said = told("restore", str(path_of(row.name)))
    assert "What was there is kept: " in said
    assert "before" in said
    assert not Heartbeat.objects.exists()
    assert Hold.objects.exists()


@real_rows
def test_one_command_in_a_process_of_its_own_fills_an_empty_machine(places, elsewhere, tmp_path):
    row = make_backup()
    elsewhere.begin()
    machine = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DOCKET_VAR_DIR": str(tmp_path / "new"),
        "DOCKET_BACKUP_DIR": str(places.backups),
    }
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    done = subprocess.run([*manage, "verify_backup", "latest"], env=machine, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("The database does not answer: ")
    assert "Traceback" not in done.stderr
    words = [*manage, "restore", "latest", "--yes"]
    done = subprocess.run(words, env=machine, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{row.name} is restored in " in done.stdout
    assert (tmp_path / "new" / "private" / "imports" / "订单.csv").read_text() == "orders"
    # A second machine with another key gets a sentence, and nothing else.
    done = subprocess.run(words, env={**machine, "DJANGO_SECRET_KEY": "k" * 60}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "was made under another DJANGO_SECRET_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def archive(tmp_path, **changes):
    path = tmp_path / "x.tar"
    writer = Writer(path)
    name = "database.sqlite3.gz" if connection.vendor == "sqlite" else "database.dump"
    writer.add(name, io.BytesIO(b"nonsense"), 8)
    writer.finish(FACTS | {"vendor": connection.vendor} | changes)
    return path


@pytest.mark.django_db
def test_an_archive_of_another_kind_or_of_tomorrow_is_refused(tmp_path, places):
    other = "postgresql" if connection.vendor == "sqlite" else "sqlite"
    with pytest.raises(BadArchive, match=f"is a backup of {other}, and this installation uses {connection.vendor}"):
        check(archive(tmp_path, vendor=other))
    (tmp_path / "x.tar").unlink()
    with pytest.raises(BadArchive, match=r"was made by a newer Docket .*core\.9999_tomorrow"):
        check(archive(tmp_path, migrations=[["core", "9999_tomorrow"]]))


@real_rows
def test_what_cannot_be_unpacked_changes_nothing(tmp_path, places):
    path = archive(tmp_path)
    with pytest.raises(BackupError):
        restore(check(path))
    with pytest.raises(BackupError):
        drill(path)
    assert (places.private / "imports" / "订单.csv").exists()
    assert not Hold.objects.exists()
    assert [one.name for one in places.private.parent.iterdir() if one.name.startswith(".")] == []


@pytest.mark.django_db
def test_without_an_archive_there_is_a_sentence(places):
    with pytest.raises(CommandError, match="There is no archive in the folder of backups"):
        call_command("restore", "latest")


@pytest.mark.django_db
def test_what_a_restored_database_lacks_is_named(places):
    facts = {"migrations": [["core", "0001_initial"]], "counts": {"a": 1, "b": 2}, "totals": {"good": 5}}
    assert differences(facts, facts) == []
    found = {"migrations": [], "counts": {"a": 1}, "totals": {"good": 6}}
    assert differences(facts, found) == ["Migration core.0001_initial is missing.", "b is None, and was 2.", "good is 6, and was 5."]
    assert ("ops", "0001_initial") in known_migrations()
    assert release() == 0


def test_moves_are_all_done_or_all_taken_back(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.touch()

    def both():
        with Moves() as moves:
            moves.rename(first, second)
            moves.rename(tmp_path / "nowhere", first)

    with pytest.raises(FileNotFoundError):
        both()
    assert first.exists()
    assert not second.exists()


@pytest.mark.django_db
def test_a_sqlite_file_that_is_none_is_in_nobodys_use(tmp_path, monkeypatch):
    if connection.vendor != "sqlite":
        return
    path = tmp_path / "broken.sqlite3"
    path.write_bytes(b"not a database" * 100)
    monkeypatch.setitem(connection.settings_dict, "NAME", path)
    assert Sqlite().is_used() is False
