"""Who sees which orders, tasks and what hangs on them: the one rule that every surface starts from."""

from dataclasses import dataclass
from typing import Any, Self

from django.db.models import (
    Aggregate,
    BooleanField,
    Case,
    CharField,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Prefetch,
    Q,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from apps.accounts.access import Access, access_of
from apps.accounts.roles import Role
from apps.core.querysets import ScopedQuerySet, has_one
from apps.workorders.states import ORDER_LIVE, ORDER_RUNNING, TASK_ENDED, TASK_OPEN, OrderStatus, TaskStatus


def live_shares(model: Any) -> Any:
    """The shares of one share model that have not run out."""
    return model.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


@dataclass(frozen=True)
class Shares:
    """What was shared with one user, or with one of his roles: pks of orders, of tasks, and of tasks to work on."""

    orders: frozenset[int]
    tasks: frozenset[int]
    to_work: frozenset[int]


def shares_of(access: Access) -> Shares:
    """The shares that last. One query, the first time in a request.

    Plain lists of keys, and not subqueries: with them a list stays an indexed look-up however many tasks there are.
    """
    if "shares" not in access.memo:
        from apps.workorders import models

        parts = []
        for kind, by_user, by_group in (
            ("order", models.WorkOrderUserShare, models.WorkOrderGroupShare),
            ("task", models.TaskUserShare, models.TaskGroupShare),
        ):
            columns = (Value(kind), "content_object_id", "level")
            parts.append(live_shares(by_user).filter(user=access.user_id).values_list(*columns))
            if access.groups:
                parts.append(live_shares(by_group).filter(group__in=access.groups).values_list(*columns))
        rows = list(parts[0].union(*parts[1:]))
        access.memo["shares"] = Shares(
            orders=frozenset(pk for kind, pk, _level in rows if kind == "order"),
            tasks=frozenset(pk for kind, pk, _level in rows if kind == "task"),
            to_work=frozenset(pk for kind, pk, level in rows if kind == "task" and level == models.ShareLevel.WORK),
        )
    return access.memo["shares"]


class Joined(Aggregate):
    """The texts of a group, with commas: the same function under two names."""

    function = "STRING_AGG"
    template = "%(function)s(%(expressions)s, ', ')"
    output_field = CharField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, function="GROUP_CONCAT", **context)


def task_scope(access: Access, prefix: str = "", *, shared: bool = True) -> Q:
    """The tasks that `access` sees, as a condition on Task (`prefix` "") or on something that points to one ("task__").

    Without `shared`: those that he sees by his roles and places alone.
    """
    if access.user_id is None:
        return Q(pk__in=[])
    if access.sees_all:
        return Q()
    return (own_task_scope(access, prefix, shared=shared) | handed_scope(access, f"{prefix}order__")) or Q(pk__in=[])


def handed_scope(access: Access, prefix: str = "") -> Q:
    """The orders whose tasks `access` sees whatever they are: as maker, and as the customer's salesperson. Empty for other roles."""
    scope = Q()
    if access.is_(Role.MAKER) or access.is_(Role.SALESPERSON):
        scope |= Q(**{f"{prefix}maker": access.user_id})
    if access.is_(Role.SALESPERSON):
        scope |= Q(**{f"{prefix}customer__salesperson": access.user_id})
    return scope


def own_task_scope(access: Access, prefix: str = "", key: str = "pk", *, shared: bool = True) -> Q:
    """The tasks that `access` sees by their own columns, as a condition that also fits old versions (`key` "id"). May be empty."""
    scope = Q()
    if access.leads:
        scope |= Q(**{f"{prefix}department__in": access.leads})
    if access.is_(Role.OPERATOR):
        scope |= Q(**{f"{prefix}operator": access.user_id})
        if access.member_of:
            scope |= Q(**{f"{prefix}status": TaskStatus.PENDING, f"{prefix}department__in": access.member_of})
    if not shared:
        return scope
    shares = shares_of(access)
    if shares.tasks:
        scope |= Q(**{f"{prefix}{key}__in": shares.tasks})
    if shares.orders:
        scope |= Q(**{f"{prefix}order_id__in": shares.orders})
    return scope


