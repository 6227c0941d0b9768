"""Count the queries of a stretch of code, without the transaction's own statements."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext

BOOKKEEPING = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT", "ROLLBACK", "SET CONSTRAINTS")


class Counted(list[str]):
    """The statements that ran, in order."""

    def __str__(self) -> str:
        return "\n".join(f"{number:3} {sql[:300]}" for number, sql in enumerate(self, 1))


@contextmanager
def count_queries(most: int | None = None) -> Iterator[Counted]:
    """Collect the statements run inside; more than `most` fail with all of them listed. `len()` is exact only afterwards."""
    statements = Counted()
    _ = connection.features.supports_json_field  # asked once in a process, by a query on SQLite
    with CaptureQueriesContext(connection) as captured:
        yield statements
    statements.extend(query["sql"] for query in captured if not query["sql"].startswith(BOOKKEEPING))
    assert most is None or len(statements) <= most, f"{len(statements)} queries, at most {most} are fine:\n{statements}"
