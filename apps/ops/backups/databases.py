"""How a database is dumped, brought to life beside the present one, and put in its place.

SQLite by its backup API, PostgreSQL by its own programs.
"""

import gzip
import hashlib
import os
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connection

from apps.ops.backups.archive import Archive, blocks, require_room
from apps.ops.backups.errors import BackupError
from apps.ops.backups.facts import facts_of

TOOLS = "Install what comes with PostgreSQL for its clients: apt-get install postgresql-client"
SCRATCH = "_docket_scratch_"  # in the name of every database that only lives while a backup is looked at


@dataclass(frozen=True)
class Dump:
    """A dump in a file: its name in the archive, and what the manifest says of it."""

    path: Path
    name: str
    manifest: dict[str, Any]


class Moves:
    """Steps that are all done, or all taken back."""

    def __init__(self) -> None:
        self._back: list[Callable[[], object]] = []

    def __enter__(self) -> "Moves":
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind:
            for back in reversed(self._back):
                back()

    def do(self, there: Callable[[], object], back: Callable[[], object]) -> None:
        there()
        self._back.append(back)

    def rename(self, old: str | Path, new: str | Path) -> None:
        self.do(lambda: os.rename(old, new), lambda: os.rename(new, old))


@dataclass
class Copy:
    """A restored database that nobody uses yet. `database` is a connection to it."""

    database: Any
    place: str


def _clone(name: Any) -> Any:
    """A connection like Django's own, to another database: without a pool, and without options that change a file."""
    clone = connection.copy("backup")
    options = clone.settings_dict["OPTIONS"]
    options.pop("pool", None)
    if connection.vendor == "sqlite":
        options.pop("init_command", None)
    clone.settings_dict["NAME"] = name
    return clone


def summed(path: Path) -> str:
    """The SHA-256 of a file."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        for piece in blocks(file):
            total.update(piece)
    return total.hexdigest()


class Sqlite:
    """The database is a file."""

    vendor = "sqlite"

    @property
    def path(self) -> Path:
        return Path(connection.settings_dict["NAME"])

    @property
    def name(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        return self.path.exists()

    def dump(self, folder: Path) -> Dump:
        """A copy of one moment, however much is being written meanwhile."""
        copy, packed = folder / "copy.sqlite3", folder / "database.sqlite3.gz"
        if not self.exists():
            raise BackupError(f"There is no database at {self.path}.")
        require_room(folder, self.path.stat().st_size)
        with closing(sqlite3.connect(self.path, timeout=20)) as live, closing(sqlite3.connect(copy)) as mine:
            live.backup(mine)
            mine.execute("PRAGMA journal_mode = DELETE")
        clone = _clone(copy)
        try:
            facts = facts_of(clone)
        finally:
            clone.close()
        raw = {"size": copy.stat().st_size, "sha256": summed(copy)}
        with copy.open("rb") as source, packed.open("wb") as out, gzip.GzipFile("", "wb", 1, out, mtime=0) as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
        copy.unlink()
        return Dump(packed, packed.name, {"vendor": self.vendor, "server": sqlite3.sqlite_version, "database": raw, **facts})

    @contextmanager
    def unpacked(self, archive: Archive, folder: Path) -> Iterator[Copy]:
        """The archive's database as a file in a folder that goes away."""
        require_room(folder, archive.manifest["database"]["size"])
        with tempfile.TemporaryDirectory(prefix=".restoring-", dir=folder) as name:
            path = Path(name) / "copy.sqlite3"
            archive.unzip(archive.database, path)
            clone = _clone(path)
            try:
                with clone.cursor() as cursor:
                    cursor.execute("PRAGMA integrity_check")
                    if (said := cursor.fetchone()[0]) != "ok":
                        raise BackupError(f"The restored file is not sound: {said}")
                    cursor.execute("PRAGMA foreign_key_check")
                    if row := cursor.fetchone():
                        raise BackupError(f"The restored table {row[0]} points to rows of {row[2]} that are not there.")
                yield Copy(clone, str(path))
            finally:
                clone.close()

    def is_used(self) -> bool:
        """Has another process the file open? Then the present connections would go on writing into what was put aside."""
        if not self.exists():
            return False
        try:
            with closing(sqlite3.connect(self.path, timeout=0)) as alone:
                return alone.execute("PRAGMA journal_mode = DELETE").fetchone()[0] != "delete"
        except sqlite3.OperationalError as problem:
            return "lock" in str(problem)
        except sqlite3.DatabaseError:
            return False  # not a database any more: nobody can be writing into it

    def put_in_place(self, copy: Copy, stamp: str, moves: Moves) -> str:
        """Move the present file aside and the copy to where it was. Says where the present one is now."""
        copy.database.close()
        before = f"{self.path}.{stamp}"
        for end in ("-wal", "-shm", ""):
            if Path(f"{self.path}{end}").exists():
                moves.rename(f"{self.path}{end}", f"{before}{end}")
        moves.rename(copy.place, str(self.path))
        return before if Path(before).exists() else ""

    def sweep(self, folder: Path) -> None:
        """Take away what a killed process left."""
        for left in folder.glob(".restoring-*"):
            shutil.rmtree(left, ignore_errors=True)


