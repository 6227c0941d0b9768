"""Why can, or can't, X see this? The scope rule of querysets.py told clause by clause, for one user and one object."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.accounts.access import Access, access_of
from apps.accounts.models import Department
from apps.accounts.roles import Role
from apps.workorders.models import Task, TaskGroupShare, TaskUserShare, WorkOrder, WorkOrderGroupShare, WorkOrderUserShare
from apps.workorders.states import TaskStatus

USER_SHARES = {WorkOrder: WorkOrderUserShare, Task: TaskUserShare}
GROUP_SHARES = {WorkOrder: WorkOrderGroupShare, Task: TaskGroupShare}


@dataclass(frozen=True)
class Clause:
    """One rule, whether it lets the user see the object, and why or why not in a sentence. `rule` is a stable code."""

    rule: str
    holds: bool
    detail: str


def explain(user: Any, obj: WorkOrder | Task) -> list[Clause]:
    """Every rule that could show `obj` to `user`. He sees it exactly when one of them holds.

    At most seven queries, whatever the tables' size.
    """
    access = access_of(user)
    if access.user_id is None:
        return [Clause("active", False, _("The account %(user)s is inactive. An inactive account sees nothing.") % {"user": user.username})]
    clauses = [*_everything(access), *(_of_order(access, obj) if isinstance(obj, WorkOrder) else _of_task(access, obj))]
    order = obj if isinstance(obj, WorkOrder) else obj.order
    things: list[WorkOrder | Task] = [order] if order is obj else [obj, order]
    return clauses + [_shared(access, thing) for thing in things]


def sees(clauses: list[Clause]) -> bool:
    """The answer that the clauses add up to."""
    return any(clause.holds for clause in clauses)


def _everything(access: Access) -> Iterator[Clause]:
    held = [str(Role(role).label) for role in sorted(access.roles)]
    roles = ", ".join(held) or _("none")
    detail = _("The account is a superuser.") if access.is_superuser else _("The account is no superuser.")
    yield Clause("superuser", access.is_superuser, detail)
    if access.sees_all and not access.is_superuser:
        yield Clause("sees_all", True, _("A planner or auditor sees everything. Roles: %(roles)s.") % {"roles": roles})
    else:
        yield Clause("sees_all", False, _("No role that sees everything (planner, auditor). Roles: %(roles)s.") % {"roles": roles})


def _of_order(access: Access, order: WorkOrder) -> Iterator[Clause]:
    makes = bool(access.roles & {Role.MAKER, Role.SALESPERSON, Role.SUPERVISOR})
    yield _maker(makes, access.user_id == order.maker_id, order)
    created = access.user_id == order.created_by_id
    if not makes:
        detail = _("Only a maker, salesperson or supervisor sees what he created.")
    elif created:
        detail = _("Created the order.")
    else:
        detail = _("%(person)s created the order.") % {"person": order.created_by}
    yield Clause("created", makes and created, detail)
    yield _salesperson(access, order)
    here = Department.objects.filter(tasks__order=order).distinct()
    yield _lead(access, {department.pk: department for department in here})


def _of_task(access: Access, task: Task) -> Iterator[Clause]:
    makes = bool(access.roles & {Role.MAKER, Role.SALESPERSON})
    yield _maker(makes, access.user_id == task.order.maker_id, task.order)
    yield _salesperson(access, task.order)
    yield _lead(access, {task.department_id: task.department} if task.department else {})
    yield _own_task(access, task)
    yield _queue(access, task)


def _maker(makes: bool, is_maker: bool, order: WorkOrder) -> Clause:
    if not makes:
        detail = _("Has no role that makes orders.")
    elif is_maker:
        detail = _("Is the maker of the order.")
    elif order.maker:
        detail = _("%(person)s is the maker of the order.") % {"person": order.maker}
    else:
        detail = _("The order has no maker yet.")
    return Clause("maker", makes and is_maker, detail)


def _salesperson(access: Access, order: WorkOrder) -> Clause:
    owner = order.customer.salesperson if order.customer else None
    holds = access.is_(Role.SALESPERSON) and owner is not None and owner.pk == access.user_id
    if holds:
        detail = _("Is the salesperson of %(customer)s.") % {"customer": order.customer}
    elif not access.is_(Role.SALESPERSON):
        detail = _("Is no salesperson.")
    elif owner:
        detail = _("%(person)s is the salesperson of %(customer)s.") % {"person": owner, "customer": order.customer}
    else:
        detail = _("The order's customer has no salesperson.")
    return Clause("salesperson", holds, detail)


def _names(departments: Any) -> str:
    return ", ".join(department.label for department in departments)


def _lead(access: Access, here: dict[int, Department]) -> Clause:
    """Whether a department that has work on it is one that the user leads, or is below one."""
    led = [department for pk, department in here.items() if pk in access.leads]
    if led:
        detail = _("Leads %(departments)s, or a department above.") % {"departments": _names(led)}
    elif not access.is_(Role.SUPERVISOR):
        detail = _("Is no supervisor.")
    elif not access.leads:
        detail = _("Is a supervisor, but leads no department.")
    elif here:
        detail = _("The work is in %(departments)s, which he does not lead.") % {"departments": _names(here.values())}
    else:
        detail = _("No department has work on it yet.")
    return Clause("leads", bool(led), detail)


def _own_task(access: Access, task: Task) -> Clause:
    holds = access.is_(Role.OPERATOR) and task.operator_id == access.user_id
    if holds:
        detail = _("Has the task.")
    elif not access.is_(Role.OPERATOR):
        detail = _("Is no operator.")
    elif task.operator:
        detail = _("%(person)s has the task.") % {"person": task.operator}
    else:
        detail = _("Nobody has the task.")
    return Clause("own_task", holds, detail)


def _queue(access: Access, task: Task) -> Clause:
    pending, member = task.status == TaskStatus.PENDING, task.department_id in access.member_of
    holds = access.is_(Role.OPERATOR) and pending and member
    if holds:
        detail = _("Works in %(department)s, where the task waits to be claimed.") % {"department": task.department}
    elif not access.is_(Role.OPERATOR):
        detail = _("Is no operator.")
    elif task.department is None:
        detail = _("The task has no department.")
    elif not member:
        detail = _("Does not work in %(department)s.") % {"department": task.department}
    else:
        detail = _("Works in %(department)s, but the task is %(status)s: only a pending one shows to the whole department.") % {
            "department": task.department,
            "status": task.get_status_display(),
        }
    return Clause("queue", holds, detail)


def _shared(access: Access, thing: WorkOrder | Task) -> Clause:
    """Shares of the thing itself with the user or one of his groups. Two queries."""
    rule = "shared_order" if isinstance(thing, WorkOrder) else "shared_task"
    what = _("Order %(number)s") % {"number": thing} if isinstance(thing, WorkOrder) else _("Task %(number)s") % {"number": thing}
    mine = USER_SHARES[type(thing)].objects.filter(content_object=thing, user=access.user_id).select_related("shared_by")
    groups = GROUP_SHARES[type(thing)].objects.filter(content_object=thing, group__in=access.groups).select_related("shared_by")
    now, lapsed = timezone.now(), None
    for share in [*mine, *groups]:
        if share.expires_at is None or share.expires_at > now:
            return Clause(rule, True, _told(share, what))
        lapsed = max(lapsed or share.expires_at, share.expires_at)
    if lapsed:
        until = date_format(timezone.localtime(lapsed), "Y-m-d H:i")
        return Clause(rule, False, _("%(what)s was shared until %(until)s.") % {"what": what, "until": until})
    return Clause(rule, False, _("%(what)s is not shared with this person or his roles.") % {"what": what})


def _told(share: Any, what: str) -> str:
    by = str(share.shared_by or _("somebody"))
    if share.expires_at is None:
        return _("%(what)s was shared by %(person)s, for good.") % {"what": what, "person": by}
    until = date_format(timezone.localtime(share.expires_at), "Y-m-d H:i")
    return _("%(what)s was shared by %(person)s until %(until)s.") % {"what": what, "person": by, "until": until}
