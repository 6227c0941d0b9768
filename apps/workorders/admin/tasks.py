"""Tasks: the supervisor's board, and the page of one task that an operator works with on a phone."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter

from apps.accounts.access import access_of
from apps.accounts.roles import Role
from apps.core.admin import BulkVerb, DialogForm, OptionalReasonForm, ReasonForm, ScopedFilter, Verb, VerbsOnlyAdmin
from apps.core.lists import LongList
from apps.imports.exportable import Exportable
from apps.workorders import looks, services
from apps.workorders.admin.filters import (
    ClaimableFilter,
    DepartmentFilter,
    LateFilter,
    MineFilter,
    OpenFilter,
    UndispatchedFilter,
    leads_somebody,
)
from apps.workorders.admin.overview import minutes_left, task_overview
from apps.workorders.admin.sharing import UNSHARE
from apps.workorders.admin.why import WhyMixin
from apps.workorders.forms import AssignForm, CompleteForm, PauseForm, ReportForm, ShareForm, SplitForm, StartForm
from apps.workorders.loads import loads
from apps.workorders.models import Task
from apps.workorders.moves import task_moves
from apps.workorders.searching import find_tasks
from apps.workorders.states import Priority

LOADS = 12


class TaskAdmin(LongList, Exportable, WhyMixin, VerbsOnlyAdmin):
    """Tasks come from their order and move by verbs: no form adds, changes or deletes one."""

    change_form_template = "docket/tasks/page.html"
    change_list_template = "docket/tasks/list.html"
    list_display = ["task", "process", "product", "department", "operator", "counts", "due", "state", "load"]
    list_display_links = ["task"]
    export_columns = [
        "number", "order__number", "order__customer", "step__process", "department", "operator", "status", "priority", "due_date",
        "planned", "unit", "good", "scrap",
    ]  # fmt: skip
    import_resource = "tasks"
    list_filter = [
        DepartmentFilter,
        ("status", ChoicesDropdownFilter),
        LateFilter,
        OpenFilter,
        ("operator", ScopedFilter),
        ("step__process", ScopedFilter),
        ClaimableFilter,
        UndispatchedFilter,
        MineFilter,
        ("priority", ChoicesDropdownFilter),
        ("due_date", RangeDateFilter),
    ]
    search_fields = [
        "order__number",
        "order__external_number",
        "order__customer__name",
        "step__process__name",
        "step__process__name_zh",
        "step__process__code",
        "line__product__name",
        "tool__code",
    ]
    search_help_text = gettext_lazy("Task, order, customer, process, product or tool")
    ordering = ["-priority", "due_date", "pk"]
    verbs = [
        Verb(
            "claim",
            gettext_lazy("Claim"),
            services.claim_task,
            DialogForm,
            "front_hand",
            "primary",
            gettext_lazy("The task becomes yours."),
            gettext_lazy("Task %(object)s is yours."),
        ),
        Verb(
            "start",
            gettext_lazy("Start"),
            services.start_task,
            StartForm,
            "play_arrow",
            "primary",
            done=gettext_lazy("Task %(object)s is running."),
        ),
        Verb(
            "resume",
            gettext_lazy("Resume"),
            services.resume_task,
            DialogForm,
            "play_arrow",
            "primary",
            done=gettext_lazy("Task %(object)s is running."),
        ),
        Verb(
            "report",
            gettext_lazy("Report"),
            services.report,
            ReportForm,
            "add_circle",
            "primary",
            done=gettext_lazy("Reported on task %(object)s."),
        ),
        Verb(
            "complete",
            gettext_lazy("Complete"),
            services.complete_task,
            CompleteForm,
            "check_circle",
            "success",
            gettext_lazy("A last report and the completion in one."),
            gettext_lazy("Task %(object)s is completed."),
        ),
        Verb("pause", gettext_lazy("Pause"), services.pause_task, PauseForm, "pause", done=gettext_lazy("Task %(object)s is paused.")),
        Verb(
            "undo",
            gettext_lazy("Undo"),
            services.undo_last,
            OptionalReasonForm,
            "undo",
            "default",
            gettext_lazy("Takes back the last thing that you did on this task."),
            gettext_lazy("Taken back on task %(object)s."),
        ),
        Verb(
            "release",
            gettext_lazy("Give back"),
            services.release_task,
            OptionalReasonForm,
            "keyboard_return",
            "default",
            gettext_lazy("The task waits in the department's queue again."),
            gettext_lazy("Task %(object)s is given back."),
        ),
        Verb(
            "assign",
            gettext_lazy("Assign"),
            services.assign_task,
            AssignForm,
            "person_add",
            done=gettext_lazy("Task %(object)s is assigned."),
        ),
        Verb("split", gettext_lazy("Split"), services.split_task, SplitForm, "call_split", done=gettext_lazy("Task %(object)s is split.")),
        Verb(
            "dispatch",
            gettext_lazy("Dispatch now"),
            services.dispatch_task,
            DialogForm,
            "alt_route",
            "default",
            gettext_lazy("The rules choose department and operator again."),
            gettext_lazy("Task %(object)s is dispatched."),
        ),
        Verb("share", gettext_lazy("Share"), services.share, ShareForm, "share", done=gettext_lazy("Task %(object)s is shared.")),
        Verb(
            "cancel",
            gettext_lazy("Cancel task"),
            services.cancel_task,
            ReasonForm,
            "cancel",
            "danger",
            gettext_lazy("What was reported stays; the step goes on without it."),
            gettext_lazy("Task %(object)s is cancelled."),
        ),
        UNSHARE,
    ]
    bulk_verbs = [
        BulkVerb("claim", gettext_lazy("Claim"), services.claim_task, permission="workorders.work_task"),
        BulkVerb("assign", gettext_lazy("Assign or reassign"), services.assign_task, AssignForm, "workorders.assign_task"),
        BulkVerb("release", gettext_lazy("Give back to the queue"), services.release_task, OptionalReasonForm, "workorders.assign_task"),
        BulkVerb("dispatch", gettext_lazy("Dispatch now"), services.dispatch_task, permission="workorders.dispatch_task"),
        BulkVerb("cancel", gettext_lazy("Cancel tasks"), services.cancel_task, ReasonForm, "workorders.cancel_task"),
    ]

    # -- the board

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).for_list()

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        changelist.result_list = changelist.result_list.with_lines()
        return changelist

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        """A task's own number finds it as well: T12."""
        number = search_term.strip().upper().removeprefix("T")
        if search_term.strip().upper().startswith("T") and number.isascii() and number.isdigit() and len(number) < 18:
            return queryset.filter(pk=int(number)), False
        return (find_tasks(queryset, search_term), False) if "\0" not in search_term else (queryset.none(), False)

    def get_quick_links(self, request: HttpRequest) -> Sequence[tuple[Any, str]]:
        access, links = access_of(request.user), []
        if access.is_(Role.OPERATOR):
            links += [(_("Mine"), "mine=yes"), (_("To claim"), "claimable=yes")]
        links += [(_("Open"), "open=yes"), (_("Late"), "late=yes"), (_("Running"), "status__exact=in_progress")]
        if leads_somebody(request.user):
            links += [(_("In the queue"), "status__exact=pending"), (_("Paused"), "status__exact=paused")]
        if access.has("workorders.dispatch_task"):
            links.append((_("Undispatched"), "undispatched=yes"))
        return links

    def changelist_view(self, request: HttpRequest, extra_context: dict | None = None) -> HttpResponse:
        return super().changelist_view(request, {"has_loads": self._sees_loads(request)} | (extra_context or {}))

    def _sees_loads(self, request: HttpRequest) -> bool:
        return leads_somebody(request.user) and self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        return [path("loads/", self.admin_site.admin_view(self.loads_view), name="workorders_task_loads"), *super().get_urls()]

    def loads_view(self, request: HttpRequest) -> HttpResponse:
        """The panel above the list, asked for when somebody opens it: it goes through all open tasks in sight."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not self._sees_loads(request):
            raise PermissionDenied
        departments, people = loads(request.user)
        return render(request, "docket/tasks/loads.html", {"departments": departments[:LOADS], "people": people[:LOADS]})

    @admin.display(description=gettext_lazy("task"), ordering="order__number")
    def task(self, task: Task) -> str:
        return format_html('{} <span class="docket-faint docket-block">{}</span>', task, task.order.number)

    @admin.display(description=gettext_lazy("Task"))
    def number(self, task: Task) -> str:
        """As the import reads it: T123."""
        return str(task)

    @admin.display(description=gettext_lazy("process"), ordering="step__process__position")
    def process(self, task: Task) -> str:
        return task.step.process.label

    @admin.display(description=gettext_lazy("product"))
    def product(self, task: Task) -> str:
        thing = task.tool or task.material
        names = task.line.product.name if task.line else ", ".join(line.product.name for line in task.order.lines.all()[:3])
        return format_html('{} <span class="docket-faint docket-block">{}</span>', names, thing) if thing else names

    @admin.display(description=gettext_lazy("good / planned"))
    def counts(self, task: Task) -> str:
        return looks.bar(task.good, task.planned, f"{_grouped(task.good)} / {_grouped(task.planned)}")

    @admin.display(description=gettext_lazy("due"), ordering="due_date")
    def due(self, task: Task) -> str:
        return looks.due_label(task)

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def state(self, task: Task) -> str:
        """With the priority, where it is not the usual one, and a pin where a person chose."""
        pin = format_html('<span class="material-symbols-outlined docket-pin" title="{}">keep</span>', _("A person chose"))
        urgency = "" if task.priority == Priority.NORMAL else looks.priority_label(task)
        return format_html('<span class="docket-line">{}{}{}</span>', looks.status_label(task), urgency, pin if task.is_pinned else "")

    @admin.display(description=gettext_lazy("left"))
    def load(self, task: Task) -> str:
        minutes = minutes_left(task)
        return _("%(minutes)s min") % {"minutes": _grouped(minutes)} if minutes else "–"

    # -- who may what

    def moves(self, request: HttpRequest, obj: Task) -> Iterable[str]:
        moves = task_moves(request.user, obj)
        return [*moves, "unshare"] if "share" in moves else moves

    def just_missed(self, request: HttpRequest, verb: Verb, pk: str) -> Task | None:
        """A task of the reader's own queue that somebody else claimed first: he hears who has it."""
        access = access_of(request.user)
        if verb.name not in ("claim", "start") or not (pk.isascii() and pk.isdigit() and len(pk) < 18):
            return None
        queue = self.model.objects.filter(department__in=access.member_of | access.leads, operator__isnull=False)
        return queue.for_list().filter(pk=int(pk)).first() if access.has("workorders.work_task") else None

    # -- the page

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list:
        """None: the page above says all of it, and no field can be changed."""
        return []

    def render_change_form(self, request: HttpRequest, context: dict, *args: Any, obj: Any = None, **kwargs: Any) -> HttpResponse:
        if obj is not None:
            context |= task_overview(obj, request.user)
            context["title"] = f"{obj} · {obj.step.process.label}"
            context["subtitle"] = None
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)


def _grouped(number: int) -> str:
    return number_format(number, force_grouping=True)


admin.site.register(Task, TaskAdmin)
