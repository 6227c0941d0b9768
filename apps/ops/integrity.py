"""What must always be true of the tables. Each check is one set-wise query that finds nothing in a sound database.

The text of every query is the same for SQLite and PostgreSQL. Its first column names the row, the others say what is wrong.
"""

# ruff: noqa: S608  (every piece of SQL here is a constant of this module)

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from apps.workorders.models import Task
from apps.workorders.services.rebuild import rebuild_totals

SHOWN = 20
# So long may the parts that run beside the web leave their work undone.
DISPATCH_TAKES = timedelta(minutes=10)
SHARES_SWEPT_WITHIN = timedelta(hours=1)
REQUEST_TAKES = timedelta(minutes=10)
SCAN_TAKES = timedelta(minutes=5)


@dataclass(frozen=True)
class Check:
    """One invariant: `sql` finds the rows that break it. `age`, where there is one, is taken from now and passed to it."""

    name: str
    says: str
    sql: str
    age: timedelta | None = None


@dataclass(frozen=True)
class Finding:
    """What one check found: how many rows, and the first of them in words."""

    check: Check
    count: int
    rows: list[str]

    @property
    def is_ok(self) -> bool:
        return self.count == 0


_LEDGER = """SELECT task_id, SUM(good) AS good, SUM(scrap) AS scrap FROM workorders_workevent
    WHERE task_id IS NOT NULL AND (good <> 0 OR scrap <> 0) GROUP BY task_id"""

# The last event of each thing that moved it: of a task, of a step itself, of an order itself.
_LAST_OF_TASK = """SELECT task_id, MAX(id) AS id FROM workorders_workevent
    WHERE task_id IS NOT NULL AND to_status <> '' GROUP BY task_id"""
_LAST_OF_STEP = """SELECT step_id, MAX(id) AS id FROM workorders_workevent
    WHERE task_id IS NULL AND step_id IS NOT NULL AND to_status <> '' GROUP BY step_id"""
_LAST_OF_ORDER = """SELECT order_id, MAX(id) AS id FROM workorders_workevent
    WHERE task_id IS NULL AND step_id IS NULL AND to_status <> '' GROUP BY order_id"""

# How many tasks of each kind a step has; one pass over the tasks.
_STEP_TASKS = """SELECT step_id, COUNT(*) AS tasks,
    SUM(CASE WHEN status NOT IN ('completed', 'cancelled') THEN 1 ELSE 0 END) AS unfinished,
    SUM(CASE WHEN status = 'completed' THEN 1 ELSE 0 END) AS completed,
    SUM(CASE WHEN status IN ('in_progress', 'paused') THEN 1 ELSE 0 END) AS running,
    SUM(CASE WHEN status <> 'cancelled' THEN planned ELSE 0 END) AS planned
    FROM workorders_task GROUP BY step_id"""

_SHARE_TABLES = {
    "workorders_workorderusershare": ("workorders_workorder", "accounts_user", "user_id", "workorder"),
    "workorders_workordergroupshare": ("workorders_workorder", "auth_group", "group_id", "workorder"),
    "workorders_taskusershare": ("workorders_task", "accounts_user", "user_id", "task"),
    "workorders_taskgroupshare": ("workorders_task", "auth_group", "group_id", "task"),
}


def _orphan_shares() -> str:
    """Shares whose object, receiver or permission is gone, or whose permission is of another model."""
    parts = [
        f"""SELECT '{table} ' || s.id AS share, s.content_object_id AS shared, s.{column} AS receiver, p.codename AS permission
        FROM {table} s
        LEFT JOIN {thing} o ON o.id = s.content_object_id LEFT JOIN {receiver} r ON r.id = s.{column}
        LEFT JOIN auth_permission p ON p.id = s.permission_id LEFT JOIN django_content_type c ON c.id = p.content_type_id
        WHERE o.id IS NULL OR r.id IS NULL OR c.id IS NULL OR c.model <> '{model}'"""
        for table, (thing, receiver, column, model) in _SHARE_TABLES.items()
    ]
    # Docket shares through its own four tables; a row in guardian's general ones grants something that nobody can see or end.
    parts += [
        f"SELECT '{table} ' || id AS share, CAST(NULL AS bigint), CAST(NULL AS bigint), CAST(NULL AS varchar) FROM {table}"
        for table in ("guardian_userobjectpermission", "guardian_groupobjectpermission")
    ]
    return " UNION ALL ".join(parts)


def _expired_shares() -> str:
    parts = [f"SELECT '{table} ' || id AS share, expires_at AS until FROM {table} WHERE expires_at < %(age)s" for table in _SHARE_TABLES]
    return " UNION ALL ".join(parts)