def order_scope(access: Access, prefix: str = "", *, shared: bool = True) -> Q:
    """The orders that `access` sees, as a condition on WorkOrder or on something that points to one ("order__").

    Without `shared`: those that he sees by his roles and places alone.
    """
    from apps.workorders.models import Task

    if access.user_id is None:
        return Q(pk__in=[])
    if access.sees_all:
        return Q()
    scope = Q()
    if access.roles & {Role.MAKER, Role.SALESPERSON, Role.SUPERVISOR}:
        scope |= Q(**{f"{prefix}maker": access.user_id}) | Q(**{f"{prefix}created_by": access.user_id})
    if access.is_(Role.SALESPERSON):
        scope |= Q(**{f"{prefix}customer__salesperson": access.user_id})
    if access.leads:
        scope |= Q(has_one(Task.objects.filter(order=OuterRef(f"{prefix}pk"), department__in=access.leads)))
    if shared and (orders := shares_of(access).orders):
        scope |= Q(**{f"{prefix}pk__in": orders})
    return scope or Q(pk__in=[])


def is_shared(access: Access, by_user: Any, by_group: Any, row: Any, **level: Any) -> Q:
    """Whether a share of these models that lasts shows `row`, a column that is its key, to `access`. No query."""
    own = live_shares(by_user).filter(user=access.user_id, content_object=row, **level)
    role = live_shares(by_group).filter(group__in=access.groups, content_object=row, **level)
    return Q(Exists(own)) | Q(Exists(role))


class WorkOrderQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        return self.filter(order_scope(access_of(user)))

    def in_sight_of(self, user: Any) -> Self:
        """The same rows as `visible_to`, for the look-up of a few: the shares are asked in the same statement, not before it."""
        from apps.workorders import models

        access = access_of(user)
        if access.sees_all or access.user_id is None:
            return self.visible_to(user)
        shared = is_shared(access, models.WorkOrderUserShare, models.WorkOrderGroupShare, OuterRef("pk"))
        return self.filter(order_scope(access, shared=False) | shared)

    def open(self) -> Self:
        return self.filter(status__in=ORDER_LIVE)

    def late(self) -> Self:
        return self.open().filter(due_date__lt=timezone.localdate())

    def waiting_for(self, user: Any) -> Self:
        """Submitted orders that `user` could approve now."""
        access = access_of(user)
        if not access.has("workorders.approve_workorder"):
            return self.none()
        mine = Q(maker=access.user_id) | Q(submitted_by=access.user_id)
        return self.visible_to(user).filter(approvable_by(access), status=OrderStatus.SUBMITTED).exclude(mine)

    def with_progress(self) -> Self:
        """Annotate `tasks_total`, `tasks_done` (cancelled ones count in neither): two subqueries a row, whatever the table's size."""
        from apps.workorders.models import Task

        tasks = Task.objects.filter(order=OuterRef("pk")).exclude(status=TaskStatus.CANCELLED).order_by().values("order")
        total = tasks.annotate(n=Count("pk")).values("n")
        done = tasks.filter(status=TaskStatus.COMPLETED).annotate(n=Count("pk")).values("n")
        return self.annotate(
            tasks_total=Coalesce(Subquery(total, output_field=IntegerField()), 0),
            tasks_done=Coalesce(Subquery(done, output_field=IntegerField()), 0),
        )

    def for_list(self) -> Self:
        """What a row of a list shows, in one query."""
        return self.select_related("customer", "maker").with_progress()


def approvable_by(access: Access) -> Q:
    """Orders that the roles of `access` let him decide on: a salesperson his customers', a supervisor those that he sees."""
    if access.is_superuser or access.is_(Role.SUPERVISOR):
        return Q()
    return Q(customer__salesperson=access.user_id)


class StepQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """The steps of the orders that one sees."""
        return self.filter(order_scope(access_of(user), "order__"))


class OrderPartQuerySet(ScopedQuerySet):
    """Lines, materials and tools of an order."""

    def visible_to(self, user: Any) -> Self:
        return self.filter(order_scope(access_of(user), "order__"))


class TaskQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        return self.filter(task_scope(access_of(user)))

    def in_sight_of(self, user: Any) -> Self:
        """The same rows as `visible_to`, for the look-up of a few: the shares are asked in the same statement, not before it.

        Annotates `works_by_share`, whether a share lets `user` take the task, and `read_for`, whose answer that is.
        """
        from apps.workorders import models

        access = access_of(user)
        if access.sees_all or access.user_id is None:
            return self.visible_to(user)
        by_task, by_order = (models.TaskUserShare, models.TaskGroupShare), (models.WorkOrderUserShare, models.WorkOrderGroupShare)
        shared = is_shared(access, *by_task, OuterRef("pk")) | is_shared(access, *by_order, OuterRef("order_id"))
        to_work = is_shared(access, *by_task, OuterRef("pk"), level=models.ShareLevel.WORK)
        rows = self.annotate(works_by_share=ExpressionWrapper(to_work, BooleanField()), read_for=Value(access.user_id))
        return rows.filter(task_scope(access, shared=False) | shared)

    def open(self) -> Self:
        return self.filter(status__in=TASK_OPEN)

    def late(self) -> Self:
        return self.exclude(status__in=TASK_ENDED).filter(due_date__lt=timezone.localdate())

    def claimable_by(self, user: Any) -> Self:
        """Pending tasks that `user` could claim now: of his own departments, or shared with him to work on."""
        access = access_of(user)
        if not access.has("workorders.work_task"):
            return self.none()
        scope = Q(department__in=access.member_of | access.leads) | Q(pk__in=shares_of(access).to_work)
        return self.filter(scope, status=TaskStatus.PENDING, order__status__in=ORDER_RUNNING)

    def undispatched(self) -> Self:
        """Pending tasks that no department has."""
        return self.filter(status=TaskStatus.PENDING, department=None)

    def needing_dispatch(self) -> Self:
        """Pending tasks that no dispatch has looked at yet: the need that approving an order writes."""
        return self.filter(status=TaskStatus.PENDING, dispatched_at=None)

    def for_list(self) -> Self:
        """What a row of a list shows, in one query."""
        return self.select_related("order__customer", "step__process", "department", "operator", "line__product", "tool", "material")

    def with_products(self) -> Self:
        """Annotate `products`: the names of the products of each task's order. A subquery a row, no query more."""
        from apps.workorders.models import OrderLine

        lines = OrderLine.objects.filter(order=OuterRef("order")).order_by().values("order")
        return self.annotate(products=Subquery(lines.annotate(names=Joined("product__name")).values("names")))

    def with_lines(self) -> Self:
        """The products of each task's order, for tasks that are not made for one line. One query."""
        from apps.workorders.models import OrderLine

        return self.prefetch_related(Prefetch("order__lines", OrderLine.objects.select_related("product")))

    def open_minutes(self) -> Any:
        """Sum over these tasks of what is left of each, in minutes: set-up, unless begun, and run time."""
        set_up = Case(When(started_at=None, then="step__process__setup_minutes"), default=0)
        left = Greatest(F("planned") - F("good"), 0)
        return Sum(set_up + left * F("step__process__minutes_per_1000") / 1000)


class WorkEventQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """Events of the tasks that one sees, and of the orders that one sees as far as they name no task."""
        access = access_of(user)
        if access.sees_all:
            return self
        return self.filter(Q(task__isnull=False) & task_scope(access, "task__") | Q(task__isnull=True) & order_scope(access, "order__"))
