"""Every number and row of the home page and the sidebar. All start from `visible_to(user)`; one query each."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Case, CharField, F, IntegerField, OuterRef, Prefetch, Q, QuerySet, Subquery, Value, When
from django.utils import timezone

from apps.accounts.access import access_of
from apps.accounts.models import Department
from apps.accounts.roles import Role
from apps.catalog.models import Customer, Process, Product, Route, Stage, TaskRule, Tool
from apps.core.querysets import has_one
from apps.dispatch.models import DispatchRule
from apps.notices.models import Notice
from apps.scanning.models import Scan
from apps.workorders.models import OrderLine, OrderMaterial, Step, Task, WorkEvent, WorkOrder
from apps.workorders.states import ORDER_EDITABLE, ORDER_RUNNING, STEP_ENDED, TASK_HELD, OrderStatus, StepStatus, TaskStatus

MOST = 10_000  # counts stop here, so that a number on the home page never walks a whole table
URGENT, PAUSED = 300, 50  # tasks that are asked what stops them: the most urgent open ones, and the most urgent paused ones


class CountOf(Subquery):
    """How many rows a queryset has, as a column: many counts in one query."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    empty_result_set_value = 0

    def __init__(self, queryset: QuerySet, most: int = MOST) -> None:
        super().__init__(queryset.order_by().values("pk")[:most], output_field=IntegerField())


def count(user: Any, querysets: dict[str, QuerySet], most: int = MOST, **columns: Any) -> dict[str, Any]:
    """How many rows each of `querysets` has, none counted past `most`, with `columns` beside. One query, whatever their number."""
    columns |= {f"n_{name}": CountOf(queryset, most) for name, queryset in querysets.items()}
    row = get_user_model().objects.filter(pk=user.pk).values(**columns).get()
    return {name.removeprefix("n_"): value for name, value in row.items()}


def _signs(user: Any) -> dict[str, Any]:
    """Columns that tell whether something on the user's home page may have changed."""
    mine = Notice.objects.visible_to(user)
    return {
        "last_event": Subquery(WorkEvent.objects.order_by("-pk").values("pk")[:1]),
        "last_notice": Subquery(mine.order_by("-pk").values("pk")[:1]),
        "unread": CountOf(mine.unread(), 100),
    }


