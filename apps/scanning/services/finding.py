"""From a code to the thing that it stands for, as far as whoever asks may see it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core.errors import OutOfSight, RuleError
from apps.scanning import codes
from apps.scanning.codes import BadCode, Code, Kind
from apps.scanning.items import VERBS
from apps.scanning.models import Badge, Device, LinkedCode
from apps.scanning.printing import what_changed
from apps.workorders.models import ReasonCode, Task, WorkOrder
from apps.workorders.moves import task_moves
from apps.workorders.readiness import what_step_misses
from apps.workorders.states import ORDER_LIVE, TASK_ENDED, TASK_OPEN, OrderStatus, TaskStatus

MOST_NAMED = 8  # tasks in a sentence


class UnknownCode(OutOfSight):
    """The code stands for nothing, or for nothing that one may see: the same words for both."""

    code = "unknown_code"


@dataclass(frozen=True)
class Warned:
    """Something to know before one goes on. `code` is for machines, `detail` a sentence."""

    code: str
    detail: str

    def as_json(self) -> dict[str, str]:
        return {"code": self.code, "detail": self.detail}


@dataclass
class Resolved:
    """What a code stands for. `tasks` are the open ones of an order, as far as they are seen; `revision` is the paper's.

    `verbs` and `warnings` are what `resolve` says beside: what may be done now, and what to know before.
    """

    code: str
    kind: str
    revision: int | None = None
    order: WorkOrder | None = None
    task: Task | None = None
    tasks: list[Task] = field(default_factory=list)
    person: Any = None
    command: str = ""
    reason: str = ""
    verbs: list[str] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)


def unknown() -> UnknownCode:
    return UnknownCode(_("Nobody knows this code here, or it is not for you. Scan another one, or ask your supervisor."))


def read_code(text: str) -> Code:
    """The code that a scanner sent. Raises BadCode. No query."""
    return codes.parse(text, hosts=settings.ALLOWED_HOSTS)


def named_by(text: str) -> dict[type, Q]:
    """What a printed code that somebody looks for names, for each model that has it: an order and its tasks, or one task and its
    order. Empty for any other text. No query; whose rows are in sight is the caller's to say.
    """
    with suppress(BadCode):
        code = read_code(text)
        if code.kind == Kind.ORDER:
            return {WorkOrder: Q(pk=code.number), Task: Q(order=code.number)}
        if code.kind == Kind.TASK:
            return {WorkOrder: Q(pk__in=Task.objects.filter(pk=code.number).values("order")), Task: Q(pk=code.number)}
    return {}


def code_of(task: Task) -> str:
    """The task's code, as it is on its ticket but for the revision."""
    return codes.encode(Kind.TASK, task.pk)


def shown_tasks() -> QuerySet[Task]:
    """Tasks with all that an answer shows of one."""
    rows = Task.objects.select_related("order__customer", "step__process", "department", "operator", "line__product", "tool")
    return rows.with_products()


def below(device: Device, prefix: str = "") -> Q:
    """What the department of a handheld, and those below it, have."""
    place = f"{prefix}department"
    return (
        Q(**{place: device.department_id})
        | Q(**{f"{place}__parent": device.department_id})
        | Q(**{f"{place}__parent__parent": device.department_id})
    )


def find(text: str, *, by: Any = None, device: Device | None = None) -> Resolved:
    """What `text` stands for, as `by` sees it, or as a handheld that nobody is signed in on does (`by` is None).

    Raises BadCode, and UnknownCode for what is absent as for what is out of sight, at the same cost: one query, one more for an
    order of which no task is seen.
    """
    try:
        code = read_code(text)
    except BadCode as refusal:
        return _linked(text, refusal, by=by, device=device)
    said = text.strip()
    if code.kind == Kind.TASK:
        task = see_task(code.number, by=by, device=device)
        if task is None:
            raise unknown()
        return Resolved(said, "task", code.revision, order=task.order, task=task)
    if code.kind == Kind.ORDER:
        return _order(said, code.number, code.revision, by=by, device=device)
    if code.kind == Kind.BADGE:
        return Resolved(said, "badge", person=_person(code.number, by) if by else None)
    if code.kind == Kind.COMMAND and code.number in codes.COMMANDS:
        return Resolved(said, "command", command=codes.COMMANDS[code.number])
    if code.kind == Kind.REASON and code.number in codes.REASONS:
        return Resolved(said, "reason", reason=codes.REASONS[code.number])
    raise unknown()