CHECKS: list[Check] = [
    Check(
        "task_totals",
        "good and scrap of a task are the sums of its events",
        f"""SELECT 'T' || t.id AS task, t.good AS good, COALESCE(e.good, 0) AS ledger_good, t.scrap AS scrap,
        COALESCE(e.scrap, 0) AS ledger_scrap
        FROM workorders_task t LEFT JOIN ({_LEDGER}) e ON e.task_id = t.id
        WHERE t.good <> COALESCE(e.good, 0) OR t.scrap <> COALESCE(e.scrap, 0)""",
    ),
    Check(
        "lost_reports",
        "every reported piece belongs to a task of its order",
        """SELECT 'event ' || e.id AS event, e.order_number AS order_number, e.task_id AS task, e.good AS good, e.scrap AS scrap
        FROM workorders_workevent e LEFT JOIN workorders_task t ON t.id = e.task_id
        WHERE (e.good <> 0 OR e.scrap <> 0) AND (t.id IS NULL OR t.order_id <> e.order_id)""",
    ),
    Check(
        "reversals",
        "an event is taken back at most once, by its exact opposite on the same task",
        """SELECT 'event ' || r.id AS event, o.id AS takes_back, r.good AS good, o.good AS of_good, r.scrap AS scrap, o.scrap AS of_scrap
        FROM workorders_workevent r JOIN workorders_workevent o ON o.id = r.reverses_id
        WHERE r.good <> -o.good OR r.scrap <> -o.scrap OR r.task_id <> o.task_id OR o.id > r.id OR o.reverses_id IS NOT NULL
        OR EXISTS (SELECT 1 FROM workorders_workevent x WHERE x.reverses_id = r.reverses_id AND x.id < r.id)""",
    ),
    Check(
        "task_operator",
        "a task that somebody has names him, a waiting one nobody",
        """SELECT 'T' || id AS task, status, operator_id FROM workorders_task
        WHERE (status IN ('assigned', 'in_progress', 'paused') AND operator_id IS NULL)
        OR (status IN ('draft', 'pending') AND operator_id IS NOT NULL)""",
    ),
    Check(
        "task_status",
        "the status of a task is what its last event says",
        f"""SELECT 'T' || t.id AS task, t.status AS status, COALESCE(e.to_status, '') AS last_event FROM workorders_task t
        LEFT JOIN ({_LAST_OF_TASK}) last ON last.task_id = t.id LEFT JOIN workorders_workevent e ON e.id = last.id
        WHERE t.status <> COALESCE(e.to_status, 'draft')""",
    ),
    Check(
        "step_status",
        "the status of a step is what its last event says",
        f"""SELECT 'step ' || s.id AS step, s.status AS status, COALESCE(e.to_status, '') AS last_event FROM workorders_step s
        LEFT JOIN ({_LAST_OF_STEP}) last ON last.step_id = s.id LEFT JOIN workorders_workevent e ON e.id = last.id
        WHERE s.status <> COALESCE(e.to_status, 'waiting')""",
    ),
    Check(
        "order_status",
        "the status of an order is what its last event says",
        f"""SELECT o.number AS number, o.status AS status, COALESCE(e.to_status, '') AS last_event FROM workorders_workorder o
        LEFT JOIN ({_LAST_OF_ORDER}) last ON last.order_id = o.id LEFT JOIN workorders_workevent e ON e.id = last.id
        WHERE o.status <> COALESCE(e.to_status, '')""",
    ),
    Check(
        "signatures",
        "every event says who, from where and in which request",
        """SELECT 'event ' || e.id AS event, e.verb AS verb, e.order_number AS order_number FROM workorders_workevent e
        LEFT JOIN accounts_user u ON u.id = e.actor_id WHERE u.id IS NULL OR e.source = '' OR e.request_id = ''""",
    ),
    Check(
        "parts_belong",
        "the step, line and material of a task are of its own order",
        """SELECT 'T' || t.id AS task, t.order_id AS order_id, s.order_id AS step_order, l.order_id AS line_order,
        m.order_id AS material_order
        FROM workorders_task t JOIN workorders_step s ON s.id = t.step_id LEFT JOIN workorders_orderline l ON l.id = t.line_id
        LEFT JOIN workorders_ordermaterial m ON m.id = t.material_id
        WHERE s.order_id <> t.order_id OR l.order_id <> t.order_id OR m.order_id <> t.order_id""",
    ),
    Check(
        "step_plan",
        "the plans of a step's live tasks add up to the plan of the step",
        f"""SELECT 'step ' || s.id AS step, o.number AS order_number, s.planned AS planned, c.planned AS of_tasks FROM workorders_step s
        JOIN workorders_workorder o ON o.id = s.order_id JOIN ({_STEP_TASKS}) c ON c.step_id = s.id
        WHERE o.status <> 'cancelled' AND s.planned <> c.planned""",
    ),
    Check(
        "step_rollup",
        "a step has ended exactly when its tasks have, and has begun when one of them runs; it is never without a task",
        f"""SELECT 'step ' || s.id AS step, o.number AS order_number, s.status AS status, COALESCE(c.tasks, 0) AS tasks,
        COALESCE(c.unfinished, 0) AS unfinished, COALESCE(c.completed, 0) AS completed FROM workorders_step s
        JOIN workorders_workorder o ON o.id = s.order_id LEFT JOIN ({_STEP_TASKS}) c ON c.step_id = s.id
        WHERE c.tasks IS NULL
        OR (s.status IN ('completed', 'skipped') AND c.unfinished > 0)
        OR (s.status NOT IN ('completed', 'skipped') AND c.unfinished = 0)
        OR (s.status = 'skipped' AND c.completed > 0)
        OR (s.status = 'waiting' AND c.running > 0)""",
    ),
    Check(
        "order_rollup",
        "the status of an order agrees with those of its steps and tasks",
        """SELECT o.number AS number, o.status AS status, c.unfinished AS open_tasks, c.drafts AS draft_tasks, c.reported AS reported,
        s.unended AS open_steps FROM workorders_workorder o
        LEFT JOIN (SELECT order_id, COUNT(*) AS tasks, SUM(CASE WHEN status = 'draft' THEN 1 ELSE 0 END) AS drafts,
            SUM(CASE WHEN status NOT IN ('completed', 'cancelled') THEN 1 ELSE 0 END) AS unfinished,
            SUM(CASE WHEN good > 0 OR scrap > 0 THEN 1 ELSE 0 END) AS reported
            FROM workorders_task GROUP BY order_id) c ON c.order_id = o.id
        LEFT JOIN (SELECT order_id, SUM(CASE WHEN status NOT IN ('completed', 'skipped') THEN 1 ELSE 0 END) AS unended,
            SUM(CASE WHEN status = 'completed' THEN 1 ELSE 0 END) AS completed
            FROM workorders_step GROUP BY order_id) s ON s.order_id = o.id
        WHERE (o.status IN ('draft', 'submitted', 'rejected') AND c.drafts < c.tasks)
        OR (o.status NOT IN ('draft', 'submitted', 'rejected') AND c.drafts > 0)
        OR (o.status IN ('completed', 'cancelled') AND (c.unfinished > 0 OR s.unended > 0))
        OR (o.status = 'approved' AND c.reported > 0)
        OR (o.status IN ('approved', 'in_progress') AND s.unended = 0 AND s.completed > 0
            AND NOT EXISTS (SELECT 1 FROM workorders_workevent e WHERE e.order_id = o.id AND e.verb = 'reopen'))""",
    ),
    Check(
        "order_numbers",
        "every order has a number of its own, and every series is counted once",
        """SELECT 'order ' || MIN(id) AS thing, number AS named, COUNT(*) AS times FROM workorders_workorder
        GROUP BY number HAVING COUNT(*) > 1 OR number = ''
        UNION ALL SELECT 'series ' || MIN(id), prefix, COUNT(*) FROM workorders_numberseries GROUP BY prefix HAVING COUNT(*) > 1""",
    ),
    Check(
        "decisions",
        "a task has at most one applied decision for each of its versions, and none of the future",
        """SELECT 'T' || d.task_id AS task, d.task_version AS task_version, COUNT(*) AS decisions, MAX(t.version) AS version
        FROM dispatch_dispatchdecision d LEFT JOIN workorders_task t ON t.id = d.task_id WHERE d.applied
        GROUP BY d.task_id, d.task_version HAVING COUNT(*) > 1 OR MAX(t.version) IS NULL OR d.task_version > MAX(t.version)""",
    ),
    Check(
        "waiting_for_dispatch",
        "no task of a running order waits to be dispatched for longer than 10 minutes",
        """SELECT 'T' || t.id AS task, o.number AS order_number, o.approved_at AS approved FROM workorders_task t
        JOIN workorders_workorder o ON o.id = t.order_id WHERE t.status = 'pending' AND t.dispatched_at IS NULL
        AND o.status IN ('approved', 'in_progress') AND t.updated_at < %(age)s""",
        DISPATCH_TAKES,
    ),
    Check(
        "imports",
        "an import that was never applied made nothing",
        """SELECT 'import ' || r.id AS import, r.state AS state, r.file_name AS file FROM imports_importrun r
        WHERE r.state IN ('planning', 'planned', 'faulty')
        AND (EXISTS (SELECT 1 FROM workorders_workevent e WHERE e.import_run_id = r.id)
        OR EXISTS (SELECT 1 FROM workorders_workorder o WHERE o.import_run_id = r.id))""",
    ),
    Check(
        "scan_effects",
        "a scan that was applied did something, any other did nothing, and every event of a scan has its scan",
        """SELECT 'scan ' || s.id AS scan, s.outcome AS outcome, s.decision AS decision, COALESCE(e.events, 0) AS events
        FROM scanning_scan s LEFT JOIN (SELECT scan_id, COUNT(*) AS events FROM workorders_workevent
            WHERE scan_id IS NOT NULL GROUP BY scan_id) e ON e.scan_id = s.id
        WHERE CASE WHEN s.outcome = 'applied' OR s.decision IN ('applied', 'corrected') THEN 1 ELSE 0 END
            <> CASE WHEN e.events IS NULL THEN 0 ELSE 1 END
        UNION ALL SELECT 'event ' || e.id, 'no scan', '', 1 FROM workorders_workevent e
        LEFT JOIN scanning_scan s ON s.id = e.scan_id WHERE e.scan_id IS NOT NULL AND s.id IS NULL""",
    ),
    Check(
        "scan_pieces",
        "a scan of pieces is counted once, with the pieces that were scanned unless a supervisor corrected them",
        """SELECT 'scan ' || s.id AS scan, s.quantity AS quantity, s.scrap AS scrap, COALESCE(e.good, 0) AS good,
        COALESCE(e.scrapped, 0) AS scrapped, COALESCE(e.times, 0) AS times
        FROM scanning_scan s LEFT JOIN (SELECT scan_id, COUNT(*) AS times, SUM(good) AS good, SUM(scrap) AS scrapped
            FROM workorders_workevent WHERE scan_id IS NOT NULL AND task_id IS NOT NULL AND verb IN ('report', 'complete')
            GROUP BY scan_id) e ON e.scan_id = s.id
        WHERE s.verb IN ('report', 'complete') AND (s.outcome = 'applied' OR s.decision IN ('applied', 'corrected'))
        AND (COALESCE(e.times, 0) <> 1 OR (s.decision <> 'corrected' AND (e.good <> s.quantity OR e.scrapped <> s.scrap)))""",
    ),
    Check(
        "scans_left",
        "no scan lies received and unfinished for longer than 5 minutes",
        """SELECT 'scan ' || id AS scan, code, received_at, attempts FROM scanning_scan
        WHERE outcome = 'received' AND received_at < %(age)s""",
        SCAN_TAKES,
    ),
    Check("orphan_shares", "every share names an object, a receiver and a right that exist", _orphan_shares()),
    Check("expired_shares", "no share is left an hour after it ended", _expired_shares(), SHARES_SWEPT_WITHIN),
    Check(
        "idempotency",
        "a key belongs to one request of one owner, which has its answer",
        """SELECT k.owner || ' ' || k."key" AS key_of, COUNT(*) AS times FROM core_idempotencykey k
        GROUP BY k.owner, k."key" HAVING COUNT(*) > 1
        OR MAX(CASE WHEN k.status IS NULL AND k.created_at < %(age)s THEN 1 ELSE 0 END) = 1""",
        REQUEST_TAKES,
    ),
]


