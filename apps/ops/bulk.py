"""Write many rows fast, in chunks, with the ids known beforehand: COPY on PostgreSQL, executemany on SQLite.

Only for rows that no person made (seed_load): it knows nothing of services, history or signals.
"""

import json
from collections.abc import Iterator
from typing import Any

from django.db import connection, models

BLOCK = 5000


def stored(value: Any) -> Any:
    """A date or datetime as the database driver wants it in a row of a Sheet."""
    return connection.ops.adapt_datetimefield_value(value) if hasattr(value, "hour") else connection.ops.adapt_datefield_value(value)


def _stored_default(field: models.Field, value: Any) -> Any:
    return json.dumps(value) if isinstance(field, models.JSONField) else field.get_db_prep_save(value, connection)


class Sheet:
    """Rows of one table that wait to be written. What a row does not name is as in a new instance of the model."""

    def __init__(self, model: type[models.Model]) -> None:
        self.table = model._meta.db_table
        fields = model._meta.concrete_fields
        self.columns = [field.column for field in fields]
        self.position = {field.attname: number for number, field in enumerate(fields)}
        blank = model()
        self.blank = [_stored_default(field, getattr(blank, field.attname)) for field in fields]
        self.rows: list[list[Any]] = []
        self._ids = self._blocks()

    def add(self, **values: Any) -> int:
        """Queue one row, its values ready for the driver, and say its id."""
        row = self.blank.copy()
        position = self.position
        row[0] = next(self._ids)
        for name, value in values.items():
            row[position[name]] = value
        self.rows.append(row)
        return row[0]

    def _blocks(self) -> Iterator[int]:
        """Ids that nobody else gets; on SQLite as long as the writing transaction lasts, which keeps everybody else out."""
        last = 0
        while True:
            with connection.cursor() as cursor:
                if connection.vendor == "postgresql":
                    cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)", [self.table, BLOCK])
                    block = [row[0] for row in cursor.fetchall()]
                else:
                    cursor.execute("SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = %s", [self.table])
                    last = max(last, cursor.fetchone()[0])
                    block = list(range(last + 1, last + BLOCK + 1))
                    last = block[-1]
            yield from block

    def write(self) -> int:
        """Write the queued rows and say how many they were."""
        count = len(self.rows)
        if count:
            names = ", ".join(f'"{column}"' for column in self.columns)
            with connection.cursor() as cursor:
                if connection.vendor == "postgresql":
                    with cursor.copy(f"COPY {self.table} ({names}) FROM STDIN") as copy:
                        for row in self.rows:
                            copy.write_row(row)
                else:
                    marks = ", ".join(["%s"] * len(self.columns))
                    cursor.executemany(f"INSERT INTO {self.table} ({names}) VALUES ({marks})", self.rows)  # noqa: S608
            self.rows = []
        if connection.vendor != "postgresql":
            self._ids = self._blocks()  # the next transaction asks anew
        return count
