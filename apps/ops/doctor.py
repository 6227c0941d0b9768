"""What can be wrong with an installation, each with the way to mend it. `manage.py doctor` and `/health/ready/` ask here."""

import shutil
import socket
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.checks import ERROR, run_checks
from django.db import Error, connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Max
from django.utils import timezone
from django.utils.timesince import timesince
from django_q.conf import Conf
from django_q.models import Failure, OrmQ

from apps.accounts.roles import ROLES
from apps.catalog.models import Process
from apps.core.models import Heartbeat, Hold, JobRun, JobState
from apps.ops import schedules
from apps.ops.backups.facts import known_migrations
from apps.ops.backups.making import last_proved
from apps.ops.messages import BASE, Catalogue
from apps.ops.models import Backup, BackupState

START_WORKER = "Start it: systemctl start docket-worker, or the worker's container."
BEAT_LIMIT = timedelta(minutes=3)
QUEUE_LIMIT = timedelta(minutes=2)
SAFE_SQLITE = (3, 51, 3)  # the first release without the rare "WAL-reset" corruption
GIGABYTE = 1024**3
BACKUP_LIMIT = timedelta(hours=36)  # one night may fail before it is an error
DRILL_LIMIT = timedelta(days=35)


@dataclass(frozen=True)
class Finding:
    """`level` is ok, warn or error; `fix` is the sentence that says what to do."""

    level: str
    text: str
    fix: str = ""


def ok(text: str) -> Finding:
    return Finding("ok", text)


def warn(text: str, fix: str) -> Finding:
    return Finding("warn", text, fix)


def error(text: str, fix: str) -> Finding:
    return Finding("error", text, fix)


def database() -> Finding:
    """Does it answer?"""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ok(f"{connection.vendor} answers.")


def unapplied() -> list[tuple[str, str]]:
    """The migrations of this code that the database lacks. One query, or two."""
    return sorted(known_migrations() - set(MigrationRecorder(connection).applied_migrations()))


def unusable_database() -> str:
    """Why no command can work here: the database does not answer, or lacks tables. Empty where neither is so."""
    try:
        if missing := unapplied():
            return f"This database lacks tables: {len(missing)} migrations are not applied. Run: python manage.py migrate"
    except Error as problem:
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        return f"The database does not answer: {reason}. Start it, and look at DATABASE_URL, POSTGRES_HOST or DOCKET_VAR_DIR."
    return ""


def migrations() -> Finding:
    """Does the database have the tables of this code?"""
    if missing := unapplied():
        return error(f"{len(missing)} migrations are not applied, as {'.'.join(missing[0])}.", "Run: python manage.py migrate")
    return ok("Every migration is applied.")


def system_checks() -> Finding:
    """Django's own checks and ours: among them the options of the database and of the queue."""
    if found := [message for message in run_checks(include_deployment_checks=False) if message.level >= ERROR]:
        return error(f"{found[0].id}: {found[0].msg}", str(found[0].hint or "Run: python manage.py check"))
    return ok("Every system check passes.")


def sqlite_file() -> Finding:
    """Are the options that make SQLite safe under parallel writers in force?"""
    if connection.vendor != "sqlite":
        return ok("The database is not SQLite.")
    with connection.cursor() as cursor:
        values = {}
        for pragma in ("journal_mode", "foreign_keys", "busy_timeout"):
            cursor.execute(f"PRAGMA {pragma}")
            values[pragma] = cursor.fetchone()[0]
    if values["journal_mode"] not in ("wal", "memory"):
        return error("The SQLite file is not in WAL mode.", "Keep it on a local disk: WAL does not work on network file systems.")
    if values["foreign_keys"] != 1 or values["busy_timeout"] < 20_000:
        return error("SQLite does not check foreign keys, or waits less than 20 s for a lock.", "Restore the options in project/env.py.")
    if sqlite3.sqlite_version_info < SAFE_SQLITE:
        return warn(
            f"SQLite {sqlite3.sqlite_version} has a very rare fault in WAL mode.",
            f"Use SQLite {'.'.join(map(str, SAFE_SQLITE))} or newer when the system offers it, and keep backups.",
        )
    return ok(f"SQLite {sqlite3.sqlite_version} is set up for parallel writers.")


