"""Every tracked model keeps its history signed with actor, source, reason and request id."""

from collections.abc import Sequence
from typing import Any

from django.db import connection, models
from django.db.models import Func, Max, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from apps.core.context import current_request_id, current_source, signature

DOORS = {
    "admin": _("office page"),
    "api": _("API"),
    "scan": _("scan"),
    "hand": _("scan entered by hand"),
    "import": _("import"),
    "job": _("background job"),
    "command": _("command"),
}


def door_of(source: str) -> str:
    """Where a change came from, in the reader's language."""
    return str(DOORS.get(source, source))


class Signed(models.Model):
    """What a history row says beside the values: the door and the request that the change came through."""

    source = models.CharField(_("source"), max_length=16, default=current_source)
    request_id = models.CharField(_("request id"), max_length=64, default=current_request_id, db_index=True)

    class Meta:
        abstract = True

    @property
    def door(self) -> str:
        return door_of(self.source)


class TransactionNumber(Func):
    """The number of the transaction that writes the row; 0 on SQLite, whose writers come one after the other."""

    output_field = models.BigIntegerField()

    def as_sqlite(self, *_: Any, **__: Any) -> tuple[str, list]:
        return "0", []

    def as_postgresql(self, *_: Any, **__: Any) -> tuple[str, list]:
        return "(pg_current_xact_id()::text::bigint)", []


class SignedInOrder(Signed):
    """Rows that a reader follows in the order of their commits (`place_of`): keys alone are given out before it."""

    transaction = models.BigIntegerField(editable=False, db_index=True, db_default=TransactionNumber())

    class Meta:
        abstract = True


# Numbers are given out to all databases of a server; only a writer that is seen to work in another one cannot add a row here.
# pg_stat_activity has the lower 32 bits of a number.
_OLDEST_WRITER = """
WITH seen AS MATERIALIZED (SELECT pg_current_snapshot() AS snapshot),
elsewhere AS (SELECT backend_xid::text::bigint AS number FROM pg_stat_activity WHERE datname <> current_database()
    AND backend_xid IS NOT NULL),
writing AS (SELECT writer::text::bigint AS number FROM seen, pg_snapshot_xip(snapshot) AS writer)
SELECT LEAST(
    COALESCE((SELECT MIN(number) FROM writing WHERE number % 4294967296 NOT IN (SELECT number FROM elsewhere)),
        (SELECT pg_snapshot_xmax(snapshot)::text::bigint FROM seen)),
    pg_current_xact_id_if_assigned()::text::bigint)
"""


def place_of(*histories: Any) -> list[int]:
    """Up to where each of these histories can be read now, such that no row will ever be added before it.

    PostgreSQL: the oldest transaction of this database that still writes; whatever is below has ended, and what it wrote is seen
    by the next query. SQLite: the last key of each, since its writers come one after the other. One query, on SQLite one each.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_OLDEST_WRITER)
            return [cursor.fetchone()[0]] * len(histories)
    return [history.order_by().aggregate(last=Max("history_id"))["last"] or 0 for history in histories]


def before(place: int) -> Q:
    """The rows of a history before a place of `place_of`."""
    return Q(transaction__lt=place) if connection.vendor == "postgresql" else Q(history_id__lte=place)


def since(place: int) -> Q:
    """The rows of a history from a place of `place_of` on."""
    return Q(transaction__gte=place) if connection.vendor == "postgresql" else Q(history_id__gt=place)


COPIED_AT_ONCE = 400  # rows whose history one statement writes


def create_with_history(rows: Sequence[Any], *, reasons: Sequence[str] = ()) -> None:
    """Insert rows of one tracked model with a history row each, signed by what is in force, each with its own of `reasons` if given.

    Two queries for a few hundred rows.
    """
    if not rows:
        return
    model = type(rows[0])
    model._base_manager.bulk_create(rows)
    told = [(row.pk, reason or None) for row, reason in zip(rows, reasons or [signature().reason] * len(rows), strict=True)]
    for start in range(0, len(told), COPIED_AT_ONCE):
        _copy_into_history(model, told[start : start + COPIED_AT_ONCE])


_COPY = """
INSERT INTO {history} ({columns})
SELECT {tracked}, told.column2, {own}
FROM (VALUES {told}) AS told JOIN {table} AS live ON live.{key} = told.column1
ORDER BY live.{key}
"""


def _copy_into_history(model: Any, reasons: Sequence[tuple[Any, str | None]]) -> None:
    """The first history rows of rows that are there, (key, reason), copied by the database: it has just got all of their values, and
    taking them once more from here costs as much as the rows themselves.
    """
    history, name = model.history.model, connection.ops.quote_name
    own = {
        "history_date": timezone.now(),
        "history_user": getattr(signature().actor, "pk", None),
        "history_type": "+",
        "source": current_source(),
        "request_id": current_request_id(),
    }
    fields = {field: history._meta.get_field(field) for field in own}
    tracked = [history._meta.get_field(field.name).column for field in history.tracked_fields]
    columns = [*tracked, "history_change_reason", *(field.column for field in fields.values())]
    values = [field.get_db_prep_save(own[key], connection) for key, field in fields.items()]
    statement = _COPY.format(
        history=name(history._meta.db_table),
        columns=", ".join(map(name, columns)),
        tracked=", ".join(f"live.{name(column)}" for column in tracked),
        own=", ".join(["%s"] * len(own)),
        told=", ".join(["(%s, %s)"] * len(reasons)),
        table=name(model._meta.db_table),
        key=name(model._meta.pk.column),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [*values, *(value for pair in reasons for value in pair)])


def _actor(instance: Any, request: Any = None, **_: Any) -> Any:
    return signature().actor


class Tracked(HistoricalRecords):
    """`history = Tracked()` on a model."""

    def __init__(self, *, in_commit_order: bool = False, **kwargs: Any) -> None:
        super().__init__(bases=(SignedInOrder if in_commit_order else Signed,), get_user=_actor, **kwargs)

    def get_change_reason_for_object(self, instance: Any, history_type: str, using: Any) -> str | None:
        return signature().reason or None
