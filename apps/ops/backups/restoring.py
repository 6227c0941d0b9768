"""Puts a backup in the place of what is there: looked at first, asked for, and with what was there kept aside."""

import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apps.core.models import Hold
from apps.ops.backups.archive import FOLDERS, Archive, open_archive
from apps.ops.backups.databases import Copy, Moves, present
from apps.ops.backups.errors import BackupError, BadArchive
from apps.ops.backups.facts import known_migrations
from apps.ops.backups.making import TROUBLE, adopt, alone, archives, compare, rehearse, sentence, uploaded
from apps.ops.models import BackupState

log = logging.getLogger("docket.backup")
JOBS = "jobs"


@dataclass(frozen=True)
class Restored:
    """What a restore did: where the former database and files are now, if there were any."""

    archive: Archive
    aside: str
    seconds: float


def check(path: Path, *, any_key: bool = False, keys: Sequence[bytes] = ()) -> Archive:
    """An archive that this code can bring to life here. Reads only. Raises BadArchive."""
    archive = open_archive(path, any_key=any_key, keys=keys)
    vendor, ours = archive.manifest["vendor"], present().vendor
    if vendor != ours:
        raise BadArchive(f"{path} is a backup of {vendor}, and this installation uses {ours}. Set DATABASE_URL to such a database.")
    if unknown := sorted({tuple(row) for row in archive.manifest["migrations"]} - known_migrations()):
        raise BadArchive(
            f"{path} was made by a newer Docket ({archive.manifest['version']}): this one does not know migration {'.'.join(unknown[0])}. "
            "Install that version first."
        )
    return archive


def drill(path: Path, *, keys: Sequence[bytes] = ()) -> Restored:
    """Rehearse the whole restore beside what is there, which stays as it is, and write down that it went well."""
    begun = time.monotonic()
    with alone() as place:
        try:
            archive = check(path, keys=keys)
            rehearse(archive, place)
        except TROUBLE as error:
            raise BackupError(sentence(error)) from error
        with suppress(DatabaseError), transaction.atomic():  # an empty machine has no tables to write it into
            row = adopt(archive, path)
            row.proved_at = row.drilled_at = timezone.now()
            row.state, row.problem = BackupState.PROVED, ""
            row.save()
    return Restored(archive, "", time.monotonic() - begun)


def restore(archive: Archive) -> Restored:
    """Replace database and uploaded files by those of `archive`. Everything is unpacked and compared before anything is moved.

    Raises BackupError; then what was there is as it was. Afterwards no job, schedule or mail goes until `release`.
    """
    begun, database = time.monotonic(), present()
    stamp = f"before-restore-{timezone.now():%Y%m%d-%H%M%S}"
    with alone() as place:
        try:
            connection.close()
            if database.is_used():
                raise BackupError(f"Another process uses {database.name}. Stop web and worker (on every machine), then restore.")
            if mounted := [path for path in uploaded().values() if path.is_mount()]:
                raise BackupError(
                    f"{mounted[0]} is a mount of its own and cannot be moved aside. Mount the folder above it (DOCKET_VAR_DIR)."
                )
            with Staged(archive) as staged, database.unpacked(archive, _near(database, place)) as copy:
                compare(archive, copy.database)
                _hold(copy)
                with Moves() as moves:
                    moved = [*staged.put_in_place(stamp, moves), database.put_in_place(copy, stamp, moves)]
        except TROUBLE as error:
            raise BackupError(sentence(error)) from error
    log.warning("restored %s over %s", archive.name, database.name)
    return Restored(archive, ", ".join(filter(None, moved)), time.monotonic() - begun)


def _near(database: Any, place: Path) -> Path:
    """A folder from which a file gets to the database's place in one move."""
    if database.vendor != "sqlite":
        return place
    database.path.parent.mkdir(parents=True, exist_ok=True)
    return database.path.parent


def _hold(copy: Copy) -> None:
    """Stop what would act on its own, before anything can look at the restored tables: the queue is only a hint, and is emptied."""
    with copy.database.cursor() as cursor:
        there = set(copy.database.introspection.table_names(cursor))
        for table in sorted(there & {"django_q_ormq", "django_session", "accounts_opensession", "core_heartbeat", "core_hold"}):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608
        cursor.execute("INSERT INTO core_hold (name, since) VALUES (%s, %s)", [JOBS, _moment(copy)])


def _moment(copy: Copy) -> Any:
    return copy.database.ops.adapt_datetimefield_value(timezone.now())


class Staged:
    """The uploaded files of an archive, beside where they belong; whatever is not put in place goes away."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.staged: dict[str, Path] = {}

    def __enter__(self) -> "Staged":
        try:
            for kind in FOLDERS:
                target = uploaded()[kind]
                target.parent.mkdir(parents=True, exist_ok=True)
                base = Path(tempfile.mkdtemp(prefix=".restoring-", dir=target.parent))
                self.staged[kind] = base
                self.archive.extract_files(kind, base / "files")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: Any) -> None:
        for base in self.staged.values():
            shutil.rmtree(base, ignore_errors=True)

    def put_in_place(self, stamp: str, moves: Moves) -> list[str]:
        moved = []
        for kind, base in self.staged.items():
            target = uploaded()[kind]
            if target.exists():
                moves.rename(target, before := f"{target}.{stamp}")
                moved.append(before)
            moves.rename(base / "files", target)
        return moved


def settle(restored: Restored, path: Path) -> None:
    """In the restored tables, when they are migrated: this archive is known, and proved by what was just done with it."""
    row = adopt(restored.archive, path)
    row.proved_at, row.state = timezone.now(), BackupState.PROVED
    row.save()


def release() -> int:
    """Let jobs, schedules and mail go again. Says how many holds there were."""
    return Hold.objects.all().delete()[0]


def newest() -> Path:
    """The newest archive in the folder. Raises BackupError."""
    found = archives()
    if not found:
        raise BackupError("There is no archive in the folder of backups (DOCKET_BACKUP_DIR). Name the file.")
    return found[-1]
