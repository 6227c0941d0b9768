"""The filters of the order and task lists. Their names are in links all over the site."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from apps.accounts.access import access_of
from apps.accounts.models import Department
from apps.workorders.states import ORDER_EDITABLE, TASK_HELD


class YesFilter(DropdownFilter):
    """A filter that is on (`yes`) or off."""

    label: Any = _("yes")

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, Any]]:
        return [("yes", self.label)]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return self.only(queryset, request.user) if self.value() == "yes" else queryset

    def only(self, rows: Any, user: Any) -> QuerySet:
        raise NotImplementedError


class LateFilter(YesFilter):
    title, parameter_name, label = _("late"), "late", _("late only")

    def only(self, rows: Any, user: Any) -> QuerySet:
        return rows.late()


class OpenFilter(YesFilter):
    title, parameter_name, label = _("open"), "open", _("open only")

    def only(self, rows: Any, user: Any) -> QuerySet:
        return rows.open()


class WaitingFilter(YesFilter):
    title, parameter_name, label = _("approval"), "waiting", _("waiting for me")

    def only(self, rows: Any, user: Any) -> QuerySet:
        return rows.waiting_for(user)


class ToCompleteFilter(YesFilter):
    """Drafts and rejected orders that the reader is to complete: his own, and those that he imported for nobody in particular."""

    title, parameter_name, label = _("drafts"), "to_complete", _("mine to complete")

    def only(self, rows: Any, user: Any) -> QuerySet:
        return rows.filter(Q(maker=user.pk) | Q(maker=None, created_by=user.pk), status__in=ORDER_EDITABLE)


class MineFilter(YesFilter):
    title, parameter_name, label = _("mine"), "mine", _("what I have in hand")

    def only(self, rows: Any, user: Any) -> QuerySet:
        return rows.filter(operator=user.pk, status__in=TASK_HELD)


class ClaimableFilter(YesFilter):
    title, parameter_name, label = _("claimable"), "claimable", _("what I may claim")

    def only(self, rows: Any, user: Any) -> QuerySet:
        return rows.claimable_by(user)


class UndispatchedFilter(YesFilter):
    title, parameter_name, label = _("undispatched"), "undispatched", _("without a department")

    def only(self, rows: Any, user: Any) -> QuerySet:
        return rows.undispatched()


class DepartmentFilter(DropdownFilter):
    """A department with everything below it. Lists what the reader sees."""

    title, parameter_name = _("department"), "department"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        self.rows = list(Department.objects.visible_to(request.user))
        return [(str(row.pk), row.label) for row in self.rows]

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        chosen = str(self.value() or "")
        if not chosen:
            return queryset
        if chosen not in {str(row.pk) for row in self.rows}:
            return queryset.none()
        found, size = {int(chosen)}, 0
        while len(found) != size:
            size = len(found)
            found |= {row.pk for row in self.rows if row.parent_id in found}
        return queryset.filter(department__in=found)


def leads_somebody(user: Any) -> bool:
    """Whether the reader looks after other people's work."""
    access = access_of(user)
    return access.sees_all or bool(access.leads)
