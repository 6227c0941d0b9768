"""Dispatch: the rules, and why each task went where it went."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from apps.accounts.access import access_of
from apps.core import activation
from apps.core.admin import ScopedAdmin, ScopedFilter, VerbsOnlyAdmin
from apps.dispatch.models import DispatchDecision, DispatchRule
from apps.dispatch.policy import tell_candidates
from apps.imports.exportable import Exportable

NO_LONGER = _("Dispatch no longer looks at it. Tasks that it sent somewhere stay there.")


@admin.register(DispatchRule)
class DispatchRuleAdmin(Exportable, ScopedAdmin):
    """Which department gets the tasks of a process, and how the person is found."""

    list_display = ("process", "department", "priority", "strategy", "wip_limit", "is_active")
    list_filter = (
        ("process", ScopedFilter), ("department", ScopedFilter), ("strategy", ChoicesDropdownFilter), ("is_active", BooleanRadioFilter),
    )  # fmt: skip
    list_select_related = ("process", "department")
    search_fields = ("process__code", "process__name", "process__name_zh", "department__code", "department__name", "department__name_zh")
    fields = (("process", "department"), "priority", ("strategy", "wip_limit"))
    export_columns = ("process__code", "department__code", "priority", "strategy", "wip_limit", "is_active")
    import_resource = "rules"
    quick_links = ((_("In use"), "is_active__exact=1"), (_("Out of use"), "is_active__exact=0"))
    change_form_outer_before_template = "admin/dashboard/preview_link.html"
    verbs = activation.verbs("dispatch.change_dispatchrule", NO_LONGER)
    bulk_verbs = activation.bulk_verbs("dispatch.change_dispatchrule", NO_LONGER)

    def render_change_form(self, request: HttpRequest, context: dict, *args: Any, **kwargs: Any) -> Any:
        context["may_preview"] = access_of(request.user).sees_all
        return super().render_change_form(request, context, *args, **kwargs)


@admin.register(DispatchDecision)
class DispatchDecisionAdmin(VerbsOnlyAdmin):
    """Why a task is where it is. To read only: a decision is what happened."""

    list_display = ("task_number", "department", "operator", "because", "made_at", "made_by")
    list_filter = (("department", ScopedFilter), ("made_at", RangeDateFilter))
    search_fields = ("task__order__number",)
    readonly_fields = ("task_link", "department", "operator", "rule", "because", "considered", "made_at", "made_by")

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return (
            super()
            .get_queryset(request)
            .select_related("task__order", "department", "operator", "made_by", "rule__process", "rule__department")
        )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Who else was considered names people and departments of the whole shop: only for who sees it all."""
        return [name for name in self.readonly_fields if name not in {"considered", "rule"} or access_of(request.user).sees_all]

    @display(description=_("task"), ordering="task")
    def task_number(self, obj: DispatchDecision) -> str:
        return f"{obj.task} · {obj.task.order.number}"

    @display(description=_("task"))
    def task_link(self, obj: DispatchDecision) -> str:
        return format_html('<a class="home-link" href="{}">{}</a>', obj.task.get_absolute_url(), self.task_number(obj))

    @display(description=_("reason"))
    def because(self, obj: DispatchDecision) -> str:
        return obj.reason

    @display(description=_("considered"))
    def considered(self, obj: DispatchDecision) -> str:
        told = tell_candidates(obj.candidates)
        lines = ((name, verdict, _("%(minutes)s min") % {"minutes": load}) for name, load, verdict in told)
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: {} ({})</li>", lines)) if obj.candidates else "–"
