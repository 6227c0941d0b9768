"""Makes backups, proves them, copies them off site, and throws away the old ones that are not needed any more."""

import fcntl
import logging
import os
import secrets
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import QuerySet
from django.utils import timezone

from apps.ops.alarms import alarm
from apps.ops.backups.archive import FOLDERS, Archive, Writer, open_archive
from apps.ops.backups.databases import present
from apps.ops.backups.errors import BackupError, MissingKey
from apps.ops.backups.facts import broken_invariants, differences, facts_of, known_migrations
from apps.ops.models import Backup, BackupState

log = logging.getLogger("docket.backup")
STAMP = "%Y%m%dT%H%M%SZ"
COPY_LIMIT = timedelta(hours=6)  # so long may the site's own command take
TROUBLE = (OSError, sqlite3.Error, DatabaseError, BackupError, subprocess.SubprocessError)


def folder() -> Path:
    """Where archives are kept, readable by nobody else. Raises BackupError."""
    path = Path(settings.DOCKET_BACKUP_DIR)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise BackupError(f"{path} cannot be used for backups: {error.strerror}. Set DOCKET_BACKUP_DIR.") from error
    return path


def path_of(name: str) -> Path:
    return Path(settings.DOCKET_BACKUP_DIR) / f"{name}.tar"


def archives() -> list[Path]:
    """Every archive in the folder, oldest first: their names begin with their time."""
    return sorted(folder().glob("docket-*.tar"))


def uploaded() -> dict[str, Path]:
    """The folders of uploaded files by what they are called in an archive."""
    places = (Path(settings.STORAGES["private"]["OPTIONS"]["location"]), Path(settings.MEDIA_ROOT))
    return dict(zip(FOLDERS, places, strict=True))


