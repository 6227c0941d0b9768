"""What goes on paper, read in a fixed number of queries: printing is recorded here, drawing asks the database nothing more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.accounts.models import Membership
from apps.core.context import acting
from apps.core.errors import InvalidInput, RuleError
from apps.scanning.models import Badge, Paper, Printout
from apps.scanning.printing.sheets import SHEETS, Sheet
from apps.workorders.models import OrderLine, OrderMaterial, Step, Task, WorkOrder

MOST_TICKETS = 100
MOST_LABELS = 500


@dataclass
class StepOnPaper:
    """A step with the tasks that the printer sees; `elsewhere` counts the others."""

    step: Step
    tasks: list[Task] = field(default_factory=list)
    unit: str = ""
    elsewhere: int = 0


@dataclass
class Ticket:
    """One order's ticket. `before` is how often it was printed before, `last` the printout before this one."""

    order: WorkOrder
    host: str
    printed_by: str
    printed_at: datetime
    lines: list[OrderLine] = field(default_factory=list)
    materials: list[OrderMaterial] = field(default_factory=list)
    tools: list[Any] = field(default_factory=list)
    steps: list[StepOnPaper] = field(default_factory=list)
    before: int = 0
    last: Printout | None = None


@dataclass
class LabelRun:
    """Labels to be drawn: `rows` are tasks or badges; the first `start - 1` labels of the sheet are used up."""

    rows: list[Any]
    sheet: Sheet
    start: int
    host: str = ""
    places: dict[int, str] = field(default_factory=dict)


def print_tickets(orders: Iterable[WorkOrder], *, by: Any, host: str) -> list[Ticket]:
    """Record a ticket of each order as printed by `by`, and read what it shows. Ten queries, whatever their number.

    `host` is this site's address, like https://docket.example.com. Raises PermissionDenied without the right to print or for
    an order out of sight, RuleError `too_many` beyond MOST_TICKETS, InvalidInput for none at all.
    """
    wanted = [order.pk for order in orders]
    with acting(by):
        _require_printing(by)
        _require_number(len(wanted), MOST_TICKETS, _("At most %(most)s tickets are printed at once. Select fewer orders."))
        found = WorkOrder.objects.visible_to(by).filter(pk__in=wanted).select_related("customer", "maker").prefetch_related("tools")
        rows = {order.pk: order for order in found}
        if rows.keys() != set(wanted):
            raise PermissionDenied(_("You cannot see this order. Ask for it to be shared with you."))
        now = timezone.now()
        tickets = {pk: Ticket(rows[pk], host, str(by), now, tools=list(rows[pk].tools.all())) for pk in dict.fromkeys(wanted)}
        for line in OrderLine.objects.filter(order__in=rows).select_related("product").order_by("pk"):
            tickets[line.order_id].lines.append(line)
        for material in OrderMaterial.objects.filter(order__in=rows).order_by("pk"):
            tickets[material.order_id].materials.append(material)
        _read_steps(tickets, by)
        _read_printouts(tickets)
        Printout.objects.bulk_create(
            Printout(order=one.order, paper=Paper.TICKET, revision=one.order.revision, printed_by=by, printed_at=now)
            for one in tickets.values()
        )
        return list(tickets.values())


def _read_printouts(tickets: dict[int, Ticket]) -> None:
    """How often each was printed, and when last. Two queries."""
    earlier = Printout.objects.filter(order__in=tickets, paper=Paper.TICKET).order_by().values("order")
    counted = list(earlier.annotate(times=Count("pk"), latest=Max("pk")))
    for row in counted:
        tickets[row["order"]].before = row["times"]
    for printout in Printout.objects.filter(pk__in=[row["latest"] for row in counted]):
        tickets[printout.order_id].last = printout


def _read_steps(tickets: dict[int, Ticket], by: Any) -> None:
    """The steps with the tasks in sight. Three queries."""
    steps: dict[int, StepOnPaper] = {}
    for step in Step.objects.filter(order__in=tickets).select_related("process").order_by("sequence", "pk"):
        steps[step.pk] = StepOnPaper(step)
        tickets[step.order_id].steps.append(steps[step.pk])
    for task in Task.objects.visible_to(by).filter(order__in=tickets).for_list().order_by("pk"):
        steps[task.step_id].tasks.append(task)
    for one in Task.objects.filter(order__in=tickets).order_by("-pk"):
        steps[one.step_id].unit = one.get_unit_display()
        steps[one.step_id].elsewhere += 1
    for one in steps.values():
        one.elsewhere -= len(one.tasks)


