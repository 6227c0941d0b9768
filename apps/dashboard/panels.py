"""Which panels the home page shows to whom, and what their rows say."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from apps.accounts.access import Access, access_of
from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.catalog.models import Customer
from apps.dashboard import figures
from apps.dashboard.links import add_to, list_of, may_open, page_of, verb_on
from apps.dashboard.navigation import INBOX, LATE, LATE_TASKS, MY_QUEUE, MY_TASKS, UNDISPATCHED, WAITING
from apps.imports.models import ImportRun
from apps.notices.models import Notice
from apps.scanning.models import Scan
from apps.workorders.loads import Load, loads
from apps.workorders.models import ReasonCode, Task, WorkOrder
from apps.workorders.moves import task_moves
from apps.workorders.states import OrderStatus, Priority, TaskStatus

MOST = 6  # rows of a panel; the rest is one click away
# The next moves on a task that the home page offers as buttons.
VERBS = {
    "start": gettext_lazy("Start"),
    "resume": gettext_lazy("Resume"),
    "report": gettext_lazy("Report"),
    "complete": gettext_lazy("Complete"),
    "claim": gettext_lazy("Claim"),
    "assign": gettext_lazy("Assign"),
}


@dataclass(frozen=True)
class Card:
    """A number that links to the list that it counts. `tone` colours it when it is not 0."""

    label: str
    count: int
    url: str
    icon: str
    tone: str = ""

    @property
    def text(self) -> str:
        number = number_format(min(self.count, figures.MOST), force_grouping=True)
        return f"{number}+" if self.count >= figures.MOST else number


@dataclass(frozen=True)
class Row:
    """One line of a panel. `labels` are (word, tone); `move` is what to do about it, as (word, address), with `dialog` in one.

    `bar` is a load in per cent of the largest one, `percent` how much is done; `notice` is the pk of an unread notice.
    """

    title: str
    url: str = ""
    detail: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    percent: int | None = None
    bar: int | None = None
    figure: str = ""
    move: tuple[str, str] | None = None
    dialog: bool = False
    notice: int | None = None


@dataclass(frozen=True)
class Panel:
    """A titled list. `empty` says what to do when there is nothing; `more` is the address of the whole list."""

    key: str
    title: str
    icon: str
    rows: list[Row]
    empty: str
    more: str = ""
    has_more: bool = False
    tone: str = ""
    wide: bool = True
    action: tuple[str, str] | None = None
    groups: list[tuple[str, list[Row]]] = field(default_factory=list)


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback for the admin's index."""
    return context | {"title": _("Home"), "subtitle": None} | content(request)


def content(request: HttpRequest) -> dict[str, Any]:
    """What the panels' template needs. At most nineteen queries, the same for few and many rows; one more while late scans wait."""
    user = request.user
    # The stamp is taken first: what happens while the panels are read shows up with the next look.
    stamp, counts = figures.cards(user)
    panels = [panel for build in BUILDERS if (panel := build(user, access_of(user)))]
    if counts.get("inbox"):
        panels.insert(0, late_scans(user))
    return {
        "stamp": stamp,
        "cards": cards(user, counts),
        "main_panels": [panel for panel in panels if panel.wide],
        "side_panels": [panel for panel in panels if not panel.wide],
        "shortcuts": shortcuts(user),
        "today": timezone.localdate(),
    }


def cards(user: Any, counts: dict[str, int]) -> list[Card]:
    """The site's numbers, as far as they are the user's business; each links to what it counts."""
    kinds: dict[str, tuple[type, str, dict, str, str]] = {
        "mine": (Task, _("My tasks"), MY_TASKS, "assignment_ind", ""),
        "queue": (Task, _("To claim"), MY_QUEUE, "front_hand", "info"),
        "waiting": (WorkOrder, _("Waiting for your approval"), WAITING, "approval", "warning"),
        "drafts": (WorkOrder, _("For you to complete"), {"to_complete": "yes"}, "edit_note", "info"),
        "late": (WorkOrder, _("Late orders"), LATE, "running_with_errors", "danger"),
        "held": (WorkOrder, _("On hold"), {"status__exact": OrderStatus.ON_HOLD}, "pause_circle", "warning"),
        "approved": (WorkOrder, _("Approved, not begun"), {"status__exact": OrderStatus.APPROVED}, "order_approve", ""),
        "running": (WorkOrder, _("In production"), {"status__exact": OrderStatus.IN_PROGRESS}, "conveyor_belt", ""),
        "tasks": (Task, _("Open tasks"), {"open": "yes"}, "checklist", ""),
        "late_tasks": (Task, _("Late tasks"), LATE_TASKS, "alarm", "danger"),
        "undispatched": (Task, _("Undispatched"), UNDISPATCHED, "move_to_inbox", "warning"),
        "inbox": (Scan, _("Late scans"), INBOX, "inbox_customize", "warning"),
        "people": (User, _("Active people"), {"is_active__exact": 1}, "group", ""),
        "without_role": (User, _("Without a role"), {"role": "none", "is_active__exact": 1}, "no_accounts", "warning"),
    }
    made = []
    for name, number in counts.items():
        model, label, filters, icon, tone = kinds[name]
        if may_open(user, model):
            made.append(Card(label, number, list_of(model, **filters), icon, tone if number else ""))
    return made