def run_check(check: Check, *, at: datetime | None = None, on: Any = connection) -> Finding:
    """Run one check, `on` another database where one is given. One query, a second for the number where more than 20 rows break it."""
    moment = (at or timezone.now()) - check.age if check.age else None
    params = {"age": on.ops.adapt_datetimefield_value(moment)} if moment else None
    with on.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({check.sql}) broken LIMIT {SHOWN}", params)
        columns = [column[0] for column in cursor.description]
        rows = cursor.fetchall()
        count = len(rows)
        if count == SHOWN:
            cursor.execute(f"SELECT COUNT(*) FROM ({check.sql}) broken", params)
            count = cursor.fetchone()[0]
    return Finding(check, count, [_in_words(columns, row) for row in rows])


def _in_words(columns: list[str], row: tuple[Any, ...]) -> str:
    rest = ", ".join(f"{name}={value}" for name, value in zip(columns[1:], row[1:], strict=True) if value is not None)
    return f"{row[0]}: {rest}" if rest else str(row[0])


def run_checks(names: list[str] | None = None) -> Iterator[Finding]:
    """Run the checks of these names, or all of them, one after the other."""
    for check in CHECKS:
        if not names or check.name in names:
            yield run_check(check)


def rebuild_all(*, by: Any) -> Iterator[Task]:
    """Set right the totals of every task that does not agree with its events, each in its own transaction, and name it."""
    check = next(check for check in CHECKS if check.name == "task_totals")
    with connection.cursor() as cursor:
        cursor.execute(check.sql)
        broken = [int(row[0].removeprefix("T")) for row in cursor.fetchall()]
    for pk in broken:
        yield rebuild_totals(pk, by=by)
