"""How much open work lies where."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count

from apps.accounts.models import Department
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
    """Open work that is in sight, by department and by person, the largest first. One query."""
    rows = (
        Task.objects.visible_to(user)
        .open()
        .order_by()
        .values("department", "department__name", "department__name_zh", "operator", "operator__name", "operator__username")
        .annotate(minutes=Task.objects.open_minutes(), n=Count("pk"))
    )
    departments: dict[int | None, list] = {}
    people: dict[int, list] = {}
    for row in rows:
        place = Department(name=row["department__name"] or "", name_zh=row["department__name_zh"] or "")
        _add(departments, row["department"], place.label, row)
        if row["operator"]:
            _add(people, row["operator"], row["operator__name"] or row["operator__username"], row)
    return _ranked(departments), _ranked(people)


def _add(sums: dict, key: Any, label: str, row: dict) -> None:
    total = sums.setdefault(key, [label, 0, 0])
    total[1] += row["minutes"] or 0
    total[2] += row["n"]


def _ranked(sums: dict) -> list[Load]:
    largest = max((minutes for _label, minutes, _n in sums.values()), default=0) or 1
    ranked = sorted(sums.items(), key=lambda item: (-item[1][1], item[1][0]))
    return [Load(label, pk, round(minutes), n, round(100 * minutes / largest)) for pk, (label, minutes, n) in ranked]