def shortcuts(user: Any) -> list[tuple[str, str, str]]:
    """(word, address, icon) of what people start from here."""
    access = access_of(user)
    found = []
    if access.has("workorders.add_workorder") and may_open(user, WorkOrder):
        found.append((_("New order"), add_to(WorkOrder), "add"))
    if access.has("imports.add_importrun") and may_open(user, ImportRun):
        found.append((_("Import orders or catalogue"), add_to(ImportRun), "upload_file"))
    if access.has("accounts.add_user") and may_open(user, User):
        found.append((_("New user"), add_to(User), "person_add"))
    if access.has("catalog.add_customer") and may_open(user, Customer):
        found.append((_("New customer"), add_to(Customer), "storefront"))
    return found


def _due(thing: WorkOrder | Task) -> tuple[tuple[str, str], ...]:
    """The due date in words and colour."""
    if thing.due_date is None:
        return ()
    days = (timezone.localdate() - thing.due_date).days
    if thing.is_late:
        return ((ngettext("%(days)s day late", "%(days)s days late", days) % {"days": days}, "danger"),)
    if days == 0:
        return ((_("due today"), "warning"),)
    return ((_("due %(date)s") % {"date": date_format(thing.due_date, "SHORT_DATE_FORMAT")}, ""),)


def _urgency(thing: WorkOrder | Task) -> tuple[tuple[str, str], ...]:
    """High and urgent priority, as a label."""
    if thing.priority < Priority.HIGH:
        return ()
    return ((thing.get_priority_display(), "danger" if thing.priority == Priority.URGENT else "warning"),)


def _customer(order: WorkOrder) -> str:
    return str(order.customer) if order.customer else _("no customer yet")


def _order(order: WorkOrder, detail: str = "", labels: tuple = (), move: str = "") -> Row:
    url = page_of(WorkOrder, order.pk)
    return Row(
        title=f"{order.number} · {_customer(order)}",
        url=url,
        detail=detail,
        labels=(*labels, *_urgency(order), *_due(order)),
        move=(move, url) if move else None,
    )


def _amount(quantity: int) -> str:
    return number_format(quantity, force_grouping=True)


def _contents(order: WorkOrder) -> str:
    """What is in the order: the first lines with their quantities."""
    lines = list(order.lines.all())
    said = [
        f"{line.product.name} × {_amount(line.quantity)} {line.get_unit_display() or line.product.get_unit_display()}" for line in lines[:3]
    ]
    if len(lines) > 3:
        said.append(_("and %(count)s more") % {"count": len(lines) - 3})
    if order.maker:
        said.append(_("by %(name)s") % {"name": order.maker})
    return " · ".join(said) or _("no product line")


def _task(task: Task, detail: str = "", labels: tuple = (), verb: str = "") -> Row:
    """A task, with the button of `verb` if there is one."""
    url = page_of(Task, task.pk)
    place = [task.department.label] if task.department else []
    made = f"{_amount(task.good)} / {_amount(task.planned)} {task.get_unit_display()}"
    return Row(
        title=f"{task} · {task.step.process.label} · {task.order.number}",
        url=url,
        detail=detail or " · ".join([str(task.order.customer or ""), *place, made]).strip(" ·"),
        labels=(*labels, *_urgency(task), *_due(task)),
        percent=task.percent or None,
        move=(str(VERBS[verb]), verb_on(Task, verb, task.pk)) if verb else None,
        dialog=bool(verb),
    )