def _stamp(signs: dict[str, Any]) -> str:
    minute = int(timezone.now().timestamp() // 60)
    return "-".join(str(signs.pop(name) or 0) for name in ("last_event", "last_notice", "unread")) + f"-{minute}"


def stamp(user: Any) -> str:
    """A short text that changes when something on the user's home page may have changed. One query.

    Events and notices tell of nearly everything; the minute covers the rest (a tool was confirmed, a share ran out).
    """
    return _stamp(count(user, {}, **_signs(user)))


def orders_to_decide(user: Any) -> QuerySet[WorkOrder]:
    """Submitted orders that `user` may approve, the most urgent first. With their lines: one more query."""
    lines = Prefetch("lines", OrderLine.objects.select_related("product"))
    return (
        WorkOrder.objects.waiting_for(user)
        .select_related("customer", "maker")
        .prefetch_related(lines)
        .order_by(F("due_date").asc(nulls_last=True), "pk")
    )


def orders_to_complete(user: Any) -> QuerySet[WorkOrder]:
    """Drafts and rejected orders that `user` is to complete: his own, and those that he imported for nobody in particular."""
    if not access_of(user).has("workorders.submit_workorder"):
        return WorkOrder.objects.none()
    mine = Q(maker=user.pk) | Q(maker=None, created_by=user.pk)
    reason = WorkEvent.objects.filter(order=OuterRef("pk"), verb="reject").order_by("-pk").values("reason")[:1]
    return (
        WorkOrder.objects.visible_to(user)
        .filter(mine, status__in=ORDER_EDITABLE)
        .select_related("customer")
        .annotate(rejection=Subquery(reason, output_field=CharField()))
        .order_by(Case(When(status=OrderStatus.REJECTED, then=0), default=1), F("due_date").asc(nulls_last=True), "pk")
    )


def late_orders(user: Any) -> QuerySet[WorkOrder]:
    return WorkOrder.objects.visible_to(user).late().select_related("customer").order_by("due_date", "-priority", "pk")


def held_orders(user: Any) -> QuerySet[WorkOrder]:
    """Orders on hold, the longest waiting first, with `hold_reason`."""
    reason = WorkEvent.objects.filter(order=OuterRef("pk"), verb="hold").order_by("-pk").values("reason")[:1]
    return (
        WorkOrder.objects.visible_to(user)
        .filter(status=OrderStatus.ON_HOLD)
        .select_related("customer")
        .annotate(hold_reason=Subquery(reason, output_field=CharField()))
        .order_by("updated_at", "pk")
    )


def orders(user: Any, *statuses: str) -> QuerySet[WorkOrder]:
    """Orders in one of `statuses`."""
    return WorkOrder.objects.visible_to(user).filter(status__in=statuses)


def tasks_of(user: Any) -> QuerySet[Task]:
    """What `user` has in hand: running work first, then by priority and due date."""
    running_first = Case(When(status=TaskStatus.IN_PROGRESS, then=0), When(status=TaskStatus.PAUSED, then=1), default=2)
    return (
        Task.objects.visible_to(user)
        .filter(operator=user.pk, status__in=TASK_HELD)
        .order_by(running_first, "-priority", F("due_date").asc(nulls_last=True), "pk")
    )


def queue_of(user: Any) -> QuerySet[Task]:
    """Tasks that `user` may claim now, the most urgent first."""
    return Task.objects.visible_to(user).claimable_by(user).order_by("-priority", F("due_date").asc(nulls_last=True), "pk")


def undispatched_tasks(user: Any) -> QuerySet[Task]:
    """Tasks that no department has, for who can give them one."""
    if not access_of(user).has("workorders.dispatch_task"):
        return Task.objects.none()
    return Task.objects.visible_to(user).undispatched().order_by("-priority", F("due_date").asc(nulls_last=True), "pk")


def open_tasks(user: Any) -> QuerySet[Task]:
    return Task.objects.visible_to(user).open()


def late_tasks(user: Any) -> QuerySet[Task]:
    return Task.objects.visible_to(user).open().filter(due_date__lt=timezone.localdate()).order_by("due_date", "-priority", "pk")


def blocked_tasks(user: Any) -> QuerySet[Task]:
    """Tasks whose turn it is and that cannot go on, with what stops them.

    `paused_code` and `paused_reason` say why a paused one stopped; `unconfirmed` names a tool, `unreceived` a material, and
    `lacks_tool` says that no tool of the needed kind is attached. The rule is readiness.what_is_missing, asked of many tasks at once:
    of the URGENT most urgent ones, and of the PAUSED most urgent paused ones. Two queries before its own.
    """
    pauses = WorkEvent.objects.filter(task=OuterRef("pk"), verb="pause").order_by("-pk")
    unfinished = Step.objects.filter(successors=OuterRef("step")).exclude(status__in=STEP_ENDED)
    attached = Tool.objects.filter(orders=OuterRef("order"), kind=OuterRef("step__process__needs_tool"))
    unreceived = OrderMaterial.objects.filter(order=OuterRef("order"), received_at=None)
    cuts = Q(step__process__task_rule=TaskRule.PER_MATERIAL) & Q(has_one(unreceived.filter(needs_cutting=True)))
    prints = Q(step__stage=Stage.PRINT) & Q(has_one(unreceived))
    needs_tool = ~Q(step__process__needs_tool="")
    waits = Q(step__status=StepStatus.WAITING) & ~Q(has_one(unfinished))
    by_urgency = open_tasks(user).order_by("-priority", "due_date", "pk").values_list("pk", flat=True)
    keys = {*by_urgency[:URGENT], *by_urgency.filter(status=TaskStatus.PAUSED)[:PAUSED]}
    return (
        Task.objects.filter(pk__in=keys, order__status__in=ORDER_RUNNING)
        .annotate(
            paused_code=Subquery(pauses.values("reason_code")[:1]),
            paused_reason=Subquery(pauses.values("reason")[:1]),
            lacks_tool=Case(When(needs_tool & ~Q(has_one(attached)), then=True), default=False),
            unconfirmed=Subquery(attached.filter(confirmed_at=None).order_by("pk").values("code")[:1]),
            unreceived=Case(When(cuts | prints, then=Subquery(unreceived.order_by("pk").values("name")[:1])), output_field=CharField()),
        )
        .filter(
            Q(status=TaskStatus.PAUSED)
            | waits & (Q(lacks_tool=True) | Q(unconfirmed__isnull=False, step__process__needs_tool__gt="") | Q(unreceived__isnull=False))
        )
        .order_by("-priority", F("due_date").asc(nulls_last=True), "pk")
    )


@dataclass(frozen=True)
class Edit:
    """Something that the user changed last."""

    model: type
    pk: int
    label: str
    at: datetime
    is_new: bool


# model -> (the permission that makes it his to change, what its row is called)
EDITED: dict[type, tuple[str, str]] = {
    WorkOrder: ("workorders.change_workorder", "number"),
    Task: ("workorders.work_task", "status"),
    Customer: ("catalog.change_customer", "name"),
    Product: ("catalog.change_product", "name"),
    Process: ("catalog.change_process", "name"),
    Route: ("catalog.change_route", "name"),
    Tool: ("catalog.change_tool", "code"),
    DispatchRule: ("dispatch.change_dispatchrule", ""),
    get_user_model(): ("accounts.change_user", "username"),
    Department: ("accounts.change_department", "name"),
}
RECENT = 40  # history rows looked at for each model: one thing saved many times is one line


def recent_edits(user: Any, most: int) -> list[Edit]:
    """What `user` changed last, each thing once, as far as he still sees it; imports are left out. One query."""
    access = access_of(user)
    models = {f"{model._meta.label_lower}": (model, field) for model, (permission, field) in EDITED.items() if access.has(permission)}
    branches = [_edits_of(user, key, model, field) for key, (model, field) in models.items()]
    if not branches:
        return []
    rows = branches[0].union(*branches[1:], all=True) if len(branches) > 1 else branches[0]
    found: dict[tuple[str, int], Edit] = {}
    for key, pk, label, at, kind in sorted(rows, key=lambda row: row[3], reverse=True):
        found.setdefault((key, pk), Edit(models[key][0], pk, label, at, kind == "+"))
    return list(found.values())[:most]


def _edits_of(user: Any, key: str, model: type, field: str) -> QuerySet:
    history = model.history.model.objects
    mine = history.filter(history_user=user.pk, id__in=model.objects.visible_to(user).order_by().values("pk"))
    latest = mine.exclude(source="import").order_by("-history_id").values("history_id")[:RECENT]
    label = F(field) if field else Value("", output_field=CharField())
    return (
        history.filter(history_id__in=latest)
        .order_by()
        .values_list(Value(key, output_field=CharField()), "id", label, "history_date", "history_type")
    )


def late_scans(user: Any) -> QuerySet[Scan]:
    """Scans that came late and wait for a decision, the oldest first, for who decides."""
    if not access_of(user).has("scanning.decide_scan"):
        return Scan.objects.none()
    return Scan.objects.visible_to(user).in_inbox().select_related("task__step__process", "order", "user", "device").order_by("pk")


def unread_notices(user: Any) -> QuerySet[Notice]:
    return Notice.objects.visible_to(user).unread().order_by("-pk")


def badges(user: Any) -> dict[str, int]:
    """What the sidebar counts for `user`, none past 100. One query."""
    access = access_of(user)
    wanted: dict[str, QuerySet] = {"notices": unread_notices(user)}
    if access.has("workorders.view_workorder"):
        wanted["late"] = late_orders(user)
    if access.has("workorders.approve_workorder"):
        wanted["waiting"] = orders_to_decide(user)
    if access.has("workorders.dispatch_task") and access.sees_all:
        wanted["undispatched"] = undispatched_tasks(user)
    if access.is_(Role.OPERATOR):
        wanted |= {"mine": tasks_of(user), "queue": queue_of(user)}
    if access.has("scanning.decide_scan"):
        wanted["inbox"] = late_scans(user)
    return count(user, wanted, 100)


def cards(user: Any) -> tuple[str, dict[str, int]]:
    """The stamp of this moment, and the numbers at the top of the home page, as far as they are `user`'s business. One query."""
    access = access_of(user)
    wanted: dict[str, QuerySet] = {}
    if access.is_(Role.OPERATOR):
        wanted |= {"mine": tasks_of(user), "queue": queue_of(user)}
    if access.has("workorders.view_workorder"):
        if access.has("workorders.approve_workorder"):
            wanted["waiting"] = orders_to_decide(user)
        if access.has("workorders.submit_workorder"):
            wanted["drafts"] = orders_to_complete(user)
        wanted |= {"late": late_orders(user), "held": orders(user, OrderStatus.ON_HOLD)}
        wanted |= {"approved": orders(user, OrderStatus.APPROVED), "running": orders(user, OrderStatus.IN_PROGRESS)}
    if access.has("workorders.assign_task") or access.sees_all:
        wanted |= {"tasks": open_tasks(user)}
    if access.has("workorders.view_task"):
        wanted |= {"late_tasks": late_tasks(user)}
    if access.has("workorders.dispatch_task") and access.sees_all:
        wanted["undispatched"] = undispatched_tasks(user)
    if access.has("scanning.decide_scan"):
        wanted["inbox"] = late_scans(user)
    if access.has("accounts.change_user"):
        people = get_user_model().objects.visible_to(user).filter(is_active=True)
        with_role = get_user_model().objects.filter(groups__name__in=Role.values)
        wanted |= {"people": people, "without_role": people.exclude(pk__in=with_role.values("pk"))}
    counts = count(user, wanted, **_signs(user))
    return _stamp(counts), counts


def shortest(rows: Iterable, most: int, *, keys_first: bool = True) -> tuple[list, bool]:
    """The first `most` of `rows`, and whether there are more. Asks the database for one row too many.

    Of tasks the keys come first: a query more, and all that a row shows is joined for a handful of rows and not for the table.
    `keys_first` is False where there are only a handful of rows to choose from.
    """
    if keys_first and isinstance(rows, QuerySet) and rows.model is Task:
        keys = list(rows.values_list("pk", flat=True)[: most + 1])
        return list(rows.filter(pk__in=keys[:most])) if keys else [], len(keys) > most
    found = list(rows[: most + 1])
    return found[:most], len(found) > most
