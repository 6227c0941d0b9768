"""The job ticket, or docket: the paper that goes with the job, and that works without a network too."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, gettext_lazy, ngettext, override
from django.utils.translation import gettext as _

from apps.scanning.codes import COMMANDS, REASONS, Kind, address, encode
from apps.scanning.printing.flow import BOTTOM, LEFT, RIGHT, WIDTH, Column, Flow
from apps.scanning.printing.pen import Pen
from apps.scanning.printing.reading import StepOnPaper, Ticket, print_tickets
from apps.scanning.printing.sheets import A4
from apps.scanning.printing.text import fit, height_of, largest, wrap
from apps.workorders.models import PrintingType, ReasonCode, Task, WorkOrder
from apps.workorders.states import OrderStatus, Priority, TaskStatus
from apps.workorders.templatetags.docket_pages import made_for, plain_amount

TOP = 10.0
QR_SIDE, TASK_QR = 31.0, 20.0
TASK_HEIGHT = 23.0
MOST_LINES = 120  # of instructions; a page and a half, and nobody reads more on paper
LANGUAGES = ("en", "zh-hans")
# The commands of the strip.
WORDS = {
    "start": gettext_lazy("Start"),
    "pause": gettext_lazy("Pause"),
    "complete": gettext_lazy("Complete"),
    "undo": gettext_lazy("Undo"),
}
# What is said across the top where nothing is to be worked on. A ticket of an order that waits for approval is printed all
# the same: its folder goes round with it. Its codes are refused until then, and later tell when the order was changed.
MARKS = {
    OrderStatus.DRAFT: gettext_lazy("DRAFT, NOT APPROVED. Do not start work."),
    OrderStatus.SUBMITTED: gettext_lazy("NOT APPROVED YET. Do not start work."),
    OrderStatus.REJECTED: gettext_lazy("REJECTED, NOT APPROVED. Do not start work."),
    OrderStatus.ON_HOLD: gettext_lazy("ON HOLD. Ask before you work on it."),
    OrderStatus.CANCELLED: gettext_lazy("CANCELLED. Do not work on it."),
    OrderStatus.COMPLETED: gettext_lazy("COMPLETED. Nothing is left to do."),
}


def ticket_pdf(orders: Iterable[WorkOrder], *, by: Any, host: str) -> bytes:
    """Record the tickets of `orders` as printed by `by` and draw them, in the active language. See `print_tickets`."""
    return draw_tickets(print_tickets(orders, by=by, host=host))


def draw_tickets(tickets: list[Ticket]) -> bytes:
    """The tickets as one PDF, each with page numbers of its own. No query."""
    title = tickets[0].order.number if len(tickets) == 1 else _("%(count)s job tickets") % {"count": len(tickets)}
    pen = Pen(A4, title=title)
    for ticket in tickets:
        _lay_out(ticket).draw(pen, partial(_foot, ticket))
    return pen.bytes()


def _lay_out(ticket: Ticket) -> Flow:
    flow = Flow(partial(_head, ticket))
    _figures(flow, ticket.order)
    _products(flow, ticket)
    _materials(flow, ticket)
    _tools(flow, ticket)
    order = ticket.order
    if order.instructions.strip():
        lines = wrap(order.instructions, 11, WIDTH - 2, most=MOST_LINES)
        flow.paragraphs(_("Instructions"), lines)
    _steps(flow, ticket)
    _strip(flow)
    return flow


# -- every page


def _head(ticket: Ticket, flow: Flow) -> None:
    """The first page begins with everything about the order, the others with what tells whose page it is."""
    order, code = ticket.order, encode(Kind.ORDER_PAPER, ticket.order.pk, ticket.order.revision)
    is_first = len(flow.pages) == 1
    side = QR_SIDE if is_first else 17.0
    flow.put("qr", RIGHT - side, TOP - 1.5, side, address(code, ticket.host))
    if is_first:
        room = WIDTH - side - 3
        flow.put("text", LEFT, TOP, _("Job ticket"), 11, grey=0.25)
        size = largest(order.number, 32, 76, bold=True)
        flow.put("text", LEFT, TOP + 4.4, order.number, size, bold=True)
        flow.put("bars", LEFT + 78, TOP + 1, room - 78, 12, code)
        flow.put("text", LEFT + 78 + (room - 78) / 2, TOP + 13.6, code, 11, bold=True, align="centre", spacing=1.5)
        customer = " · ".join(filter(None, [str(order.customer or _("no customer")), order.external_number]))
        flow.put("lines", LEFT, TOP + 19, wrap(customer, 14, room, bold=True, most=2), 14, bold=True)
        flow.y = TOP + QR_SIDE + 1
    else:
        flow.put("text", LEFT, TOP, order.number, 17, bold=True)
        about = [str(order.customer or _("no customer")), _("revision %(number)s") % {"number": order.revision}]
        if order.due_date:
            about.append(_("due %(date)s") % {"date": _day(order.due_date)})
        flow.put("text", LEFT, TOP + 8.5, fit(" · ".join(about), 10.5, WIDTH - side - 4), 10.5)
        flow.y = TOP + 15.5
    _bands(flow, ticket)


def _bands(flow: Flow, ticket: Ticket) -> None:
    """White on black: what the paper is not good for, and that there is another one about."""
    sentences = [str(MARKS[ticket.order.status])] if ticket.order.status in MARKS else []
    if ticket.before and len(flow.pages) == 1 and ticket.last:
        when = date_format(timezone.localtime(ticket.last.printed_at), "Y-m-d H:i")
        sentences.append(
            _("REPRINT %(count)s. Destroy the ticket of %(when)s (revision %(revision)s).")
            % {"count": ticket.before, "when": when, "revision": ticket.last.revision}
        )
    for number, sentence in enumerate(sentences):
        lines = wrap(sentence, 13, WIDTH - 6, bold=True)
        height = height_of(len(lines), 13) + 2.4
        is_mark = ticket.order.status in MARKS and number == 0
        flow.put("box", LEFT, flow.y, WIDTH, height, fill=0 if is_mark else None, line=0.8)
        flow.put("lines", LEFT + WIDTH / 2, flow.y + 1.1, lines, 13, bold=True, align="centre", grey=1 if is_mark else 0)
        flow.y += height + 1.6


def _foot(ticket: Ticket, pen: Pen, number: int, count: int) -> None:
    order = ticket.order
    pen.rule(LEFT, 284.5, WIDTH, line=0.2)
    when = date_format(timezone.localtime(ticket.printed_at), "Y-m-d H:i")
    printed = _("printed %(when)s by %(person)s") % {"when": when, "person": ticket.printed_by}
    revision = _("revision %(number)s") % {"number": order.revision}
    reprint = [_("REPRINT %(count)s") % {"count": ticket.before}] if ticket.before else []
    pen.text(LEFT, 285.6, fit(" · ".join([order.number, revision, *reprint, printed]), 9.5, WIDTH - 30), 9.5)
    pen.text(RIGHT, 285.2, _("%(page)s of %(count)s") % {"page": number, "count": count}, 11, bold=True, align="right")


# -- the job


def _figures(flow: Flow, order: WorkOrder) -> None:
    """The numbers that are read from across the table: due, priority, runs; beside them who and when."""
    y, height = flow.y, 17.0
    is_urgent = order.priority >= Priority.HIGH
    runs = _("%(run)s and %(extra)s extra") % {"run": _number(order.run_quantity), "extra": _number(order.allowance)}
    cells = [
        (52.0, _("Due"), _day(order.due_date) if order.due_date else "–", "", False),
        (38.0, _("Priority"), str(order.get_priority_display()), "", is_urgent),
        (46.0, _("Press runs"), _number(order.planned_runs), runs if order.allowance else "", False),
    ]
    x = LEFT
    for width, title, value, below, is_dark in cells:
        ink = 1 if is_dark else 0
        flow.put("box", x, y, width, height, fill=0 if is_dark else None, line=0.5)
        flow.put("text", x + 2, y + 1, title, 8.5, grey=ink or 0.25)
        size = largest(value, 23 if not below else 19, width - 4, bold=True)
        flow.put("text", x + 2, y + 4.6 + (23 - size) * 0.12, value, size, bold=True, grey=ink)
        if below:
            flow.put("text", x + 2, y + 12.4, fit(below, 8.5, width - 4), 8.5, grey=ink)
        x += width
    width = RIGHT - x
    flow.put("box", x, y, width, height, line=0.5)
    facts = [
        (_("Ordered on"), _day(order.order_date)),
        (_("Maker"), str(order.maker or "–")),
        (_("Status"), str(order.get_status_display())),
        (_("Revision"), str(order.revision)),
    ]
    for number, (title, value) in enumerate(facts):
        at = y + 0.9 + number * 3.9
        flow.put("text", x + 2, at, fit(title, 8, 16), 8, grey=0.25)
        flow.put("text", x + 19, at - 0.2, fit(value, 9, width - 21, bold=True), 9, bold=True)
    flow.y = y + height + 2.5
    about = [str(order.get_printing_type_display())] if order.printing_type != PrintingType.NONE else []
    about += [order.colours] if order.colours else []
    if about or order.ups > 1:
        about.append(ngettext("%(count)s piece per sheet", "%(count)s pieces per sheet", order.ups) % {"count": order.ups})
        flow.put("text", LEFT, flow.y, _("Printing"), 8.5, grey=0.25)
        lines = wrap(" · ".join(about), 13, WIDTH - 22, bold=True, most=3)
        flow.put("lines", LEFT + 20, flow.y - 0.7, lines, 13, bold=True)
        flow.y += height_of(len(lines), 13) + 1.5


def _products(flow: Flow, ticket: Ticket) -> None:
    columns = [
        Column(_("Product"), 66, bold=True),
        Column(_("Quantity"), 34, "right", bold=True),
        Column(_("Specification"), 44),
        Column(_("Notes"), 42),
    ]
    rows = [
        [
            f"{line.product.name} ({line.product.code})",
            f"{_number(line.quantity)} {line.get_unit_display() or line.product.get_unit_display()}",
            line.specification or line.product.specification,
            line.notes,
        ]
        for line in ticket.lines
    ]
    if rows:
        flow.table(_("Products"), columns, rows)


def _materials(flow: Flow, ticket: Ticket) -> None:
    columns = [Column(_("Material"), 84, bold=True), Column(_("Amount"), 34, "right", bold=True), Column("", 26), Column("", 42)]
    rows = [
        [
            str(one),
            f"{plain_amount(one.amount)} {one.get_unit_display()}" if one.amount is not None else "–",
            _("to be cut") if one.needs_cutting else "",
            partial(_ticked, flow, bool(one.received_at), _("received") if one.received_at else _("not received"), one.received_at),
        ]
        for one in ticket.materials
    ]
    if rows:
        flow.table(_("Materials"), columns, rows)


def _tools(flow: Flow, ticket: Ticket) -> None:
    columns = [Column(_("Tool"), 60, bold=True), Column(_("Kind"), 34), Column(_("Name"), 50), Column("", 42)]
    rows = [
        [
            str(tool),
            str(tool.get_kind_display()),
            tool.name,
            partial(_ticked, flow, bool(tool.confirmed_at), _("confirmed") if tool.confirmed_at else _("not confirmed"), tool.confirmed_at),
        ]
        for tool in ticket.tools
    ]
    if rows:
        flow.table(_("Tools"), columns, rows)


def _ticked(flow: Flow, is_done: bool, words: str, at: Any, x: float, y: float) -> None:
    day = f" {_day(timezone.localtime(at))}" if at else ""
    flow.put("tick", x, y + 0.4, 3.4, is_done=is_done)
    flow.put("text", x + 5, y + 0.1, fit(words + day, 9.5, 36, bold=not is_done), 9.5, bold=not is_done)


# -- the steps and their tasks


def _steps(flow: Flow, ticket: Ticket) -> None:
    if not ticket.steps:
        return
    flow.section(_("Steps"), height=12 + TASK_HEIGHT)
    for one in ticket.steps:
        _step(flow, ticket, one)
    flow.end_section(4)


def _step(flow: Flow, ticket: Ticket, one: StepOnPaper) -> None:
    flow.make_room(8 + (TASK_HEIGHT if one.tasks else 6))

    def bar(words: str) -> None:
        planned = _("planned %(quantity)s %(unit)s") % {"quantity": _number(one.step.planned), "unit": one.unit}
        flow.put("box", LEFT, flow.y + 0.8, WIDTH, 7, fill=0.88, line=0)
        flow.put("text", LEFT + 2, flow.y + 1.3, fit(words, 13, 116, bold=True), 13, bold=True)
        flow.put("text", RIGHT - 2, flow.y + 1.5, fit(planned, 12, 62, bold=True), 12, bold=True, align="right")
        flow.y += 8

    name = f"{one.step.sequence}  {one.step.process.label}"
    bar(name)
    for task in one.tasks:
        if flow.y + TASK_HEIGHT > BOTTOM:
            flow.turn()
            bar(f"{name} …")
        _task(flow, ticket, task)
    if one.elsewhere:
        flow.make_room(6)
        text = ngettext(
            "%(count)s task of another department is not on this ticket.",
            "%(count)s tasks of other departments are not on this ticket.",
            one.elsewhere,
        )
        flow.put("text", LEFT + 2, flow.y + 0.6, text % {"count": one.elsewhere}, 9.5)
        flow.y += 6


def _task(flow: Flow, ticket: Ticket, task: Task) -> None:
    """One row: what to do, its codes far enough from the next row's, and boxes for the pen."""
    y, code = flow.y, encode(Kind.TASK_PAPER, task.pk, ticket.order.revision)
    is_off = task.status == TaskStatus.CANCELLED
    x, room = LEFT + TASK_QR + 2, 59.0
    flow.put("text", x, y + 0.8, str(task), 14, bold=True)
    amount = f"{_number(task.planned)} {task.get_unit_display()}"
    flow.put("text", x + room, y + 1.2, fit(amount, 12, room - 18, bold=True), 12, bold=True, align="right")
    what = wrap(made_for(task), 9.5, room, most=2) if made_for(task) else []
    who = " · ".join(filter(None, [task.department.label if task.department else "", str(task.operator or "")]))
    if task.status in (TaskStatus.COMPLETED, TaskStatus.CANCELLED):
        who = " · ".join([str(task.get_status_display()).upper(), who])
    own = task.instructions.strip() if task.instructions.strip() != ticket.order.instructions.strip() else ""
    lines = [*what, *(wrap(who or _("no department"), 9.5, room, most=1)), *(wrap(own, 9.5, room, most=1) if own else [])]
    flow.put("lines", x, y + 7, lines, 9.5)
    if not is_off:
        flow.put("qr", LEFT, y + 0.9, TASK_QR, address(code, ticket.host))
        flow.put("bars", LEFT + 83, y + 2, 54, 11.5, code)
        flow.put("text", LEFT + 83 + 27, y + 14, code, 10.5, bold=True, align="centre", spacing=1.2)
        _boxes(flow, task, y + 1.6)
    flow.y += TASK_HEIGHT
    flow.put("rule", LEFT, flow.y, WIDTH, line=0.12, grey=0.45)