def see_task(pk: int, *, by: Any = None, device: Device | None = None) -> Task | None:
    """The task, if it is in sight. One query."""
    if by is not None:
        return shown_tasks().in_sight_of(by).filter(pk=pk).first()
    if device is None:
        return None
    return shown_tasks().filter(below(device), pk=pk).exclude(status=TaskStatus.DRAFT).first()


def _order(said: str, pk: int, revision: int | None, *, by: Any, device: Device | None) -> Resolved:
    """The order with its open tasks. Who sees one of its tasks knows its number and its customer; an order may be seen without any."""
    tasks = shown_tasks().filter(order=pk)
    if by is not None:
        tasks = tasks.in_sight_of(by)
    else:
        tasks = tasks.filter(below(device) if device else Q(pk__in=[])).exclude(status=TaskStatus.DRAFT)
    # The open ones first: of a long order only they are of use.
    rows = list(tasks.order_by(F("completed_at").asc(nulls_first=True), "step__sequence", "pk")[:50])
    order = rows[0].order if rows else None
    if order is None and by is not None:
        order = WorkOrder.objects.in_sight_of(by).select_related("customer").filter(pk=pk).first()
    if order is None:
        raise unknown()
    return Resolved(said, "order", revision, order=order, tasks=[task for task in rows if task.status in TASK_OPEN])


def _linked(text: str, refusal: BadCode, *, by: Any, device: Device | None) -> Resolved:
    """The order that a customer's own code was linked to; else the refusal stands."""
    link = LinkedCode.objects.filter(code=plain(text)).values_list("order", flat=True).first()
    if link is None:
        raise refusal
    try:
        return _order(text.strip(), link, None, by=by, device=device)
    except UnknownCode:
        raise refusal from None


def plain(text: str) -> str:
    """A customer's code as it is kept and compared: without blanks around it, and one for many inside."""
    return " ".join(text.split())


def _person(number: int, by: Any) -> Any:
    badge = Badge.objects.visible_to(by).live().select_related("user").filter(pk=number).first()
    if badge is None:
        raise unknown()
    return badge.user


# -- what is said about it


def product_of(task: Task) -> str:
    """What the task makes. Needs `shown_tasks`."""
    return task.line.product.name if task.line else getattr(task, "products", "") or ""


def task_json(task: Task, *, by: Any = None) -> dict[str, Any]:
    """What an answer shows of a task; `moves` are the verbs that `by` may use on it now. No query."""
    return {
        "id": task.pk,
        "number": str(task),
        "order_number": task.order.number,
        "product": product_of(task),
        "process": task.step.process.label,
        "status": str(task.status),
        "planned": task.planned,
        "good": task.good,
        "scrap": task.scrap,
        "left": task.left,
        "percent": task.percent,
        "moves": verbs_on(task, by=by),
    }


def order_json(order: WorkOrder, product: str) -> dict[str, Any]:
    return {
        "id": order.pk,
        "number": order.number,
        "customer": order.customer.name if order.customer else "",
        "product": product,
        "status": str(order.status),
        "due_date": order.due_date.isoformat() if order.due_date else None,
        "revision": order.revision,
        "is_late": order.is_late,
    }


def verbs_on(task: Task, *, by: Any) -> list[str]:
    """The verbs of a scan that `by` may use on the task now. No query."""
    return [verb for verb in task_moves(by, task) if verb in VERBS] if by is not None else []


def old_ticket(found: Resolved) -> list[Warned]:
    """Says what changed since the paper was printed, if something did. One query, none for paper that is not old."""
    if found.revision is None or found.order is None or found.revision == found.order.revision % codes.REVISIONS:
        return []
    # The paper carries the revision's last twelve bits.
    behind = (found.order.revision - found.revision) % codes.REVISIONS
    revision = found.order.revision - behind
    said = _("This ticket is of revision %(old)s, the order is at %(new)s. Get a new one.")
    news = what_changed(found.order, found.revision)
    return [Warned("old_ticket", " ".join([said % {"old": revision, "new": found.order.revision}, *news]))]