@contextmanager
def alone() -> Iterator[Path]:
    """Nobody else makes or looks at a backup on this machine meanwhile. What a killed run left behind goes."""
    place = folder()
    with (place / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BackupError("Another backup, proof or restore is running on this machine. Wait for its end.") from error
        for left in [*place.glob("*.part"), *place.glob(".work-*")]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        present().sweep(place)
        yield place


def make_backup() -> Backup:
    """Make an archive, prove it, copy it, prune. The row that is returned is proved; whatever fails is told, and raises BackupError."""
    with alone() as place:
        started = timezone.now()
        name = f"docket-{started.astimezone(UTC):{STAMP}}-{secrets.token_hex(2)}"
        row = Backup.objects.create(name=name, started_at=started, host=socket.gethostname())
        try:
            _write(row, place)
            archive = open_archive(path_of(name))
            prove(archive, row, place)
            _copy_off_site(row)
        except TROUBLE as error:
            _fail(row, error)
            raise BackupError(row.problem) from error
        for gone in prune(row):
            log.info("backup %s is old enough and was removed", gone)
    return row


def _write(row: Backup, place: Path) -> None:
    """From nothing to a finished file. The final name appears in one move, or never."""
    part = place / f"{row.name}.part"
    with tempfile.TemporaryDirectory(prefix=".work-", dir=place) as work:
        dump = present().dump(Path(work))
        writer = Writer(part)
        try:
            writer.add_path(dump.name, dump.path)
            dump.path.unlink()
            for kind, root in uploaded().items():
                for path in _regular_files(root):
                    with suppress(FileNotFoundError):  # thrown away since it was listed
                        writer.add_path(f"files/{kind}/{path.relative_to(root).as_posix()}", path)
            head = {"name": row.name, "taken_at": row.started_at.isoformat(), "version": settings.DOCKET_VERSION, "host": row.host}
            row.sha256, row.key_fingerprint = writer.finish(head | dump.manifest), writer.key_fingerprint
        except BaseException:
            writer.discard()
            raise
    os.replace(part, path_of(row.name))
    _sync_folder(place)
    counts, totals = dump.manifest["counts"], dump.manifest["totals"]
    row.size, row.rows, row.events = path_of(row.name).stat().st_size, sum(counts.values()), totals["events"]
    row.release, row.made_at, row.state = settings.DOCKET_VERSION, timezone.now(), BackupState.MADE
    row.save()


def _regular_files(root: Path) -> Iterator[Path]:
    """Every file below `root`, in a fixed order. No link is followed: what it leads to is not ours."""
    for base, _folders, names in sorted(os.walk(root)):
        for name in sorted(names):
            path = Path(base) / name
            if path.is_file() and not path.is_symlink():
                yield path


def _sync_folder(place: Path) -> None:
    """The new name itself is on the disk, too."""
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rehearse(archive: Archive, place: Path) -> None:
    """Restore into a scratch database and folder, and compare with the manifest. Raises BackupError with what differs."""
    with tempfile.TemporaryDirectory(prefix=".restoring-", dir=place) as name:
        for kind in FOLDERS:
            archive.extract_files(kind, Path(name) / kind)
    database = present()
    if archive.manifest["vendor"] != database.vendor:
        raise BackupError(f"{archive.name} is of {archive.manifest['vendor']}, and this installation uses {database.vendor}.")
    with database.unpacked(archive, place) as copy:
        compare(archive, copy.database)


def compare(archive: Archive, restored: Any) -> None:
    """Are the restored tables those of the manifest, and sound? Raises BackupError."""
    found = facts_of(restored)
    wrong = differences(archive.manifest, found)
    if {tuple(row) for row in found["migrations"]} >= known_migrations():
        wrong += broken_invariants(restored)  # older tables are looked at after they were migrated
    if wrong:
        raise BackupError(f"{archive.name} is not what it should be. {' '.join(wrong)}")


def prove(archive: Archive, row: Backup, place: Path) -> None:
    """Rehearse the restore, and write down that it went well."""
    rehearse(archive, place)
    row.proved_at, row.state, row.problem = timezone.now(), BackupState.PROVED, ""
    row.save()
    log.info("backup %s is proved: %s rows, %s events", row.name, row.rows, row.events)


def verify_backup(path: Path) -> Backup:
    """Prove an archive again, or one of another machine for the first time. Raises BackupError.

    Where the key of an encrypted one is not here, no row is touched: that is no fault of the archive.
    """
    with alone() as place:
        try:
            archive = open_archive(path)
            row = adopt(archive, path)
            prove(archive, row, place)
        except MissingKey:
            raise
        except TROUBLE as error:
            if (known := Backup.objects.filter(name=path.stem).first()) and path == path_of(path.stem):
                _fail(known, error)
            raise BackupError(sentence(error)) from error
    return row


def adopt(archive: Archive, path: Path) -> Backup:
    """The row of an archive; one is made for an archive that this database does not know, as after a restore."""
    said = archive.manifest
    values = {
        "started_at": datetime.fromisoformat(said["taken_at"]), "host": said.get("host", ""), "size": path.stat().st_size,
        "sha256": archive.sha256, "release": said["version"], "rows": sum(said["counts"].values()), "events": said["totals"]["events"],
        "key_fingerprint": archive.key_fingerprint,
    }  # fmt: skip
    row, _new = Backup.objects.get_or_create(name=archive.name, defaults=values)
    if row.made_at is None:
        for name, value in values.items():
            setattr(row, name, value)
        row.made_at, row.state = row.started_at, BackupState.MADE
        row.save()
    return row


def _copy_off_site(row: Backup) -> None:
    """Run the site's own command with the archive as its last word."""
    if not settings.DOCKET_BACKUP_COPY:
        return
    words = [*settings.DOCKET_BACKUP_COPY, str(path_of(row.name))]
    try:
        done = subprocess.run(words, capture_output=True, check=False, timeout=COPY_LIMIT.total_seconds())  # noqa: S603
    except OSError as error:
        raise _not_copied(f"{words[0]}: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise _not_copied(f"{words[0]} took longer than {COPY_LIMIT.total_seconds() / 3600:g} hours") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise _not_copied(lines[-1][:300])
    row.copied_at = timezone.now()
    row.save(update_fields=["copied_at"])


def _not_copied(reason: str) -> BackupError:
    return BackupError(f"The archive is made and proved, but its copy off site failed: {reason}. See DOCKET_BACKUP_COPY.")


def sentence(error: BaseException) -> str:
    """What went wrong, for a person. An error of the system says only what it is, not where."""
    if isinstance(error, BackupError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"The disk or the system said: {error.strerror}. See whether {settings.DOCKET_BACKUP_DIR} has room."
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no reason given'}"


def _fail(row: Backup, error: BaseException) -> None:
    """Write down and tell that a run failed. A full disk may refuse even this: the exit code and the log still say it."""
    row.state, row.problem = BackupState.FAILED, sentence(error)
    log.critical("backup %s failed: %s", row.name, row.problem)
    try:
        with transaction.atomic():
            row.save()
            alarm("backup_failed", name=row.name, reason=row.problem)
    except DatabaseError as worse:
        log.critical("that backup %s failed could not be written down: %s", row.name, worse)


def prune(proved: Backup) -> list[str]:
    """Remove archives that are older than the site keeps them. Only called after `proved` was proved, which always stays."""
    limit = timezone.now() - timedelta(days=settings.DOCKET_BACKUP_DAYS)
    gone = []
    for path in archives():
        with suppress(ValueError):
            taken = datetime.strptime(path.stem.split("-")[1], STAMP).replace(tzinfo=UTC)
            if taken < limit and path.stem != proved.name:
                path.unlink()
                gone.append(path.stem)
    Backup.objects.filter(name__in=gone).update(state=BackupState.REMOVED)
    Backup.objects.filter(state__in=[BackupState.FAILED, BackupState.REMOVED], started_at__lt=limit - timedelta(days=335)).delete()
    return gone


def last_proved() -> Backup | None:
    """The newest backup that was proved and is not thrown away. One query."""
    return Backup.objects.filter(state=BackupState.PROVED).order_by("-started_at").first()


def unproved_since() -> datetime | None:
    """When the last proved backup was taken; where there is none, when this installation was made. One query, or two."""
    if proved := last_proved():
        return proved.started_at
    return MigrationRecorder.Migration.objects.order_by("applied").values_list("applied", flat=True).first()


def interrupted() -> QuerySet[Backup]:
    """Runs of this machine that say they go on."""
    return Backup.objects.filter(state=BackupState.RUNNING, host=socket.gethostname())


def end_interrupted() -> int:
    """Runs that were killed are failures that nobody told: tell them now. Says how many."""
    try:
        with alone():
            rows = list(interrupted())
            for row in rows:
                _fail(row, BackupError("The run was killed before its end."))
            return len(rows)
    except BackupError:
        return 0  # one is running: it knows best