def waiting(user: Any, access: Access) -> Panel | None:
    """What waits for the user to decide, complete, dispatch or claim."""
    groups: list[tuple[str, list[Row]]] = []
    more, has_more = "", False
    if access.has("workorders.approve_workorder") and may_open(user, WorkOrder):
        orders, has_more = figures.shortest(figures.orders_to_decide(user), MOST)
        rows = [_order(order, _contents(order), move=_("Decide")) for order in orders]
        groups.append((_("To approve or reject"), rows))
        more = list_of(WorkOrder, **WAITING)
    if access.has("workorders.submit_workorder") and may_open(user, WorkOrder):
        orders, _more = figures.shortest(figures.orders_to_complete(user), MOST)
        groups.append((_("To complete and submit"), [_unfinished(order) for order in orders]))
        has_more = has_more or _more
        more = more or list_of(WorkOrder, to_complete="yes")
    if access.has("workorders.dispatch_task") and access.sees_all and may_open(user, Task):
        tasks, _more = figures.shortest(figures.undispatched_tasks(user).for_list(), MOST)
        groups.append((_("No department yet"), [_task(task, verb="assign") for task in tasks]))
        more, has_more = more or list_of(Task, **UNDISPATCHED), has_more or _more
    if access.is_(Role.OPERATOR) and may_open(user, Task):
        tasks, _more = figures.shortest(figures.queue_of(user).for_list(), MOST)
        groups.append((_("To claim"), [_task(task, verb="claim") for task in tasks]))
        more, has_more = more or list_of(Task, **MY_QUEUE), has_more or _more
    if not groups:
        return None
    groups = [(title, rows) for title, rows in groups if rows]
    return Panel(
        "waiting", _("Waiting for you"), "inbox", [row for _title, rows in groups for row in rows],
        _("Nothing waits for you. New orders and tasks appear here by themselves."),
        more, has_more, "warning", groups=groups,
    )  # fmt: skip


def _unfinished(order: WorkOrder) -> Row:
    label = (order.get_status_display(), "danger" if order.status == OrderStatus.REJECTED else "info")
    imported = ((_("imported"), ""),) if order.import_run_id else ()
    detail = _("Rejected: %(reason)s") % {"reason": order.rejection} if order.rejection and order.status == OrderStatus.REJECTED else ""
    return _order(order, detail, (label, *imported), pgettext("order", "Complete"))


def late_scans(user: Any) -> Panel:
    """Scans that came after their task was closed, for who decides about them."""
    found, has_more = figures.shortest(figures.late_scans(user), MOST)
    rows = [
        Row(
            title=f"{scan.task or scan.code} · {scan.task.step.process.label if scan.task else ''} · {scan.order or ''}".strip(" ·"),
            url=page_of(Scan, scan.pk),
            detail=_("%(person)s, %(when)s") % {"person": scan.user, "when": when(scan.happened_at)},
            labels=((_("%(good)s good, %(scrap)s scrap") % {"good": _amount(scan.quantity), "scrap": _amount(scan.scrap)}, "warning"),),
            move=(_("Decide"), page_of(Scan, scan.pk)),
        )
        for scan in found
    ]
    empty = _("No scan came late.")
    return Panel("inbox", _("Scans that came late"), "inbox_customize", rows, empty, list_of(Scan, **INBOX), has_more, "warning")


def my_tasks(user: Any, access: Access) -> Panel | None:
    """What an operator has in hand, with the next move."""
    if not access.is_(Role.OPERATOR) or not may_open(user, Task):
        return None
    tasks, has_more = figures.shortest(figures.tasks_of(user).for_list(), MOST)
    rows = []
    for task in tasks:
        verb = next((verb for verb in task_moves(user, task) if verb in VERBS), "")
        tone = {TaskStatus.IN_PROGRESS: "success", TaskStatus.PAUSED: "warning"}.get(TaskStatus(task.status), "info")
        rows.append(_task(task, labels=((task.get_status_display(), tone),), verb=verb))
    empty = _("You have no task in hand. Claim one from the queue.")
    return Panel("mine", _("My tasks"), "assignment_ind", rows, empty, list_of(Task, **MY_TASKS), has_more)


def late(user: Any, access: Access) -> Panel | None:
    """Orders past their day; for the floor, its tasks."""
    if access.has("workorders.view_workorder") and may_open(user, WorkOrder):
        orders, has_more = figures.shortest(figures.late_orders(user), MOST)
        rows = [_order(order, labels=((order.get_status_display(), ""),)) for order in orders]
        return Panel("late", _("Late"), "running_with_errors", rows, _("No order is late."), list_of(WorkOrder, **LATE), has_more, "danger")
    if access.has("workorders.view_task") and may_open(user, Task):
        tasks, has_more = figures.shortest(figures.late_tasks(user).for_list(), MOST)
        rows = [_task(task) for task in tasks]
        return Panel("late", _("Late"), "running_with_errors", rows, _("No task is late."), list_of(Task, **LATE_TASKS), has_more, "danger")
    return None