def postgresql_connection() -> Finding:
    """Is the connection kept, checked, limited in time, and protected on its way?"""
    if connection.vendor != "postgresql":
        return ok("The database is not PostgreSQL.")
    values, options = connection.settings_dict, connection.settings_dict["OPTIONS"]
    if not values["CONN_HEALTH_CHECKS"] or not options.get("connect_timeout"):
        return error("Connections are not checked, or wait without end.", "Restore the options in project/env.py.")
    if not values["CONN_MAX_AGE"] and "pool" not in options:
        return warn("Every request opens a connection.", "Unset DATABASE_CONN_MAX_AGE: the default keeps them for 600 s.")
    if values["HOST"] not in ("", "localhost", "127.0.0.1", "::1") and options.get("sslmode") not in (
        "require",
        "verify-ca",
        "verify-full",
    ):
        return warn("The way to PostgreSQL is not encrypted for certain.", "Set POSTGRES_SSLMODE=verify-full, or require.")
    return ok("Connections are kept, checked and limited in time.")


def clock() -> Finding:
    """Do this machine and the database agree on the time? Locks and due dates depend on it."""
    if connection.vendor != "postgresql":
        return ok("The database is on this machine's clock.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        theirs: datetime = cursor.fetchone()[0]
    apart = abs((timezone.now() - theirs).total_seconds())
    if apart > 2:
        finding = error if apart > 30 else warn
        return finding(f"This machine and the database are {apart:.0f} s apart.", "Let both follow the same time server (NTP).")
    return ok("This machine and the database agree on the time.")


def worker() -> Finding:
    """How long ago did a job last go through the queue?"""
    beat = Heartbeat.objects.filter(name="worker").values_list("beat_at", flat=True).first()
    if beat is None:
        return error("The worker has never run.", START_WORKER)
    if timezone.now() - beat > BEAT_LIMIT:
        return error(f"The worker's last sign of life is {timesince(beat)} old.", START_WORKER)
    return ok("The worker runs.")


def queue() -> Finding:
    """How long has the oldest due row waited?"""
    due = OrmQ.objects.filter(key=Conf.CLUSTER_NAME, lock__lt=timezone.now()).order_by("lock").values_list("lock", flat=True).first()
    if due and timezone.now() - due > QUEUE_LIMIT:
        return error(f"The oldest job has waited {timesince(due)}.", "See whether the worker runs, or give it more: DOCKET_WORKERS.")
    return ok("No job waits for long.")


def undecodable_jobs() -> Finding:
    """Rows that another secret key signed are thrown away by the cluster without a word."""
    newest = OrmQ.objects.order_by("-pk")[:1000]
    if lost := [row.pk for row in newest if row.task_id().startswith("*")]:
        return error(
            f"{len(lost)} waiting jobs cannot be read, as row {lost[0]}: the secret key has changed.",
            "Nothing needs doing: the sweepers find their work again. Next time, empty the queue before a new key.",
        )
    return ok("Every waiting job can be read.")


def failed_jobs() -> Finding:
    """Jobs that ended badly in the last day."""
    failed = Failure.objects.filter(stopped__gt=timezone.now() - timedelta(days=1)).values_list("name", flat=True)
    if names := sorted(set(failed)):
        return warn(f"{len(names)} jobs failed in the last day, as {names[0]}.", "Search the log for 'docket.jobs' and the job's name.")
    return ok("No job failed in the last day.")


def dead_letters() -> Finding:
    """Jobs that were given up and that nobody has looked at."""
    count = JobRun.objects.filter(state=JobState.DEAD).count()
    if count:
        return warn(f"{count} jobs were given up.", "See why at Admin, Background jobs, Given up; mend it, and try them again there.")
    return ok("No job was given up.")


def periodic_jobs() -> Finding:
    """Are the schedules those of this code?"""
    if names := schedules.differences():
        return error(f"The schedule {names[0]} is missing or not as it should be.", "Restart the worker: it writes them at its start.")
    return ok("Every schedule is as it should be.")


def roles() -> Finding:
    """Has each role its group?"""
    there = set(Group.objects.values_list("name", flat=True))
    if missing := [str(name) for name in ROLES if name not in there]:
        return error(f"The role {missing[0]} has no group.", "Run: python manage.py prepare")
    return ok("Every role has its group.")


def presets() -> Finding:
    """Are the processes of the trade there?"""
    if not Process.objects.exists():
        return warn("There are no processes, so no order can be planned.", "Run: python manage.py seed_presets, or enter your own.")
    return ok("There are processes.")


def ledger() -> Finding:
    """Does the database itself keep the event ledger from being changed?"""
    table = apps.get_model("workorders", "WorkEvent")._meta.db_table
    ask = {
        "sqlite": "SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s",
        "postgresql": "SELECT count(*) FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled <> 'D'",
    }
    with connection.cursor() as cursor:
        cursor.execute(ask[connection.vendor], [table])
        if not cursor.fetchone()[0]:
            return error("The event ledger is not protected in the database.", "Restore its triggers: migrate workorders back and forth.")
    return ok("The event ledger is protected.")


def secret_key() -> Finding:
    """Long enough to stand for years?"""
    if len(settings.SECRET_KEY) < 50:
        return warn("The secret key is shorter than 50 characters.", "Set a longer DJANGO_SECRET_KEY; keep the old one as a fallback.")
    return ok("The secret key is long.")


def cache_works() -> Finding:
    """Does what is written come back?"""
    mark, found = timezone.now().isoformat(), None
    with suppress(OSError):  # a cache in a folder that is not ours, or on a full disk
        cache.set("doctor", mark, 60)
        found = cache.get("doctor")
    if found != mark:
        return warn("The cache does not keep what is written: pages are slower.", "See whether REDIS_URL answers, or the disk is full.")
    return ok("The cache works.")


def folders() -> Finding:
    """Can uploads be written, and read by nobody else?"""
    private = Path(settings.STORAGES["private"]["OPTIONS"]["location"])
    if not private.is_dir():
        return error(f"The folder {private} is missing.", "Run: python manage.py prepare")
    if stat.S_IMODE(private.stat().st_mode) & 0o077:
        return error(f"Other users of this machine can look into {private}.", f"Run: chmod 700 {private}")
    try:
        with tempfile.TemporaryFile(dir=private):
            return ok("Uploads are written where only the server reads.")
    except OSError as problem:
        return error(f"{private} cannot be written: {problem.strerror}.", "Give the folder to the user that runs Docket.")


def disk() -> Finding:
    """Is there room?"""
    free = shutil.disk_usage(settings.VAR_DIR).free
    if free < GIGABYTE:
        finding = error if free < GIGABYTE / 10 else warn
        return finding(f"{free // 1024**2} MB are free for {settings.VAR_DIR}.", "Free some space, or move DOCKET_VAR_DIR.")
    return ok(f"{free // GIGABYTE} GB are free.")


def backup() -> Finding:
    """When was the last backup taken that was restored on trial and found equal? One query."""
    row = last_proved()
    if row is None:
        return warn("No backup was ever proved.", "Run: python manage.py backup. The worker does it every night at 02:00.")
    if timezone.now() - row.started_at > BACKUP_LIMIT:
        return error(
            f"The last proved backup is {timesince(row.started_at)} old.",
            "See why the last one failed: Admin, Backups. Then: python manage.py backup",
        )
    return ok("The last backup is proved.")


def backup_files() -> Finding:
    """Is the archive of the last proved backup still where it was written, and closed to others?"""
    row = Backup.objects.filter(state=BackupState.PROVED, host=socket.gethostname()).order_by("-started_at").first()
    if row is None:
        return ok("No backup of this machine is looked for.")
    path = settings.DOCKET_BACKUP_DIR / f"{row.name}.tar"
    if not path.is_file() or path.stat().st_size != row.size:
        return error(f"The archive {path} is gone or cut short.", "Bring it back from the copy off site, or run: python manage.py backup")
    if stat.S_IMODE(path.stat().st_mode) & 0o077 or stat.S_IMODE(path.parent.stat().st_mode) & 0o077:
        return error(f"Other users of this machine can read {path.parent}.", f"Run: chmod -R go= {path.parent}")
    return ok("The last proved backup is there, and closed to others.")


def backup_elsewhere() -> Finding:
    """Does a copy leave this machine? A disk takes its backups with it."""
    if not settings.DOCKET_BACKUP_COPY:
        return warn("No copy of the backups leaves this machine.", "Set DOCKET_BACKUP_COPY to a command that takes the archive elsewhere.")
    if shutil.which(program := settings.DOCKET_BACKUP_COPY[0]) is None:
        return error(
            f"No copy of the backups leaves this machine: there is no program {program}.", "Install it, or mend DOCKET_BACKUP_COPY."
        )
    if not settings.DOCKET_BACKUP_KEYS:
        return warn(
            "The copies of backups that leave this machine are not encrypted.",
            "Make a key for DOCKET_BACKUP_KEY_FILE, as project/docs/operations.md says.",
        )
    return ok("An encrypted copy of each backup leaves this machine.")


def drills() -> Finding:
    """Was a restore rehearsed by a person of late?"""
    last = Backup.objects.aggregate(last=Max("drilled_at"))["last"]
    if last is None or timezone.now() - last > DRILL_LIMIT:
        return warn("No restore was rehearsed in the last 35 days.", "Run: python manage.py restore latest --drill")
    return ok("A restore was rehearsed of late.")


def backup_tools() -> Finding:
    """Are PostgreSQL's own programs there, where they are needed?"""
    if connection.vendor != "postgresql":
        return ok("SQLite is backed up without other programs.")
    if missing := [tool for tool in ("pg_dump", "pg_restore") if shutil.which(tool) is None]:
        return error(f"{missing[0]} is missing: no backup can be made.", "Run: apt-get install postgresql-client")
    return ok("pg_dump and pg_restore are there.")


def scratch_rights() -> Finding:
    """May the database role make the scratch database in which backups are proved?"""
    if connection.vendor != "postgresql":
        return ok("SQLite needs no right to make a scratch database.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolcreatedb OR rolsuper, rolname FROM pg_roles WHERE rolname = current_user")
        may, name = cursor.fetchone()
    if not may:
        return error(f"The role {name} may not make databases: no backup can be proved.", f"In psql, run: ALTER ROLE {name} CREATEDB")
    return ok("Backups can be proved in a scratch database.")


def held() -> Finding:
    """Do jobs stand still since a restore?"""
    if Hold.objects.exists():
        return error(
            "Jobs, schedules and mail stand still since a restore.", "When this copy is to be the real one: python manage.py release"
        )
    return ok("Nothing is held back.")


def translations(base: Path = BASE) -> Finding:
    """Are the compiled texts there, and not older than their source?"""
    if stale := [catalogue.locale for catalogue in Catalogue.all(base) if catalogue.is_stale()]:
        return warn(f"The texts of {stale[0]} are not compiled.", "Run: python manage.py messages --compile")
    return ok("Every translation is compiled.")


CHECKS: tuple[Callable[[], Finding], ...] = (
    database, migrations, system_checks, sqlite_file, postgresql_connection, clock, worker, queue, undecodable_jobs, failed_jobs,
    dead_letters, periodic_jobs, roles, presets, ledger, secret_key, cache_works, folders, disk, translations, backup, backup_files,
    backup_elsewhere, drills, backup_tools, scratch_rights, held,
)  # fmt: skip
READINESS: tuple[Callable[[], Finding], ...] = (database, migrations, worker, queue)
# Named beside them, but no reason to send people away: the shop goes on while somebody mends it.
ADVICE: tuple[Callable[[], Finding], ...] = (backup,)


def findings(checks: tuple[Callable[[], Finding], ...] = CHECKS) -> Iterator[tuple[str, Finding]]:
    """Each check's name with what it found. A database that does not answer is a finding, not an exception."""
    for check in checks:
        try:
            yield check.__name__, check()
        except Error as problem:
            # Only the kind: the text of a driver's error can hold the address and the user.
            kind = type(problem).__name__
            if check is database:
                yield check.__name__, error(f"The database does not answer ({kind}).", "Start it, and see DATABASE_URL.")
            else:
                yield check.__name__, error(f"The database could not say ({kind}).", "Mend what is named above first.")
