"""Printing from the admin: buttons and bulk actions on orders, tasks and badges, and what was printed on the order's page.

The order's page gets the buttons and the panel of customers' codes here, too: one class stands on top of it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from apps.accounts.access import access_of
from apps.core.admin import BulkVerb, DialogForm, Verb
from apps.scanning.admin import linking
from apps.scanning.models import Badge, Paper, Printout
from apps.scanning.printing.labels import draw_badges, draw_labels
from apps.scanning.printing.reading import (
    MOST_LABELS,
    MOST_TICKETS,
    LabelRun,
    Ticket,
    order_tasks,
    print_badges,
    print_labels,
    print_tickets,
    stale_sentence,
)
from apps.scanning.printing.sheets import SHEETS
from apps.scanning.printing.tickets import draw_tickets
from apps.scanning.services import finding
from apps.workorders.models import Task, WorkOrder

PRINT = "workorders.print_workorder"
SHOWN = 30


class TicketForm(DialogForm):
    """Asks nothing; the codes on the paper are addresses of the site that it was printed from."""

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"host": self.request.build_absolute_uri("/").rstrip("/")}


class SheetForm(DialogForm):
    """Which sheet, and where on it printing begins."""

    sheet = forms.ChoiceField(
        label=_("Sheet"), choices=[(code, sheet.name) for code, sheet in SHEETS.items()], widget=UnfoldAdminSelectWidget
    )
    start = forms.IntegerField(
        label=_("First free label"),
        min_value=1,
        max_value=max(sheet.count for sheet in SHEETS.values()),
        initial=1,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text=_("On a sheet that is used in part, counted row by row. A roll begins at 1."),
    )


class LabelsForm(SheetForm, TicketForm):
    """The same, with the address for the codes."""


# -- what the buttons do


def _one_ticket(order: WorkOrder, *, by: Any, host: str) -> list[Ticket]:
    return print_tickets([order], by=by, host=host)


def _labels_of_order(order: WorkOrder, **asked: Any) -> LabelRun:
    return print_labels(order_tasks(order, by=asked["by"]), **asked)


def _labels_of_task(task: Task, **asked: Any) -> LabelRun:
    return print_labels([task], **asked)


def _one_badge(badge: Badge, **asked: Any) -> LabelRun:
    return print_badges([badge], **asked)


def _tickets_answer(tickets: list[Ticket]) -> HttpResponse:
    return _pdf(draw_tickets(tickets), "ticket", {ticket.order.number for ticket in tickets})


def _labels_answer(run: LabelRun) -> HttpResponse:
    return _pdf(draw_labels(run), "labels", {task.order.number for task in run.rows})


def _badges_answer(run: LabelRun) -> HttpResponse:
    return _pdf(draw_badges(run), "badges", {badge.user.username for badge in run.rows})


def _pdf(pdf: bytes, paper: str, names: set[str]) -> HttpResponse:
    """Shown by the browser, and saved under a name that tells what it is: ticket-202611-0001.pdf."""
    about = names.pop() if len(names) == 1 else f"{len(names)}-{timezone.localtime():%Y%m%d-%H%M}"
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in about)
    return HttpResponse(pdf, content_type="application/pdf", headers={"Content-Disposition": f'inline; filename="{paper}-{safe}.pdf"'})


def _may_print(user: Any, thing: Any) -> bool:
    return access_of(user).has(PRINT)


def _may_print_badge(user: Any, badge: Badge) -> bool:
    return badge.revoked_at is None and access_of(user).has("scanning.issue_badge")


TICKET = Verb(
    "ticket", _("Print job ticket"), _one_ticket, TicketForm, "print", when=_may_print, answers=_tickets_answer,
    text=_("The ticket opens as a PDF in a new tab. It is noted that you printed it, and of which revision."),
)  # fmt: skip
LABELS = Verb(
    "labels", _("Print labels"), _labels_of_order, LabelsForm, "label", when=_may_print, answers=_labels_answer,
    text=_("A label for each task of the order, as a PDF in a new tab."),
)  # fmt: skip
TASK_LABEL = Verb(
    "labels", _("Print label"), _labels_of_task, LabelsForm, "label", when=_may_print, answers=_labels_answer,
    text=_("The label opens as a PDF in a new tab."),
)  # fmt: skip
BADGE = Verb(
    "print", _("Print badge"), _one_badge, SheetForm, "badge", when=_may_print_badge, answers=_badges_answer,
    text=_("Name, department and code as a PDF in a new tab; the PIN is never printed."),
)  # fmt: skip
TICKETS_IN_BULK = BulkVerb(
    "ticket", _("Print job tickets"), print_tickets, TicketForm, PRINT, answers=_tickets_answer, most=MOST_TICKETS,
    text=_("All tickets as one PDF in a new tab."),
)  # fmt: skip
LABELS_IN_BULK = BulkVerb("labels", _("Print labels"), print_labels, LabelsForm, PRINT, answers=_labels_answer, most=MOST_LABELS)
BADGES_IN_BULK = BulkVerb(
    "print", _("Print badges"), print_badges, SheetForm, "scanning.issue_badge", answers=_badges_answer, most=MOST_LABELS
)


# -- where they are pressed: on pages that stand to the left, or beside this one


def _before(verbs: Sequence[Verb], name: str, *more: Verb) -> list[Verb]:
    """`verbs` with `more` before the one of that name: what is pressed daily comes before what is pressed once."""
    place = next(number for number, verb in enumerate(verbs) if verb.name == name)
    return [*verbs[:place], *more, *verbs[place:]]


ORDERS: Any = type(admin.site.get_model_admin(WorkOrder))
TASKS: Any = type(admin.site.get_model_admin(Task))


class FoundByCode:
    """A list in which a printed code finds what it stands for. One query more for a text that is a code."""

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        named = finding.named_by(search_term).get(self.model) if search_term else None
        if named is not None and (rows := queryset.filter(named)).exists():
            return rows, False
        return super().get_search_results(request, queryset, search_term)


class FloorOrderAdmin(FoundByCode, ORDERS):
    """The work orders' pages with printing and customers' codes."""

    verbs = _before(_before(ORDERS.verbs, "copy", TICKET, LABELS), "share", linking.LINK, linking.UNLINK)
    bulk_verbs = [*ORDERS.bulk_verbs, TICKETS_IN_BULK]

    def moves(self, request: HttpRequest, obj: WorkOrder) -> Iterable[str]:
        printing = ("ticket", "labels") if _may_print(request.user, obj) else ()
        return [*super().moves(request, obj), *printing, *linking.linking_moves(request)]

    def render_change_form(self, request: HttpRequest, context: dict, *args: Any, obj: Any = None, **kwargs: Any) -> HttpResponse:
        response = super().render_change_form(request, context, *args, obj=obj, **kwargs)
        if obj is not None:
            page = response.context_data
            page |= linking.linked_context(request, obj)
            if page.get("linked_codes"):
                page["more_panels"] = [*page.get("more_panels", ()), linking.PANEL]
            self._tell_printouts(request, page, obj)
        return response

    def _tell_printouts(self, request: HttpRequest, page: dict[str, Any], order: WorkOrder) -> None:
        """Add the panel of what was printed, and the warning that the last ticket is out of date."""
        if not access_of(request.user).has("scanning.view_printout"):
            return
        printouts = list(Printout.objects.visible_to(request.user).filter(order=order).select_related("printed_by")[:SHOWN])
        page["printouts"] = printouts
        page["more_panels"] = [*page.get("more_panels", ()), "docket/orders/printouts.html"]
        stale = stale_sentence(page["order"], next((one for one in printouts if one.paper == Paper.TICKET), None))
        page["warnings"] = [*([stale] if stale else []), *page["warnings"]]


class FloorTaskAdmin(FoundByCode, TASKS):
    """The tasks' pages with labels."""

    verbs = _before(TASKS.verbs, "share", TASK_LABEL)
    bulk_verbs = [*TASKS.bulk_verbs, LABELS_IN_BULK]

    def moves(self, request: HttpRequest, obj: Task) -> Iterable[str]:
        return [*super().moves(request, obj), *(("labels",) if _may_print(request.user, obj) else ())]


for model, its_admin in ((WorkOrder, FloorOrderAdmin), (Task, FloorTaskAdmin)):
    admin.site.unregister(model)
    admin.site.register(model, its_admin)
