"""How states, dates and progress look in every list and page: in colour and in words."""

from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.workorders.models import Task, WorkOrder
from apps.workorders.states import OrderStatus, Priority, StepStatus, TaskStatus

TONES = {
    OrderStatus.DRAFT: "muted",
    OrderStatus.SUBMITTED: "info",
    OrderStatus.REJECTED: "danger",
    OrderStatus.APPROVED: "primary",
    OrderStatus.IN_PROGRESS: "primary",
    OrderStatus.ON_HOLD: "warning",
    OrderStatus.COMPLETED: "success",
    OrderStatus.CANCELLED: "muted",
    TaskStatus.PENDING: "info",
    TaskStatus.ASSIGNED: "info",
    TaskStatus.PAUSED: "warning",
    StepStatus.WAITING: "muted",
    StepStatus.READY: "info",
    StepStatus.SKIPPED: "muted",
}
PRIORITY_TONES = {Priority.LOW: "muted", Priority.NORMAL: "", Priority.HIGH: "warning", Priority.URGENT: "danger"}


def tone(status: str) -> str:
    return TONES.get(status, "muted")


def label(text: Any, of: str) -> str:
    return format_html('<span class="docket-label docket-{}">{}</span>', of, text)


def status_label(thing: Any) -> str:
    return label(thing.get_status_display(), tone(thing.status))


def priority_label(thing: Any) -> str:
    return label(thing.get_priority_display(), PRIORITY_TONES.get(thing.priority, "") or "plain")


def due_label(thing: WorkOrder | Task) -> str:
    """The day; and, in words, how late it is or how soon it is due."""
    if thing.due_date is None:
        return "–"
    day, days = date_format(thing.due_date, "Y-m-d"), (thing.due_date - timezone.localdate()).days
    if thing.is_late:
        late = ngettext("%(days)s day late", "%(days)s days late", -days) % {"days": -days}
        return format_html('<span class="docket-due docket-late">{} <strong>{}</strong></span>', day, late)
    if 0 <= days <= 1 and thing.status not in {"completed", "cancelled"}:
        soon = _("today") if days == 0 else _("tomorrow")
        return format_html('<span class="docket-due docket-soon">{} <strong>{}</strong></span>', day, soon)
    return format_html('<span class="docket-due">{}</span>', day)


def bar(done: int, total: int, text: str = "") -> str:
    """A progress bar with its numbers."""
    percent = min(100, round(100 * done / total)) if total else 0
    return format_html(
        '<span class="docket-progress"><span class="docket-bar" role="img" aria-label="{}%"><span style="width:{}%"></span></span>'
        "<span>{}</span></span>",
        percent,
        percent,
        text or f"{done}/{total}",
    )