class Postgresql:
    """The database is a name on a server; a copy is another name."""

    vendor = "postgresql"

    @property
    def name(self) -> str:
        return str(connection.settings_dict["NAME"])

    def exists(self) -> bool:
        return bool(self._ask("SELECT 1 FROM pg_database WHERE datname = %s", [self.name]))

    def dump(self, folder: Path) -> Dump:
        """pg_dump and our own counts look at the same snapshot."""
        path = folder / "database.dump"
        clone = _clone(self.name)
        try:
            clone.set_autocommit(False)
            with clone.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                cursor.execute("SELECT pg_export_snapshot(), current_setting('server_version')")
                snapshot, server = cursor.fetchone()
            self._run("pg_dump", "--format=custom", "--compress=1", "--no-owner", "--no-acl", f"--snapshot={snapshot}", f"--file={path}")
            facts = facts_of(clone)
        finally:
            clone.close()
        raw = {"size": path.stat().st_size, "sha256": summed(path)}
        return Dump(path, path.name, {"vendor": self.vendor, "server": server, "database": raw, **facts})

    @contextmanager
    def unpacked(self, archive: Archive, folder: Path) -> Iterator[Copy]:
        """The archive's database under a name that goes away."""
        require_room(folder, archive.manifest["database"]["size"])
        scratch = f"{self.name[:30]}{SCRATCH}{secrets.token_hex(4)}"
        with tempfile.TemporaryDirectory(prefix=".restoring-", dir=folder) as name:
            path = Path(name) / "database.dump"
            archive.extract(archive.database, path)
            self._create(scratch)
            clone = _clone(scratch)
            try:
                self._run(
                    "pg_restore", "--no-owner", "--no-acl", "--exit-on-error", "--single-transaction", f"--dbname={scratch}", str(path)
                )
                path.unlink()
                with clone.cursor() as cursor:
                    cursor.execute("ANALYZE")  # a dump has no statistics: without, what is asked next may take hours instead of seconds
                yield Copy(clone, scratch)
            finally:
                clone.close()
                self._drop(scratch)

    def is_used(self) -> bool:
        """Has anybody else a connection to it?"""
        connection.close()
        return bool(self._ask("SELECT 1 FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", [self.name]))

    def put_in_place(self, copy: Copy, stamp: str, moves: Moves) -> str:
        """Give the present database another name, and its name to the copy."""
        copy.database.close()
        connection.close()
        before = f"{self.name[:32]}_{stamp.replace('-', '_')}" if self.exists() else ""
        if before:
            moves.do(lambda: self._rename(self.name, before), lambda: self._rename(before, self.name))
        moves.do(lambda: self._rename(copy.place, self.name), lambda: self._rename(self.name, copy.place))
        return f"database {before}" if before else ""

    def sweep(self, folder: Path) -> None:
        for left in folder.glob(".restoring-*"):
            shutil.rmtree(left, ignore_errors=True)
        for row in self._ask("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{self.name[:30]}{SCRATCH}%".replace("_", "\\_")]):
            self._drop(row[0])

    def _ask(self, sql: str, values: list[Any]) -> list[tuple]:
        server = _clone(None)
        try:
            with server.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall()
        finally:
            server.close()

    def _tell(self, sql: str, *names: str) -> None:
        """A statement about whole databases, outside of any transaction."""
        server = _clone(None)
        try:
            with server.cursor() as cursor:
                cursor.execute(sql % tuple(map(connection.ops.quote_name, names)))
        finally:
            server.close()

    def _create(self, name: str) -> None:
        try:
            self._tell("CREATE DATABASE %s TEMPLATE template0", name)
        except DatabaseError as error:
            reason = str(error).strip().splitlines()[0]
            raise BackupError(
                f"PostgreSQL did not make a scratch database ({reason}). "
                f"Let Docket's role make one: ALTER ROLE {connection.settings_dict['USER'] or 'docket'} CREATEDB"
            ) from error

    def _drop(self, name: str) -> None:
        with suppress(DatabaseError):
            self._tell("DROP DATABASE IF EXISTS %s WITH (FORCE)", name)

    def _rename(self, old: str, new: str) -> None:
        self._tell("ALTER DATABASE %s RENAME TO %s", old, new)

    def _run(self, tool: str, *words: str) -> None:
        """One of PostgreSQL's own programs. The password is not in its words, which every user of the machine can read."""
        program = shutil.which(tool)
        if program is None:
            raise BackupError(f"{tool} is missing on this machine. {TOOLS}")
        values = connection.settings_dict
        names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "NAME"}
        given = {name: str(values[key]) for name, key in names.items() if values.get(key)}
        options = {"PGSSLMODE": "sslmode", "PGSSLROOTCERT": "sslrootcert", "PGCONNECT_TIMEOUT": "connect_timeout"}
        given |= {name: str(values["OPTIONS"][key]) for name, key in options.items() if values["OPTIONS"].get(key)}
        done = subprocess.run([program, *words], env={**os.environ, **given}, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            hint = f" {TOOLS}, in the version of the server" if "version mismatch" in done.stderr else ""
            raise BackupError(f"{tool} failed: {lines[-1]}.{hint}")


def present() -> Sqlite | Postgresql:
    """The database that this installation uses."""
    return Sqlite() if connection.vendor == "sqlite" else Postgresql()