def blocked(user: Any, access: Access) -> Panel | None:
    """What cannot go on, each with its reason by name."""
    if not access.has("workorders.view_task") or not may_open(user, Task):
        return None
    tasks, has_more = figures.shortest(figures.blocked_tasks(user).for_list(), MOST, keys_first=False)
    words = {TaskStatus.PAUSED: _("paused")}
    rows = [_task(task, _stopped_by(task), ((words.get(TaskStatus(task.status), _("blocked")), "danger"),)) for task in tasks]
    if access.has("workorders.view_workorder") and may_open(user, WorkOrder):
        orders, more_held = figures.shortest(figures.held_orders(user), MOST)
        has_more = has_more or more_held
        rows += [_order(order, order.hold_reason or "", ((_("on hold"), "danger"),)) for order in orders]
    return Panel(
        "blocked", _("Blocked"), "block", rows, _("Nothing is blocked: tools are confirmed, material is here."),
        list_of(Task, status__exact=TaskStatus.PAUSED), has_more, "danger",
    )  # fmt: skip


def _stopped_by(task: Task) -> str:
    """The reason, in the words of the readiness rule."""
    said = []
    if task.status == TaskStatus.PAUSED:
        code = dict(ReasonCode.choices).get(task.paused_code or "", "")
        told = " · ".join(str(part) for part in (code, task.paused_reason) if part)
        said.append(_("Paused: %(reason)s") % {"reason": told or _("no reason given")})
    else:
        kind = task.step.process.get_needs_tool_display()
        if task.lacks_tool:
            said.append(_("No %(kind)s is attached to the order.") % {"kind": kind})
        if task.unconfirmed and kind:
            said.append(_("%(kind)s %(tool)s is not confirmed.") % {"kind": kind, "tool": task.unconfirmed})
        if task.unreceived:
            said.append(_("Material %(material)s is not received.") % {"material": task.unreceived})
    return " ".join(said)


def load(user: Any, access: Access) -> Panel | None:
    """Open work by department and by person."""
    if not (access.leads or access.sees_all) or not may_open(user, Task):
        return None
    departments, people = loads(user)
    groups = [
        (_("By department"), [_loaded(one, {"department": one.pk} if one.pk else UNDISPATCHED) for one in departments[:MOST]]),
        (_("By person"), [_loaded(one, {"operator__id__exact": one.pk}) for one in people[:MOST]]),
    ]
    groups = [(title, rows) for title, rows in groups if rows]
    rows = [row for _title, rows in groups for row in rows]
    empty = _("No open task. Approve an order and its tasks appear here.")
    return Panel("load", _("Load"), "bar_chart", rows, empty, list_of(Task, open="yes"), wide=False, groups=groups)


def _loaded(one: Load, filters: dict[str, Any]) -> Row:
    hours = number_format(one.minutes / 60, 1, force_grouping=True)
    detail = ngettext("%(count)s open task", "%(count)s open tasks", one.tasks) % {"count": one.tasks}
    url = list_of(Task, open="yes", **filters)
    return Row(title=one.label or _("no department"), url=url, detail=detail, bar=one.share, figure=_("%(hours)s h") % {"hours": hours})


def notices(user: Any, access: Access) -> Panel | None:
    if not may_open(user, Notice):
        return None
    found, has_more = figures.shortest(figures.unread_notices(user), MOST)
    rows = [Row(title=str(notice), detail=when(notice.created_at), notice=notice.pk) for notice in found]
    return Panel("notices", _("Notices"), "notifications", rows, _("No unread notice."), list_of(Notice), has_more, wide=False)


def edits(user: Any, access: Access) -> Panel | None:
    found = [edit for edit in figures.recent_edits(user, MOST * 2) if may_open(user, edit.model)][:MOST]
    if not found and not access.roles:
        return None
    rows = [_edited(edit) for edit in found]
    return Panel("edits", _("Your recent changes"), "history", rows, _("What you change appears here."), wide=False)


def _edited(edit: figures.Edit) -> Row:
    """What was changed and when; a task with the status that it got."""
    title, detail = edit.label or f"{edit.model._meta.verbose_name} {edit.pk}", [str(edit.model._meta.verbose_name), when(edit.at)]
    if edit.model is Task:
        title, detail = f"T{edit.pk}", [detail[0], str(TaskStatus(edit.label).label), detail[1]]
    labels = ((_("new"), "info"),) if edit.is_new else ()
    return Row(title=title, url=page_of(edit.model, edit.pk), detail=" · ".join(detail), labels=labels)


def when(at: Any) -> str:
    """The time of today, or the day and the time."""
    local = timezone.localtime(at)
    if local.date() == timezone.localdate():
        return _("today %(time)s") % {"time": date_format(local, "H:i")}
    return date_format(local, "SHORT_DATETIME_FORMAT")


BUILDERS: list[Callable[[Any, Access], Panel | None]] = [my_tasks, waiting, late, blocked, load, notices, edits]
