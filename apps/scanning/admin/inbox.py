"""Scans to read, the inbox of those that came late, and the form for one that could not be made."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, FieldTextFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget

from apps.accounts.access import access_of
from apps.core.admin import ReasonForm, ScopedFilter, Verb, VerbsOnlyAdmin, in_sight
from apps.core.forms import DialogForm
from apps.core.history import door_of
from apps.scanning.clocks import clock_in_words, is_clock_off
from apps.scanning.models import Outcome, Scan
from apps.scanning.services import inbox
from apps.workorders.models import MOST, Task
from apps.workorders.telling import VERBS

TONES = {
    Outcome.RECEIVED: "info",
    Outcome.APPLIED: "success",
    Outcome.REFUSED: "danger",
    Outcome.HELD: "warning",
    Outcome.BLOCKED: "warning",
}


def _grouped(number: int) -> str:
    return number_format(number, force_grouping=True)


class CorrectForm(DialogForm):
    """What really was made."""

    good = forms.IntegerField(
        label=pgettext_lazy("pieces", "Good"), min_value=0, max_value=MOST, required=False, widget=UnfoldAdminIntegerFieldWidget
    )
    scrap = forms.IntegerField(
        label=gettext_lazy("Scrap"), min_value=0, max_value=MOST, required=False, widget=UnfoldAdminIntegerFieldWidget
    )
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=1000, widget=UnfoldAdminTextareaWidget({"rows": 3}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial |= {"good": self.obj.quantity, "scrap": self.obj.scrap}

    def arguments(self) -> dict[str, Any]:
        values = super().arguments()
        return values | {"good": values["good"] or 0, "scrap": values["scrap"] or 0}


class EnterForm(forms.ModelForm):
    """What somebody did and could not scan."""

    verb = forms.ChoiceField(
        label=gettext_lazy("What"),
        choices=[(verb, VERBS[verb]) for verb in inbox.BY_HAND],
        initial="report",
        widget=UnfoldAdminSelectWidget,
    )
    reason = forms.CharField(
        label=gettext_lazy("Why by hand"),
        max_length=1000,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text=gettext_lazy("As: the handheld was broken."),
    )

    class Meta:
        model = Scan
        fields = ("task", "user", "verb", "quantity", "scrap", "happened_at", "reason")


class InboxFilter(DropdownFilter):
    """Late scans that nobody has decided on."""

    title, parameter_name = gettext_lazy("inbox"), "inbox"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", gettext_lazy("waiting for a decision"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.in_inbox() if self.value() == "yes" else queryset


class ScanAdmin(VerbsOnlyAdmin):
    """Read-only but for the decision on a late scan; a new row is a scan entered by hand."""

    add_form = EnterForm
    list_display = ["when", "person", "handheld", "what", "task", "order_number", "made", "wasted", "state", "told"]
    list_display_links = ["when"]
    list_filter = [
        InboxFilter,
        ("outcome", ChoicesDropdownFilter),
        ("device", ScopedFilter),
        ("user", ScopedFilter),
        ("received_at", RangeDateTimeFilter),
        ("code", FieldTextFilter),
        "is_clock_off",
    ]
    search_fields = ["order__number", "code"]
    search_help_text = gettext_lazy("Order number or code")
    autocomplete_fields = ["task", "user"]
    quick_links = (
        (gettext_lazy("Inbox"), "inbox=yes"),
        (gettext_lazy("Refused"), "outcome__exact=refused"),
        (gettext_lazy("Behind a refused one"), "outcome__exact=blocked"),
        (gettext_lazy("Clock off"), "is_clock_off__exact=1"),
    )
    fieldsets = [
        (
            gettext_lazy("Scanned"),
            {"fields": [("when", "person", "handheld"), ("code", "what"), ("order_number", "task"), ("quantity", "scrap", "reason")]},
        ),
        (gettext_lazy("Times"), {"fields": [("captured_at", "sent_at", "received_at"), ("happened_at", "clock")]}),
        (gettext_lazy("What became of it"), {"fields": [("became", "told"), ("door", "entered_by"), "sent_as"]}),
        (gettext_lazy("Decision"), {"fields": [("decision", "decided_by", "decided_at"), "decision_reason"]}),
    ]
    task_fieldset = (
        gettext_lazy("The task now"),
        {"fields": [("process", "task_state"), ("planned", "good_so_far", "left"), "if_applied"]},
    )
    add_fieldsets = [
        (None, {"fields": [("task", "user"), ("verb", "quantity", "scrap"), ("happened_at",), "reason"]}),
    ]
    verbs = [
        Verb(
            "apply",
            pgettext_lazy("scan", "Apply"),
            inbox.apply_scan,
            ReasonForm,
            "check_circle",
            "primary",
            gettext_lazy("Counts it as it was scanned. A completed task is opened for it and completed again."),
            gettext_lazy("The scan is counted."),
        ),
        Verb(
            "correct",
            gettext_lazy("Correct"),
            inbox.correct_scan,
            CorrectForm,
            "edit",
            "default",
            gettext_lazy("Counts what was really made. What was scanned stays as it came."),
            gettext_lazy("The scan is counted with your numbers."),
        ),
        Verb(
            "dismiss",
            gettext_lazy("Dismiss"),
            inbox.dismiss_scan,
            ReasonForm,
            "block",
            "danger",
            gettext_lazy("It counts nothing. The scan stays, with your reason."),
            gettext_lazy("The scan is dismissed."),
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("device", "user", "task", "order", "decided_by", "entered_by")

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The inbox is short and says how many wait; all scans are too many to count."""
        kind = Paginator if request.GET.get("inbox") else InfinitePaginator
        return kind(*args, **kwargs)

    def moves(self, request: HttpRequest, obj: Scan) -> Iterable[str]:
        if obj.outcome != Outcome.HELD or obj.decision or not inbox.may_decide(request.user, obj):
            return []
        return ["apply", "correct", "dismiss"] if obj.verb in inbox.COUNTING else ["dismiss"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return access_of(request.user).has("scanning.enter_scan")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The task's numbers, which a decision needs, stand beside what was scanned; of a task out of sight there are none."""
        if obj is None:
            return self.add_fieldsets
        if obj.task_id is None or not in_sight(Task, request.user).filter(pk=obj.task_id).exists():
            return self.fieldsets
        return [self.fieldsets[0], self.task_fieldset, *self.fieldsets[1:]]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return []
        shown = ["when", "person", "handheld", "what", "order_number", "clock", "became", "told", "door", "sent_as"]
        return [*shown, "process", "task_state", "planned", "good_so_far", "left", "if_applied"]

    def save_model(self, request: HttpRequest, obj: Scan, form: Any, change: bool) -> None:
        """A scan entered by hand is a verb: the row is the one that it wrote."""
        values = form.cleaned_data
        made = inbox.enter_scan(
            values["task"],
            by=request.user,
            person=values["user"],
            verb=values["verb"],
            good=values["quantity"],
            scrap=values["scrap"],
            reason=values["reason"],
            happened_at=values["happened_at"],
        )
        obj.pk, obj._state.adding = made.pk, False

    @admin.display(description=gettext_lazy("when"), ordering="received_at")
    def when(self, scan: Scan) -> str:
        return date_format(timezone.localtime(scan.received_at), "Y-m-d H:i:s")

    @admin.display(description=gettext_lazy("person"), ordering="user")
    def person(self, scan: Scan) -> str:
        return str(scan.user)

    @admin.display(description=gettext_lazy("handheld"), ordering="device")
    def handheld(self, scan: Scan) -> str:
        return str(scan.device or "–")

    @admin.display(description=gettext_lazy("what"), ordering="verb")
    def what(self, scan: Scan) -> str:
        verb = (scan.answer or {}).get("verb") or scan.verb
        return str(VERBS.get(verb, verb)) or scan.code[:40]

    @admin.display(description=gettext_lazy("order"), ordering="order")
    def order_number(self, scan: Scan) -> str:
        return scan.order.number if scan.order else "–"

    @admin.display(description=gettext_lazy("good"), ordering="quantity")
    def made(self, scan: Scan) -> str:
        return _grouped(scan.quantity) if scan.quantity else ""

    @admin.display(description=gettext_lazy("scrap"), ordering="scrap")
    def wasted(self, scan: Scan) -> str:
        return _grouped(scan.scrap) if scan.scrap else ""

    @display(description=gettext_lazy("outcome"), ordering="outcome", label=TONES)
    def state(self, scan: Scan) -> tuple[str, str]:
        if scan.decision:
            return Outcome.APPLIED if scan.decision != "dismissed" else Outcome.REFUSED, scan.get_decision_display()
        return scan.outcome, scan.get_outcome_display()

    @admin.display(description=gettext_lazy("outcome"))
    def became(self, scan: Scan) -> str:
        if scan.decision:
            return _("%(decision)s, by %(person)s") % {"decision": scan.get_decision_display(), "person": scan.decided_by}
        return scan.get_outcome_display()

    @admin.display(description=gettext_lazy("clock"))
    def clock(self, scan: Scan) -> str:
        """What the handheld's clock was, in words."""
        offset_ms = None if scan.sent_at is None else (scan.sent_at - scan.received_at) // timedelta(milliseconds=1)
        if scan.is_clock_off and (offset_ms is None or not is_clock_off(offset_ms)):
            return _("not believed: the time of arrival counts")
        return _("not told by the handheld") if offset_ms is None else clock_in_words(offset_ms)

    @admin.display(description=gettext_lazy("request id"))
    def sent_as(self, scan: Scan) -> str:
        return format_html('<span class="docket-code">{}</span>', scan.request_id) if scan.request_id else "–"

    @admin.display(description=gettext_lazy("process"))
    def process(self, scan: Scan) -> str:
        return scan.task.step.process.label

    @admin.display(description=gettext_lazy("status"))
    def task_state(self, scan: Scan) -> str:
        return scan.task.get_status_display()

    @admin.display(description=gettext_lazy("planned"))
    def planned(self, scan: Scan) -> str:
        return _grouped(scan.task.planned)

    @admin.display(description=gettext_lazy("good"))
    def good_so_far(self, scan: Scan) -> str:
        return _grouped(scan.task.good)

    @admin.display(description=gettext_lazy("left"))
    def left(self, scan: Scan) -> str:
        return _grouped(scan.task.left)

    @admin.display(description=gettext_lazy("if it is counted"))
    def if_applied(self, scan: Scan) -> str:
        """What the task would be at; "–" where nothing is to be decided."""
        if scan.outcome != Outcome.HELD or scan.decision or scan.verb not in inbox.COUNTING:
            return "–"
        total, planned = _grouped(scan.task.good + scan.quantity), _grouped(scan.task.planned)
        return _("%(good)s good of %(planned)s planned") % {"good": total, "planned": planned}

    @admin.display(description=gettext_lazy("answer"))
    def told(self, scan: Scan) -> str:
        return (scan.answer or {}).get("detail", "") or _("Not looked at yet.")

    @admin.display(description=gettext_lazy("from"))
    def door(self, scan: Scan) -> str:
        return door_of(scan.source)


admin.site.register(Scan, ScanAdmin)