def _boxes(flow: Flow, task: Task, y: float) -> None:
    x = LEFT + 138.5
    for title, width, number in ((_("Good"), 15.5, task.good), (_("Scrap"), 12.0, task.scrap), (_("Signature"), 20.0, 0)):
        flow.put("box", x, y, width, 19, line=0.3)
        flow.put("text", x + 1, y + 0.5, fit(title, 7.5, width - 2), 7.5, grey=0.25)
        if number:  # what is counted already, small, so that the pen writes the sum below
            flow.put("text", x + 1, y + 3.7, fit(_number(number), 9, width - 2, bold=True), 9, bold=True)
        x += width


# -- the strip


def _strip(flow: Flow) -> None:
    """Command and reason codes, so that a scanner that can only beep does everything, in both languages of the floor."""
    _codes(flow, _("Commands"), Kind.COMMAND, {number: WORDS[verb] for number, verb in COMMANDS.items() if verb in WORDS}, columns=4)
    _codes(flow, _("Reasons"), Kind.REASON, {number: ReasonCode(name).label for number, name in REASONS.items()}, columns=3)


def _codes(flow: Flow, title: str, kind: Kind, words: dict[int, Any], *, columns: int) -> None:
    height, width = 22.0, WIDTH / columns
    flow.section(title, height=7 + height)
    for place, (number, label) in enumerate(words.items()):
        column = place % columns
        if column == 0 and place:
            flow.y += height
        if column == 0:
            flow.make_room(height)
        x, y, code = LEFT + column * width, flow.y + 0.6, encode(kind, number)
        first, second = _in_both(label)
        flow.put("qr", x - 1, y + 1.5, 18, code)
        flow.put("text", x + 18, y + 0.6, fit(first, 10.5, width - 19, bold=True), 10.5, bold=True)
        flow.put("text", x + 18, y + 5, fit(second, 8.5, width - 19), 8.5)
        flow.put("bars", x + 15, y + 9, width - 19, 7, code)
        flow.put("text", x + 15 + (width - 19) / 2, y + 16.2, code, 8, align="centre", spacing=1)
    flow.y += height
    flow.end_section(2)


def _in_both(label: Any) -> tuple[str, str]:
    """A label in the reader's language, then in the floor's other one."""
    own = get_language() or LANGUAGES[0]
    mine = str(label)
    others = []
    for language in LANGUAGES:
        if language[:2] != own[:2]:
            with override(language):
                others.append(str(label))
    return mine, " · ".join(others)


def _number(number: int) -> str:
    return number_format(number, force_grouping=True)


def _day(day: Any) -> str:
    return date_format(day, "Y-m-d")
