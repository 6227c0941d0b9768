"""Which tasks changed for somebody since he last asked: for a handheld that keeps a copy of what it saw.

Read from the history of tasks and of their orders, in the order of commits (`core.history.place_of`), so that a change that was
begun early and committed late is missed by nobody. A task is told as it is now, however often it changed.

`gone` names what the reader could have had in his copy, and nothing else: a task out of his sight that was in sight by the last
version before the cursor, or by one since. Rights do not enter into it: a cursor holds for the rights that it was made under.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.core import signing
from django.db.models import Case, Max, Q, Value, When
from django.utils.translation import gettext as _

from apps.accounts.access import Access, access_of
from apps.accounts.roles import Role
from apps.catalog.models import Customer
from apps.core.errors import InvalidInput, Outdated
from apps.core.history import before, place_of, since
from apps.workorders.models import Task, WorkOrder
from apps.workorders.querysets import handed_scope, own_task_scope, shares_of

PAGE = 200  # tasks
MOST_BEHIND = 5000  # history rows
KEPT = timedelta(days=7)
SALT = "docket.changes"


@dataclass(frozen=True)
class Changes:
    """Keys of tasks in rising order: `changed` are in sight, `gone` were. With `has_more`, ask again at once."""

    cursor: str
    has_more: bool = False
    changed: tuple[int, ...] = ()
    gone: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Window:
    """What a cursor asks for: rows of both histories from `start` up to `end` (None: now), tasks with a key above `above`."""

    start: list[int]
    end: list[int] | None = None
    above: int = 0

    def rows(self, history: Any, number: int) -> Any:
        return history.filter(since(self.start[number]), before(self.end[number])).order_by()

    def versions(self, history: Any, number: int, keys: Iterable[int]) -> Any:
        """Each version of these rows that was in force somewhere in the window: those in it, and the last one before it."""
        keys = list(keys)
        earlier = history.filter(before(self.start[number]), id__in=keys).order_by().values("id")
        held = Q(history_id__in=earlier.annotate(last=Max("history_id")).values("last"))
        return history.filter(held | (since(self.start[number]) & before(self.end[number])), id__in=keys).order_by()


def changes_since(user: Any, cursor: str = "") -> Changes:
    """What changed for `user` since `cursor`, at most 200 tasks; without one, the cursor to begin with.

    At most 10 queries beside those of access and shares; 4 when nothing changed, one more for a salesperson, one less on
    PostgreSQL. Raises InvalidInput (bad_cursor) and Outdated (cursor_too_old).
    """
    access = access_of(user)
    rights = _rights(access)
    here = place_of(Task.history, WorkOrder.history)
    if not cursor:
        return Changes(_text(access, rights, _Window(here)))
    asked = _read(access, rights, cursor)
    if len(asked.start) != len(here) or any(place > now for place, now in zip(asked.start, here, strict=True)):
        raise _too_old()  # of a database that was another, or went back to a backup
    window = _Window(asked.start, asked.end or here, asked.above)
    changed, gone = _told(access, user, window)
    found = sorted([*changed, *gone])
    told = set(found[:PAGE])
    has_more = len(found) > PAGE
    following = _Window(window.start, window.end, found[PAGE - 1]) if has_more else _Window(window.end)
    return Changes(_text(access, rights, following), has_more, *(tuple(sorted(keys & told)) for keys in (changed, gone)))


def _told(access: Access, user: Any, window: _Window) -> tuple[set[int], set[int]]:
    """The tasks of the window with a key above its `above`: in sight, and gone from it."""
    rows = list(window.rows(Task.history, 0).values_list("id", flat=True)[: MOST_BEHIND + 1])
    orders = list(window.rows(WorkOrder.history, 1).values_list("id", flat=True)[: MOST_BEHIND + 1])
    if len(rows) + len(orders) > MOST_BEHIND:
        raise _too_old()
    if not rows and not orders:
        return set(), set()
    touched = {pk for pk in rows if pk > window.above}
    either = Q(pk__in=touched) | Q(order_id__in=set(orders))
    changed = set(Task.objects.visible_to(user).filter(either, pk__gt=window.above).values_list("pk", flat=True))
    gone = _were_seen(access, window, touched - changed)
    if handed_scope(access) and not access.sees_all:
        gone |= _were_handed(access, window, touched - changed - gone, set(orders))
    return changed, gone - changed


def _were_seen(access: Access, window: _Window, unseen: set[int]) -> set[int]:
    """Those of `unseen` that a version of the window shows to `access` by its own columns. At most one query."""
    scope = own_task_scope(access, key="id")
    if not unseen or not (scope or access.sees_all):
        return set()
    versions = window.versions(Task.history, 0, unseen)
    return set((versions if access.sees_all else versions.filter(scope)).values_list("id", flat=True))


@dataclass(frozen=True)
class _Span:
    """When an order was the reader's, or when a task was there; `end` None: it still is."""

    start: datetime
    end: datetime | None = None

    def meets(self, other: "_Span") -> bool:
        return (other.end is None or self.start < other.end) and (self.end is None or other.start <= self.end)


