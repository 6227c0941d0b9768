#!/usr/bin/env python3
"""Fill a Docket, back it up, and restore it on a machine that has nothing: how long each takes, and whether it is the same.

    python -m loadtest.restoring --events 1000000                                                    # SQLite
    python -m loadtest.restoring --events 1000000 --database postgresql://postgres@127.0.0.1/

Both installations are folders and databases of their own, which go away. The exit code is 1 where the restored one differs: in its
migrations, in the number of rows of any table but those that a restore empties, in the totals or the sum of the ledger, or in
what `check_integrity` asks for.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from loadtest.parts import ROOT, NotReady, manage, production
from loadtest.stack import database

FACTS = """
import json, django
django.setup()
from django.db import connection
from apps.ops.backups.facts import facts_of
print(json.dumps(facts_of(connection)))
"""
# What a restore empties, and what it adds: the row of its own archive.
ITS_OWN = {"django_q_ormq", "django_session", "accounts_opensession", "core_heartbeat", "core_hold", "ops_backup"}


@dataclass(frozen=True)
class Ran:
    """One command that ended well."""

    name: str
    seconds: float
    megabytes: float  # at most, with the programs that it started
    said: str

    def __str__(self) -> str:
        return f"{self.name:24} {self.seconds:8.1f} s   at most {self.megabytes:6.0f} MB of memory"


def run(name: str, environment: dict[str, str], *words: Any) -> Ran:
    """Run a program of Docket to its end. Raises NotReady with what it said."""
    with tempfile.TemporaryFile("w+") as out:
        begun = time.monotonic()
        command = [sys.executable, "-W", "ignore", *map(str, words)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
        try:
            _pid, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            raise
        seconds, process.returncode = time.monotonic() - begun, os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()
    if process.returncode:
        raise NotReady(f"{name} ended with {process.returncode}:\n{said[-3000:]}")
    return Ran(name, seconds, usage.ru_maxrss / 1024, said)


@contextmanager
def nothing_yet(server: str, address: str, folder: Path) -> Iterator[str]:
    """The address of a database that does not exist; whatever is made there goes."""
    if not server:
        yield f"sqlite:///{folder}/docket.sqlite3"
        return
    try:
        yield f"{address}_restored"
    finally:
        name = f"{conninfo_to_dict(address)['dbname']}_restored"
        with psycopg.connect(**conninfo_to_dict(server) | {"dbname": "postgres"}, autocommit=True) as door:
            door.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def facts(environment: dict[str, str]) -> dict[str, Any]:
    """What a database says about itself, without what a restore changes on purpose."""
    said = run("facts", environment | {"DJANGO_SETTINGS_MODULE": "project.settings"}, "-c", FACTS).said
    found = json.loads(said.splitlines()[-1])
    return found | {"counts": {name: count for name, count in found["counts"].items() if name not in ITS_OWN}}


def measure(events: int, server: str) -> int:
    """All of it. Says how many figures differ."""
    with tempfile.TemporaryDirectory(prefix="restoring-") as name:
        here, there = Path(name) / "here", Path(name) / "there"
        here.mkdir()
        there.mkdir()
        with database(server, here, keep=False) as address, nothing_yet(server, address, there) as other:
            environment = production(here, address)
            manage(environment, "prepare")
            print(run("seed_load", environment, "manage.py", "seed_load", "--events", events), flush=True)
            before = facts(environment)
            print(run("backup, with its proof", environment, "manage.py", "backup"), flush=True)
            (archive,) = (here / "var" / "backups").glob("*.tar")
            machine = production(there, other, DJANGO_SECRET_KEY_FILE=environment["DJANGO_SECRET_KEY_FILE"])
            print(run("restore", machine, "manage.py", "restore", archive, "--yes"), flush=True)
            after = facts(machine)
            print(run("check_integrity", machine, "manage.py", "check_integrity"), flush=True)
            totals = before["totals"]
            print(f"{sum(before['counts'].values())} rows, {totals['events']} events, an archive of {archive.stat().st_size / 1e6:.0f} MB")
            print(f"ledger before   {totals['ledger']}\nledger restored {after['totals']['ledger']}")
    wrong = [name for name in before if before[name] != after[name]]
    print("The restored installation is the same." if not wrong else f"Not the same: {', '.join(wrong)}")
    return len(wrong)


def main(given: Sequence[str]) -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--events", type=int, default=1_000_000, help="How many events the ledger has, at least.")
    words.add_argument("--database", default="", help="A PostgreSQL server that may make databases. Without: SQLite.")
    chosen = words.parse_args(given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return 1 if measure(chosen.events, chosen.database) else 0
    except NotReady as reason:
        print(reason, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
