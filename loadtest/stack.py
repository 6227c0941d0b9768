#!/usr/bin/env python3
"""Start a whole Docket to load: database, `seed_load`, gunicorn, worker, nginx. Then run a command against it, or wait for Ctrl-C.

    python -m loadtest.stack --tasks 200000 -- loadtest/run.sh 100 10 5m            # SQLite
    python -m loadtest.stack --database postgresql://postgres@127.0.0.1/ --tasks 200000 -- loadtest/run.sh 100 10 5m

The command finds the address in DOCKET_LOAD_HOST, the handhelds in DOCKET_LOAD_KITS. Its exit code is this one's. Everything that was
started ends, and the database goes, unless --keep names a folder: then folder and database stay, and the next run loads nothing anew.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from loadtest.parts import ROOT, Nginx, NotReady, Web, Worker, answers, manage, production


@dataclass(frozen=True)
class Site:
    """A running stack. `address` is nginx's, `environment` what Docket's commands need to find the same database."""

    folder: Path
    address: str
    web: Web
    environment: dict[str, str]

    @property
    def kits(self) -> Path:
        return self.folder / "kits.json"


@contextmanager
def database(server: str, folder: Path, *, keep: bool) -> Iterator[str]:
    """The address of a database for this stack alone: a file in `folder`, or one made at `server` and dropped afterwards."""
    if not server:
        yield f"sqlite:///{folder}/docket.sqlite3"
        return
    name = f"docket_load_{folder.name}".lower().replace("-", "_")
    parts = conninfo_to_dict(server)
    with psycopg.connect(**parts | {"dbname": "postgres"}, autocommit=True) as door:
        if not door.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            door.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    who = parts.get("user", "postgres") + (f":{parts['password']}" if "password" in parts else "")
    try:
        yield f"postgresql://{who}@{parts.get('host', '127.0.0.1')}:{parts.get('port', '5432')}/{name}"
    finally:
        if not keep:
            with psycopg.connect(**parts | {"dbname": "postgres"}, autocommit=True) as door:
                door.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def stack(server: str, tasks: int, *, keep: Path | None = None, handhelds: int = 30, port: int = 0) -> Iterator[Site]:
    """All of it, for as long as the block runs. Raises NotReady."""
    with ExitStack() as parts:
        folder = keep or Path(tempfile.mkdtemp(prefix="load-"))
        folder.mkdir(parents=True, exist_ok=True)
        if keep is None:
            parts.callback(shutil.rmtree, folder, ignore_errors=True)
        address = parts.enter_context(database(server, folder.resolve(), keep=keep is not None))
        # As deploy.md sets it up: SQLite writes one at a time anyway.
        environment = production(folder.resolve(), address, **({"GUNICORN_WORKERS": str(2 * os.cpu_count() + 1)} if server else {}))
        seeded = folder / "seeded"
        if not seeded.exists():
            manage(environment, "prepare")
            manage(environment, "seed_load", "--tasks", tasks, "--handhelds", handhelds, "--kits", folder / "kits.json", quiet=False)
            seeded.touch()
        manage(environment, "prepare")
        web = Web(folder, environment)
        worker = Worker(folder, environment)
        for part in (web, worker):
            parts.callback(part.stop)
            part.start()
        nginx = Nginx(folder.resolve() / "nginx", upstream=web.port, port=port)
        parts.callback(nginx.stop)
        nginx.start()
        worker.ready(lambda: answers(f"{web.site}/health/ready/"))
        yield Site(folder, nginx.site, web, environment)


def read_words(given: Sequence[str]) -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--database", default="", help="A PostgreSQL server that may make databases. Without: SQLite.")
    words.add_argument("--tasks", type=int, default=200_000, help="How many tasks the shop has.")
    words.add_argument("--handhelds", type=int, default=30)
    words.add_argument("--port", type=int, default=0, help="Of nginx; any that is free without.")
    words.add_argument("--keep", type=Path, help="A folder that stays, with its database.")
    words.add_argument("command", nargs=argparse.REMAINDER)
    return words.parse_args(given)


def main(given: Sequence[str]) -> int:
    words = read_words(given)
    command = words.command[1:] if words.command[:1] == ["--"] else words.command
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with stack(words.database, words.tasks, keep=words.keep, handhelds=words.handhelds, port=words.port) as site:
            print(f"Docket answers at {site.address}/ (logs in {site.folder})", flush=True)
            if not command:
                print("Ctrl-C ends it.", flush=True)
                signal.pause()
            told = {"DOCKET_LOAD_HOST": site.address, "DOCKET_LOAD_KITS": str(site.kits)}
            return subprocess.run(command, cwd=ROOT, env=os.environ | told, check=False).returncode
    except NotReady as reason:
        print(reason, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
