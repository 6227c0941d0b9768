"""Labels of tasks, for pallets and plates, and badges of people: on sheets of labels or on a roll."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from apps.scanning.codes import Kind, address, encode
from apps.scanning.models import Badge, Paper
from apps.scanning.printing.pen import Pen
from apps.scanning.printing.reading import LabelRun, print_badges, print_labels
from apps.scanning.printing.text import height_of, largest, wrap
from apps.workorders.models import Task
from apps.workorders.templatetags.docket_pages import made_for

NARROW, TALL = 80.0, 40.0  # mm inside the edges
SMALLER = 2.5  # points


def labels_pdf(tasks: Iterable[Task], *, sheet: str, by: Any, host: str, start: int = 1) -> bytes:
    """Record labels of `tasks` as printed by `by` and draw them, in the active language. See `print_labels`."""
    return draw_labels(print_labels(tasks, sheet=sheet, by=by, host=host, start=start))


def badges_pdf(badges: Iterable[Badge], *, sheet: str, by: Any, start: int = 1) -> bytes:
    """Draw the badges. See `print_badges`."""
    return draw_badges(print_badges(badges, sheet=sheet, by=by, start=start))


def draw_labels(run: LabelRun) -> bytes:
    """One label for each task. No query."""
    return _on_sheets(run, str(Paper.LABELS.label), partial(_task_label, run.host))


def draw_badges(run: LabelRun) -> bytes:
    """One label for each badge. No query."""
    return _on_sheets(run, _("Badges"), partial(_badge, run.places))


def _on_sheets(run: LabelRun, title: str, draw: Callable[[Pen, float, float, float, float, Any], None]) -> bytes:
    """Fill the labels of the sheets one after the other; `draw` gets the label's inner corner, width and height."""
    sheet, pen = run.sheet, Pen(run.sheet.page, title=title)
    width, height = sheet.label[0] - 2 * sheet.pad, sheet.label[1] - 2 * sheet.pad
    for number, row in enumerate(run.rows, run.start - 1):
        place = number % sheet.count
        if place == 0 and number >= run.start:
            pen.end_page()
        x, y = sheet.corner(place)
        draw(pen, x + sheet.pad, y + sheet.pad, width, height, row)
    pen.end_page()
    return pen.bytes()


def _codes(pen: Pen, x: float, y: float, width: float, height: float, in_qr: str, code: str) -> tuple[float, float]:
    """Draw the code as QR at the right and as Code 128 below; hand back the width and height that are left for words.

    On a wide label the Code 128 stands below the words, on a narrow one below everything.
    """
    is_wide, below = width > NARROW, 3.8
    bars = min(height * 0.27, 14.0) if is_wide else 6.0
    side = min(height if is_wide else height - bars - below + 1.5, width * 0.36)
    room = width - side - 1.5
    across = room if is_wide else width
    pen.qr(x + width - side, y - 1, side, in_qr)
    pen.bars(x, y + height - bars - below, across, bars, code)
    pen.text(x + across / 2, y + height - below + 0.3, code, 9.5, bold=True, align="centre", spacing=1)
    return room, height - bars - below


def _words(pen: Pen, x: float, y: float, room: tuple[float, float], words: list[tuple[str, float, bool, int]]) -> None:
    """Lines from the top, each as (text, size, bold, most lines), smaller where it is too long, until the room is full."""
    used = 0.0
    for text, size, bold, most in words:
        size = largest(text, size, room[0], bold=bold, least=size - 3)
        lines = wrap(text, size, room[0], bold=bold, most=most)
        while lines and used + height_of(len(lines), size) > room[1] + 0.3:
            lines = lines[:-1]
        pen.lines(x, y + used, lines, size, bold=bold)
        used += height_of(len(lines), size)


def _task_label(host: str, pen: Pen, x: float, y: float, width: float, height: float, task: Task) -> None:
    """Order, process, product, planned, due, and the code of the task."""
    order, code = task.order, encode(Kind.TASK_PAPER, task.pk, task.order.revision)
    room = _codes(pen, x, y, width, height, address(code, host), code)
    most = 2 if height > TALL else 1
    # Two lines large and the others smaller fill the room, if the name takes all of its lines.
    size = min(16.0, (room[1] / height_of(1, 1) + SMALLER * (most + 2)) / (most + 4))
    planned = f"{number_format(task.planned, force_grouping=True)} {task.get_unit_display()}"
    due = _("due %(date)s") % {"date": date_format(task.due_date, "Y-m-d")} if task.due_date else ""
    named = made_for(task) or ", ".join(line.product.name for line in order.lines.all()[:3])
    words = [
        (order.number, size, True, 1),
        (f"{task} {task.step.process.label}", size, True, 1),
        (named, size - SMALLER, False, most),
        (planned, size - SMALLER, True, 1),
        (due, size - SMALLER, True, 1),
    ]
    _words(pen, x, y, room, [one for one in words if one[0]])


def _badge(places: dict[int, str], pen: Pen, x: float, y: float, width: float, height: float, badge: Badge) -> None:
    """Name and departments large, and the badge's code. Nothing that one could sign in with alone."""
    code = encode(Kind.BADGE, badge.pk)
    room = _codes(pen, x, y, width, height, code, code)
    size = min(max(height * 0.5, 14.0), 22.0)
    _words(
        pen, x, y, room, [(str(badge.user), size, True, 2 if height > TALL else 1), (places.get(badge.user_id, ""), size * 0.55, False, 2)]
    )