def warnings_of(found: Resolved, *, misses: bool = True) -> list[Warned]:
    """What to know before touching it. One query for a task that waits to be started (`misses`), one for an old ticket."""
    said = old_ticket(found)
    order, task = found.order, found.task
    if task is not None and task.status in TASK_ENDED:
        said.append(Warned("already_done", _("Task %(number)s is %(status)s.") % {"number": task, "status": task.get_status_display()}))
    elif order is not None and order.status not in ORDER_LIVE:
        text = _("Order %(number)s is %(status)s.") % {"number": order.number, "status": order.get_status_display()}
        said.append(Warned("already_done", text))
    elif order is not None and order.status == OrderStatus.ON_HOLD:
        said.append(Warned("on_hold", _("Order %(number)s is on hold.") % {"number": order.number}))
    elif misses and task is not None and task.status in (TaskStatus.PENDING, TaskStatus.ASSIGNED):
        missing = what_step_misses(task.step, order)
        if missing:
            said.append(Warned("blocked", " ".join(missing)))
    late = task if task is not None else order
    if late is not None and late.is_late:
        days = (timezone.localdate() - late.due_date).days
        said.append(Warned("late", _("It was due on %(due)s, %(days)s days ago.") % {"due": late.due_date, "days": days}))
    return said


# -- an order's code with a verb


def choose(tasks: Sequence[Task], verb: str, *, by: Any, order: WorkOrder) -> Task:
    """The caller's only task of the order on which `verb` is possible now: his own before one that he may take.

    Raises RuleError `ambiguous` or `nothing_to_do` that names the tasks. No query.
    """
    wanted = (verb,) if verb else ("start", "resume")
    able = [task for task in tasks if set(wanted) & set(task_moves(by, task))]
    own = [task for task in able if task.operator_id == by.pk]
    best = own or able
    if len(best) == 1:
        return best[0]
    if not best:
        raise RuleError(
            _("There is nothing for you to do on order %(number)s with this. %(tasks)s") % {"number": order.number, "tasks": _named(tasks)},
            code="nothing_to_do",
        )
    raise RuleError(
        _("Order %(number)s has several tasks for this. Scan the code of one of them: %(tasks)s")
        % {"number": order.number, "tasks": _named(best)},
        code="ambiguous",
    )


def _named(tasks: Sequence[Task]) -> str:
    said = [
        _("%(task)s %(process)s (%(status)s)") % {"task": task, "process": task.step.process.label, "status": task.get_status_display()}
        for task in tasks[:MOST_NAMED]
    ]
    return ", ".join(said) + "." if said else ""


# -- resolve


def resolve(text: str, *, by: Any = None, device: Device | None = None) -> Resolved:
    """What the code stands for and what may be done with it now. Reads only; at most four queries, with that for the rights.

    A handheld that nobody is signed in on sees the orders and tasks of its department and those below, no people, no verbs.
    Raises BadCode and UnknownCode.
    """
    found = find(text, by=by, device=device)
    if found.kind == "order" and by is not None:
        mine = [one for one in found.tasks if one.operator_id == by.pk] or found.tasks
        found.task = mine[0] if len(mine) == 1 else None
    found.verbs = verbs_on(found.task, by=by) if found.task else []
    found.warnings = warnings_of(found)
    return found


def resolved_json(found: Resolved, *, by: Any = None) -> dict[str, Any]:
    """The answer of the API. No query."""
    task = found.task or next(iter(found.tasks), None)
    return {
        "code": found.code,
        "kind": found.kind,
        "ticket_revision": found.revision,
        "order": order_json(found.order, product_of(task) if task else "") if found.order else None,
        "task": task_json(found.task, by=by) if found.task else None,
        "person": {"id": found.person.pk, "name": str(found.person)} if found.person else None,
        "command": found.command,
        "reason": {"code": found.reason, "label": str(ReasonCode(found.reason).label)} if found.reason else None,
        "verbs": found.verbs,
        "warnings": [one.as_json() for one in found.warnings],
    }
