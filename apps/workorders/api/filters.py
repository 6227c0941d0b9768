"""How tasks and orders are found."""

from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field

from apps.core.filters import CodeFilter, IdField, TruthFilter, WordsFilter
from apps.workorders.models import Task, WorkOrder
from apps.workorders.states import OrderStatus, Priority, TaskStatus

_PRIORITIES = [(member.name.lower(), member.label) for member in Priority] + [(str(member.value), member.label) for member in Priority]


class PersonField(forms.CharField):
    """The id of a user, or `me`."""

    def clean(self, value: Any) -> str | int | None:
        text = super().clean(value)
        if not text or text == "me":
            return text
        try:
            return IdField().clean(text)
        except ValidationError as error:
            raise ValidationError(_("Write the id of a user, or me."), code="invalid") from error


@extend_schema_field({"type": "string", "pattern": "^(me|[1-9][0-9]{0,14})?$"})
class PersonFilter(django_filters.CharFilter):
    field_class = PersonField


class PriorityFilter(WordsFilter):
    """`?priority=urgent,high` or `?priority=4,3`"""

    def filter(self, queryset: QuerySet, value: list[str] | None) -> QuerySet:
        if not value:
            return queryset
        return queryset.filter(priority__in=[int(word) if word.isdecimal() else Priority[word.upper()] for word in value])


class CommonFilters(django_filters.FilterSet):
    """What lists of tasks and of orders have in common."""

    priority = PriorityFilter(choices=_PRIORITIES, help_text="One or more, with commas: low, normal, high, urgent.")
    due_before = django_filters.DateFilter(field_name="due_date", lookup_expr="lt")
    late = TruthFilter(method="only_late")
    search = django_filters.CharFilter(method="find", max_length=80)

    def only_late(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        late = queryset.model.objects.late()
        return queryset.filter(pk__in=late.values("pk")) if value else queryset.exclude(pk__in=late.values("pk"))

    def find(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        raise NotImplementedError


class TaskFilters(CommonFilters):
    status = WordsFilter(choices=TaskStatus.choices, help_text="One or more, with commas.")
    department = CodeFilter(
        paths=("department", "department__parent", "department__parent__parent"), help_text="Id or code; those below it count."
    )
    assigned_department = CodeFilter(
        paths=("department", "department__parent", "department__parent__parent"), help_text="The same as department."
    )
    assigned_operator = PersonFilter(method="of_person", help_text="The id of a user, or `me`.")
    process = CodeFilter(paths=("step__process",), help_text="Id or code.")
    workorder = CodeFilter(paths=("order",), code="number", help_text="Id or number of the order.")
    claimable = TruthFilter(method="only_claimable", help_text="Those that the caller could claim now.")

    class Meta:
        model = Task
        fields = ()

    def of_person(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.filter(operator=self.request.user.pk if value == "me" else value)

    def only_claimable(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        if value:
            return queryset.claimable_by(self.request.user)
        return queryset.exclude(pk__in=Task.objects.claimable_by(self.request.user).values("pk"))

    def find(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        orders = Q(number__icontains=value) | Q(external_number__icontains=value) | Q(customer__name__icontains=value)
        return queryset.filter(order__in=WorkOrder.objects.filter(orders).order_by().values("pk"))


class OrderFilters(CommonFilters):
    status = WordsFilter(choices=OrderStatus.choices, help_text="One or more, with commas.")
    customer = CodeFilter(paths=("customer",), help_text="Id or code.")
    waiting = TruthFilter(method="only_waiting", help_text="Those that wait for the caller's approval.")

    class Meta:
        model = WorkOrder
        fields = ()

    def only_waiting(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        waiting = queryset.waiting_for(self.request.user)
        return waiting if value else queryset.exclude(pk__in=waiting.order_by().values("pk"))

    def find(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.filter(Q(number__icontains=value) | Q(external_number__icontains=value) | Q(customer__name__icontains=value))