def _were_handed(access: Access, window: _Window, unseen: set[int], orders: set[int]) -> set[int]:
    """The tasks of orders that were the reader's at a time when the task was there: deleted since, or given to somebody else.

    `unseen` changed themselves, those of `orders` perhaps by a new maker or customer alone. Three queries.
    """
    spans: dict[int, tuple[int, _Span]] = {}
    versions = window.versions(Task.history, 0, unseen).values_list("id", "order_id", "created_at", "history_type", "history_date")
    for pk, order, created_at, kind, at in versions.order_by("history_id"):
        spans[pk] = order, _Span(created_at, at if kind == "-" else None)
    for pk, order, created_at in Task.objects.filter(order__in=orders, pk__gt=window.above).values_list("pk", "order_id", "created_at"):
        spans.setdefault(pk, (order, _Span(created_at)))
    mine: dict[int, list[_Span]] = {}
    whose = Case(When(handed_scope(access), then=Value(True)), default=Value(False))
    rows = window.versions(WorkOrder.history, 1, {order for order, _span in spans.values()}).annotate(is_mine=whose)
    by_order: dict[int, list[tuple[datetime, bool]]] = {}
    for order, at, is_mine in rows.order_by("history_id").values_list("id", "history_date", "is_mine"):
        by_order.setdefault(order, []).append((at, is_mine))
    for order, found in by_order.items():
        closed = [*found, (None, False)]
        mine[order] = [_Span(at, until) for (at, is_mine), (until, _next) in pairwise(closed) if is_mine]
    return {pk for pk, (order, span) in spans.items() if any(span.meets(one) for one in mine.get(order, []))}


def _rights(access: Access) -> str:
    """Short for all that decides what `access` sees. One query for a salesperson, none for others once the shares are known."""
    shares = shares_of(access)
    parts: list[Any] = [access.is_superuser, *(sorted(one) for one in (access.roles, access.member_of, access.leads, access.groups))]
    parts += [sorted(one) for one in (shares.orders, shares.tasks, shares.to_work)]
    if access.is_(Role.SALESPERSON):
        parts.append(list(Customer.objects.filter(salesperson=access.user_id).order_by("pk").values_list("pk", flat=True)))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def _text(access: Access, rights: str, window: _Window) -> str:
    return signing.dumps([access.user_id, rights, window.start, window.end, window.above], salt=SALT)


def _read(access: Access, rights: str, cursor: str) -> _Window:
    try:
        user_id, made_under, *rest = signing.loads(cursor, salt=SALT, max_age=KEPT)
    except signing.SignatureExpired as error:
        raise _too_old() from error
    except signing.BadSignature as error:
        raise _bad() from error
    if user_id != access.user_id:
        raise _bad()
    if made_under != rights:
        raise _too_old()
    return _Window(*rest)


def _bad() -> InvalidInput:
    return InvalidInput(
        _("This cursor was not given to you. Begin without one, and read the lists again."), field="cursor", code="bad_cursor"
    )


def _too_old() -> Outdated:
    return Outdated(
        _("Too much has changed since this cursor, or what you may see has. Begin without one, and read the lists again."),
        field="cursor",
        code="cursor_too_old",
    )