def print_labels(tasks: Iterable[Task], *, sheet: str, by: Any, host: str, start: int = 1) -> LabelRun:
    """Record labels of the tasks as printed by `by`, and read what they show. Four queries, whatever their number.

    `sheet` is a key of SHEETS, `start` the first free label on it, from 1. Raises as `print_tickets` does.
    """
    wanted = [task.pk for task in tasks]
    with acting(by):
        _require_printing(by)
        _require_number(len(wanted), MOST_LABELS, _("At most %(most)s labels are printed at once. Select fewer tasks."))
        run = LabelRun([], *_place(sheet, start), host)
        run.rows = list(
            Task.objects.visible_to(by).filter(pk__in=wanted).for_list().with_lines().order_by("order_id", "step__sequence", "pk")
        )
        if {task.pk for task in run.rows} != set(wanted):
            raise PermissionDenied(_("You cannot see this task. Ask for it to be shared with you."))
        orders = {task.order_id: task.order for task in run.rows}
        Printout.objects.bulk_create(
            Printout(order=order, paper=Paper.LABELS, revision=order.revision, printed_by=by) for order in orders.values()
        )
        return run


def print_badges(badges: Iterable[Badge], *, sheet: str, by: Any, start: int = 1) -> LabelRun:
    """Read what badges show: name, departments and code, never a PIN. Three queries, whatever their number.

    Raises PermissionDenied without the right to issue badges or for a badge out of sight, RuleError for a revoked one.
    """
    wanted = [badge.pk for badge in badges]
    with acting(by):
        if not access_of(by).has("scanning.issue_badge"):
            raise PermissionDenied(_("You may not print badges. Ask a supervisor or an administrator."))
        _require_number(len(wanted), MOST_LABELS, _("At most %(most)s badges are printed at once. Select fewer."))
        run = LabelRun([], *_place(sheet, start))
        run.rows = list(Badge.objects.visible_to(by).filter(pk__in=wanted).select_related("user").order_by("user__username", "pk"))
        if {badge.pk for badge in run.rows} != set(wanted):
            raise PermissionDenied(_("You cannot see this badge. Ask an administrator."))
        for badge in run.rows:
            if badge.revoked_at:
                raise RuleError(
                    _("The badge of %(person)s is revoked: nobody can sign in with it. Issue a new one.") % {"person": badge.user},
                    code="revoked",
                )
        people = [badge.user_id for badge in run.rows]
        for place in Membership.objects.filter(user__in=people).select_related("department").order_by("-is_lead", "department__position"):
            run.places[place.user_id] = " · ".join(filter(None, [run.places.get(place.user_id), place.department.label]))
        return run


def _require_printing(by: Any) -> None:
    if not access_of(by).has("workorders.print_workorder"):
        raise PermissionDenied(_("You may not print tickets and labels. Ask a supervisor."))


def _require_number(number: int, most: int, sentence: str) -> None:
    if number > most:
        raise RuleError(sentence % {"most": most}, code="too_many")
    if not number:
        raise InvalidInput(_("Nothing is selected that could be printed."), code="nothing")


def _place(sheet: str, start: int) -> tuple[Sheet, int]:
    if sheet not in SHEETS:
        raise InvalidInput(_("There is no such sheet. Choose one from the list."), field="sheet", code="unknown")
    if not 1 <= start <= SHEETS[sheet].count:
        raise InvalidInput(
            _("This sheet has %(count)s labels. Enter a position from 1 to %(count)s.") % {"count": SHEETS[sheet].count},
            field="start",
            code="bad_number",
        )
    return SHEETS[sheet], start


def stale_sentence(order: WorkOrder, last: Printout | None) -> str:
    """What the order's page says where its last ticket is of an older revision; "" where it is not, or never printed."""
    if last is None or last.revision == order.revision:
        return ""
    return _("The last job ticket was printed of revision %(printed)s; the order is at revision %(now)s. Print a new one.") % {
        "printed": last.revision,
        "now": order.revision,
    }


def order_tasks(order: WorkOrder, *, by: Any) -> Sequence[Task]:
    """The order's tasks that `by` sees and that are not cancelled, for their labels. One query."""
    return list(Task.objects.visible_to(by).filter(order=order).exclude(status="cancelled"))
