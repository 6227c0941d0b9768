"""What a database says about itself: what a restored copy is compared with."""

# ruff: noqa: S608  (names of tables come from the database itself and are quoted)

import hashlib
from functools import cache
from itertools import islice
from typing import Any

from django.db.migrations.loader import MigrationLoader

from apps.ops.integrity import CHECKS, run_check

CHUNK = 20_000


@cache
def known_migrations() -> frozenset[tuple[str, str]]:
    """Every migration that this code brings. Read from the disk once in a process."""
    return frozenset(MigrationLoader(None).disk_migrations)


def facts_of(database: Any) -> dict[str, Any]:
    """Migrations, the rows of every table, and the totals of the ledger with a sum over all of its events."""
    with database.cursor() as cursor:
        counts = {}
        for table in sorted(database.introspection.table_names(cursor)):
            cursor.execute(f"SELECT COUNT(*) FROM {database.ops.quote_name(table)}")
            counts[table] = cursor.fetchone()[0]
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY app, name")
        migrations = [list(row) for row in cursor.fetchall()]
        return {"migrations": migrations, "counts": counts, "totals": _totals(cursor)}


def _totals(cursor: Any) -> dict[str, Any]:
    cursor.execute("SELECT COUNT(*), COALESCE(SUM(good), 0), COALESCE(SUM(scrap), 0) FROM workorders_workevent")
    events, good, scrap = map(int, cursor.fetchone())
    cursor.execute("SELECT COALESCE(SUM(good), 0), COALESCE(SUM(scrap), 0) FROM workorders_task")
    task_good, task_scrap = map(int, cursor.fetchone())
    totals = {"events": events, "good": good, "scrap": scrap, "task_good": task_good, "task_scrap": task_scrap}
    return totals | {"ledger": _sum_of_events(cursor)}


def _sum_of_events(cursor: Any) -> str:
    """One SHA-256 over what every event says, in their order."""
    total, last = hashlib.sha256(), 0
    while True:
        cursor.execute(
            "SELECT id, order_number, task_id, actor_id, verb, to_status, good, scrap, reverses_id, scan_id FROM workorders_workevent"
            f" WHERE id > %s ORDER BY id LIMIT {CHUNK}",
            [last],
        )
        rows = cursor.fetchall()
        if not rows:
            return total.hexdigest()
        for row in rows:
            total.update(repr(tuple(row)).encode())
        last = rows[-1][0]


def differences(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """In what a restored database is not as its manifest says; one sentence each, at most ten."""
    said = []
    if missing := [row for row in wanted["migrations"] if row not in found["migrations"]]:
        said.append(f"Migration {'.'.join(missing[0])} is missing.")
    for kind in ("counts", "totals"):
        for name in sorted(wanted[kind].keys() | found[kind].keys()):
            before, after = wanted[kind].get(name), found[kind].get(name)
            if before != after:
                said.append(f"{name} is {after}, and was {before}.")
    return list(islice(said, 10))


def broken_invariants(database: Any) -> list[str]:
    """Which of the checks of apps.ops.integrity a restored database breaks.

    Those that look at how long something waits are left out: they are about the worker, not about the copy.
    """
    findings = (run_check(check, on=database) for check in CHECKS if check.age is None)
    return [f"{found.check.name}: {found.count} rows, as {found.rows[0]}." for found in findings if not found.is_ok]
