"""The ledger, to read; a supervisor's correction is a reversing event."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, FieldTextFilter, RangeDateTimeFilter
from unfold.paginator import InfinitePaginator

from apps.accounts.access import access_of
from apps.core.admin import ScopedFilter, Verb, VerbsOnlyAdmin
from apps.core.history import DOORS
from apps.workorders import services, telling
from apps.workorders.forms import CorrectForm
from apps.workorders.models import Task, WorkEvent
from apps.workorders.moves import may_task
from apps.workorders.states import OrderStatus

REVERSIBLE = ("report", "complete")


class VerbFilter(DropdownFilter):
    title, parameter_name = _("what"), "verb"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return sorted(((verb, str(label)) for verb, label in telling.VERBS.items()), key=lambda item: item[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(verb=self.value()) if self.value() else queryset


class SourceFilter(DropdownFilter):
    title, parameter_name = _("from"), "source"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(source, str(label)) for source, label in DOORS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(source=self.value()) if self.value() else queryset


class WorkEventAdmin(VerbsOnlyAdmin):
    """Read-only: the ledger is append-only, in the database itself."""

    list_display = ["when", "actor", "told", "order_number", "task", "made", "wasted", "door"]
    list_display_links = ["when"]
    list_filter = [VerbFilter, SourceFilter, ("actor", ScopedFilter), ("order_number", FieldTextFilter), ("at", RangeDateTimeFilter)]
    search_fields = ["order_number"]
    search_help_text = _("Order number")
    paginator = InfinitePaginator
    show_full_result_count = False
    fields = [
        ("when", "actor", "door"),
        ("order_number", "step", "task"),
        ("told", "good", "scrap"),
        ("reason_code", "reason", "note"),
        ("reverses", "request_id"),
    ]
    verbs = [
        Verb(
            "correct",
            _("Take back"),
            services.reverse_event,
            CorrectForm,
            "undo",
            "danger",
            _("Writes an event that reverses this one. Nothing is overwritten."),
            _("The report is taken back."),
            goes_to=lambda event: event.task.get_absolute_url(),
            in_bar=True,
        )
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("actor", "step__process", "task")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The rows with their sentences: two more queries for the names, whatever their number."""
        changelist = super().get_changelist_instance(request)
        changelist.result_list = [_with_sentence(told) for told in telling.tell(changelist.result_list)]
        return changelist

    @admin.display(description=_("when"), ordering="at")
    def when(self, event: WorkEvent) -> str:
        return date_format(timezone.localtime(event.at), "Y-m-d H:i:s")

    @admin.display(description=_("what"), ordering="verb")
    def told(self, event: WorkEvent) -> str:
        text = getattr(event, "sentence", "") or telling.tell([event])[0].text
        return f"{text} ({event.reason})" if event.reason else text

    @admin.display(description=_("good"), ordering="good")
    def made(self, event: WorkEvent) -> str:
        return number_format(event.good, force_grouping=True) if event.good else ""

    @admin.display(description=_("from"), ordering="source")
    def door(self, event: WorkEvent) -> str:
        return event.door

    @admin.display(description=_("scrap"), ordering="scrap")
    def wasted(self, event: WorkEvent) -> str:
        return number_format(event.scrap, force_grouping=True) if event.scrap else ""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["told", "when", "door"]

    def moves(self, request: HttpRequest, obj: WorkEvent) -> Iterable[str]:
        if obj.task_id is None or obj.verb not in REVERSIBLE or WorkEvent.objects.filter(reverses=obj).exists():
            return []
        task = Task.objects.select_related("order").get(pk=obj.task_id)
        ended = task.order.status in (OrderStatus.COMPLETED, OrderStatus.CANCELLED)
        return ["correct"] if not ended and may_task(access_of(request.user), "correct", task) else []


def _with_sentence(told: telling.Told) -> WorkEvent:
    told.event.sentence = told.text
    return told.event


admin.site.register(WorkEvent, WorkEventAdmin)
