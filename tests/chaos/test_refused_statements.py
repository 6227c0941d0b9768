"""The database refuses one statement of a verb, each of them in turn and the commit too: a verb does all of its work, or nothing.

The transactions are real, so that what a failed try leaves is what a process that died there would have left.
"""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.db.models import Q
from django.db.transaction import TransactionManagementError

from apps.imports import staging
from tests.chaos.verbs import CALLERS_OF_VERBS, CASES, PARTS_OF_VERBS, WRITE_NOTHING, Case, name_of, writers
from tests.scanning.sending import broken
from tests.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
REFUSED = {
    "postgresql": "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(9)",  # fit for a cursor, too
    "sqlite": "SELECT refused",
}
# The first says it, or what came after it in the same transaction.
FAILED = (OperationalError, TransactionManagementError)
UNCOUNTED = {"core_bucket"}  # tries count though the database fails; the limits fill again by themselves


class Refusal:
    """The n-th statement from here on, counting from 1, is refused by the database; a commit counts as one. 0: none is."""

    def __init__(self, number: int) -> None:
        self.number, self.statements, self._commit, self._check, self._is_off = number, [], connection._commit, Q.check, False

    @property
    def happened(self) -> bool:
        return 0 < self.number <= len(self.statements)

    def _is_due(self, statement: str) -> bool:
        if self._is_off:
            return False
        self.statements.append(re.sub(r"\d+", "", statement)[:50])
        return len(self.statements) == self.number

    def execute(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        if self._is_due(sql):
            return execute(REFUSED[connection.vendor], None, False, context)
        return execute(sql, params, many, context)

    def commit(self) -> None:
        if self._is_due("COMMIT"):
            raise OperationalError("refused")
        self._commit()

    def check(self, *args: Any, **kwargs: Any) -> bool:
        """Django takes a check of a constraint that fails for a yes, since the table will refuse what is wrong: it is let through."""
        self._is_off = True
        try:
            return self._check(*args, **kwargs)
        finally:
            self._is_off = False


@contextmanager
def refusing(number: int) -> Iterator[Refusal]:
    refusal = Refusal(number)
    with connection.execute_wrapper(refusal.execute), pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_commit", refusal.commit)
        patch.setattr(Q, "check", lambda *args, **kwargs: refusal.check(*args, **kwargs))
        yield refusal


@cache
def tables() -> list[str]:
    return sorted(set(connection.introspection.table_names()) - {"django_migrations"})


def picture() -> dict[str, Any]:
    """Every row of every table, and every uploaded file."""
    found: dict[str, Any] = {}
    with connection.cursor() as cursor:
        rows = cursor.cursor  # the driver's own: there is much to read
        for table in tables():
            rows.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = rows.fetchall()
    private = Path(settings.STORAGES["private"]["OPTIONS"]["location"])
    return found | {"files": sorted(str(path) for path in private.rglob("*") if path.is_file())}


def figures() -> Counter[str]:
    """How many rows every table has, and how many files there are."""
    return Counter({table: len(rows) for table, rows in picture().items() if table not in UNCOUNTED})


@pytest.fixture(autouse=True)
def _no_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "BREAK", 0)


def areas(cases: list[Case]) -> list[str]:
    return list(dict.fromkeys(case.area for case in cases))


WHOLE, IN_PARTS = [case for case in CASES if case.finish is None], [case for case in CASES if case.finish]


@pytest.mark.parametrize("area", areas(WHOLE))
def test_a_verb_does_all_of_its_work_or_nothing(area: str, shop: Shop):
    for case in WHOLE:
        if case.area == area:
            try_whole(case, shop)


def try_whole(case: Case, shop: Shop) -> None:
    trial, refused = case.prepare(shop), []
    before = picture()
    for number in count(1):
        call = trial.call()
        with refusing(number) as refusal:
            try:
                call()
            except FAILED:
                assert refusal.happened, case
        if not refusal.happened:
            break
        assert picture() == before, f"{case}: statement {number} was refused, and something stayed: {refusal.statements[-1]}"
        refused.append(refusal.statements[number - 1])
    assert refused == refusal.statements, case
    assert picture() != before, case
    assert broken() == [], case


@pytest.mark.parametrize("area", areas(IN_PARTS))
def test_what_a_failed_try_leaves_is_finished_and_counts_once(area: str, shop: Shop):
    for case in IN_PARTS:
        if case.area == area:
            try_in_parts(case, shop)


def try_in_parts(case: Case, shop: Shop) -> None:
    whole, refused = None, []
    for number in count():
        trial = case.prepare(shop)
        before, call = figures(), trial.call()
        with refusing(number) as refusal:
            try:
                call()
            except FAILED:
                assert refusal.happened, case
                assert broken() == [], f"{case}: after statement {number} was refused: {refusal.statements[-1]}"
                trial.finish()
        after = figures()
        after.subtract(before)
        effect = {name: much for name, much in after.items() if much}
        whole = whole or effect
        assert effect == whole, f"{case}: statement {number} was refused: {refusal.statements[number - 1]}"
        if number and not refusal.happened:
            break
        refused += refusal.statements[number - 1 : number] if number else []
    assert refused == refusal.statements, case
    assert broken() == [], case


def test_every_public_writer_is_tried_or_known_for_none():
    found, tried = set(writers()), {name_of(case.verb) for case in CASES}
    others = WRITE_NOTHING | PARTS_OF_VERBS | CALLERS_OF_VERBS
    assert found - tried == others
