"""How much open work lies where."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Value
from django.db.models.functions import Coalesce, NullIf

from apps.accounts.models import Department, User
from apps.workorders.models import Task


@dataclass(frozen=True)
class Load:
    """Open work of a department or a person, in minutes. `share` is the percentage of the largest one's."""

    label: str
    pk: int | None
    minutes: int
    tasks: int
    share: int


def loads(user: Any) -> tuple[list[Load], list[Load]]:
    """Open work that is in sight, by department and by person, the largest first.

    Three queries: the sums by keys alone, then the names. With the names in it, the first one would take three times as long.
    """
    rows = list(
        Task.objects.visible_to(user)
        .open()
        .order_by()
        .values("department", "operator")
        .annotate(minutes=Task.objects.open_minutes(), n=Count("pk"))
    )  # fmt: skip
    departments, people = _sums(rows, "department"), _sums(rows, "operator")
    people.pop(None, None)
    places = {one.pk: one.label for one in Department.objects.filter(pk__in=departments.keys() - {None}).order_by()}
    names = dict(User.objects.filter(pk__in=people).order_by().values_list("pk", Coalesce(NullIf("name", Value("")), "username")))
    return _ranked(departments, places), _ranked(people, names)


def _sums(rows: list[dict], key: str) -> dict[int | None, list]:
    """Minutes and tasks of each department or person."""
    sums: dict[int | None, list] = defaultdict(lambda: [0, 0])
    for row in rows:
        total = sums[row[key]]
        total[0] += row["minutes"] or 0
        total[1] += row["n"]
    return sums


def _ranked(sums: dict[int | None, list], labels: dict[int, str]) -> list[Load]:
    largest = max((minutes for minutes, _n in sums.values()), default=0) or 1
    ranked = sorted(sums.items(), key=lambda item: (-item[1][0], labels.get(item[0], "")))
    return [Load(labels.get(pk, ""), pk, round(minutes), n, round(100 * minutes / largest)) for pk, (minutes, n) in ranked]
