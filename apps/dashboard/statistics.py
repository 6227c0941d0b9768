"""Counts and rates of the API: over what the caller may see, and nothing else. A fixed number of queries each."""

from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from apps.accounts.models import Department
from apps.notices.models import Notice
from apps.workorders.models import Task, WorkOrder
from apps.workorders.states import TASK_ENDED, TASK_OPEN, OrderStatus, Priority, TaskStatus

MOST_PEOPLE = 200


def _by_status(rows: QuerySet, statuses: Any) -> dict[str, int]:
    counted = dict(rows.order_by().values_list("status").annotate(n=Count("pk")))
    return {str(status): counted.get(status, 0) for status in statuses.values}


def _late() -> Q:
    return Q(due_date__lt=timezone.localdate()) & ~Q(status__in=TASK_ENDED)


def _rate(part: int, whole: int) -> float:
    """A share of the whole, 0.0 of nothing."""
    return round(part / whole, 4) if whole else 0.0


def task_summary(user: Any) -> dict[str, Any]:
    """Tasks by status and priority, pieces, and rates. Cancelled tasks count in no rate. Three queries."""
    tasks = Task.objects.visible_to(user)
    by_status = _by_status(tasks, TaskStatus)
    by_priority = dict(tasks.filter(status__in=TASK_OPEN).order_by().values_list("priority").annotate(n=Count("pk")))
    live = ~Q(status=TaskStatus.CANCELLED)
    sums = tasks.order_by().aggregate(
        planned=Sum("planned", filter=live),
        good=Sum("good", filter=live),
        scrap=Sum("scrap", filter=live),
        late=Count("pk", filter=_late()),
    )
    good, scrap, planned = sums["good"] or 0, sums["scrap"] or 0, sums["planned"] or 0
    total = sum(by_status.values())
    return {
        "total": total,
        "by_status": by_status,
        "open_by_priority": {member.name.lower(): by_priority.get(member.value, 0) for member in Priority},
        "late": sums["late"],
        "planned": planned,
        "good": good,
        "scrap": scrap,
        "completion_rate": _rate(by_status[TaskStatus.COMPLETED], total - by_status[TaskStatus.CANCELLED]),
        "scrap_rate": _rate(scrap, good + scrap),
    }


def department_workload(user: Any) -> list[dict[str, Any]]:
    """Open work of each department that has tasks in sight: counts, pieces left, minutes. Two queries."""
    tasks = Task.objects.visible_to(user).filter(status__in=TASK_OPEN).order_by()
    rows = tasks.values("department").annotate(
        minutes=Task.objects.open_minutes(),  # before `planned` and `good` become sums
        pending=Count("pk", filter=Q(status=TaskStatus.PENDING)),
        assigned=Count("pk", filter=Q(status=TaskStatus.ASSIGNED)),
        in_progress=Count("pk", filter=Q(status=TaskStatus.IN_PROGRESS)),
        paused=Count("pk", filter=Q(status=TaskStatus.PAUSED)),
        open=Count("pk"),
        late=Count("pk", filter=_late()),
        planned=Sum("planned"),
        good=Sum("good"),
    )
    by_department = {row.pop("department"): row for row in rows}
    names = Department.objects.in_bulk([pk for pk in by_department if pk])
    return [
        {
            "department": {"id": pk, "code": names[pk].code, "name": names[pk].label} if pk else None,
            **{name: row[name] for name in ("pending", "assigned", "in_progress", "paused", "open", "late", "planned", "good")},
            "open_minutes": int(row["minutes"] or 0),
        }
        for pk, row in sorted(by_department.items(), key=lambda pair: (-pair[1]["open"], pair[0] or 0))
    ]


def collaboration(user: Any) -> list[dict[str, Any]]:
    """Who does how much of the tasks in sight, the busiest first. One query."""
    tasks = Task.objects.visible_to(user).exclude(operator=None).order_by()
    rows = tasks.values("operator", "operator__name", "operator__username").annotate(
        open=Count("pk", filter=Q(status__in=TASK_OPEN)),
        completed=Count("pk", filter=Q(status=TaskStatus.COMPLETED)),
        late=Count("pk", filter=_late()),
        good=Sum("good"),
        scrap=Sum("scrap"),
    )
    return [
        {
            "operator": {"id": row["operator"], "name": row["operator__name"] or row["operator__username"]},
            **{name: row[name] for name in ("open", "completed", "late", "good", "scrap")},
            "scrap_rate": _rate(row["scrap"], row["good"] + row["scrap"]),
        }
        for row in rows.order_by("-open", "-completed", "operator")[:MOST_PEOPLE]
    ]


def overview(user: Any) -> dict[str, Any]:
    """The numbers of a home page. Eight queries."""
    orders, tasks = WorkOrder.objects.visible_to(user), Task.objects.visible_to(user)
    today = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "orders": {
            "by_status": _by_status(orders, OrderStatus),
            "late": orders.late().count(),
            "waiting_for_me": orders.waiting_for(user).count(),
        },
        "tasks": {
            "by_status": _by_status(tasks, TaskStatus),
            "my_tasks": _by_status(tasks.filter(operator=user.pk), TaskStatus),
            **tasks.order_by().aggregate(
                late=Count("pk", filter=_late()),
                completed_today=Count("pk", filter=Q(completed_at__gte=today)),
                mine_open=Count("pk", filter=Q(operator=user.pk, status__in=TASK_OPEN)),
                undispatched=Count("pk", filter=Q(status=TaskStatus.PENDING, department=None)),
            ),
            "claimable": tasks.claimable_by(user).count(),
        },
        "notices": {"unread": Notice.objects.visible_to(user).unread().count()},
    }
