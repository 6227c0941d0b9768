"""Customers, products and processes, to read: what orders point to."""

from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from apps.catalog.models import Customer, Process, Product
from apps.core.api import DetailView, ListView, ScopedViewSet
from apps.core.filters import CodeFilter, TruthFilter


class CustomerShape(serializers.ModelSerializer):
    salesperson = serializers.CharField(source="salesperson.get_full_name", default=None, allow_null=True)

    class Meta:
        model = Customer
        fields = ("id", "code", "name", "salesperson", "contact", "phone", "address", "is_active", "version")


class ProductShape(serializers.ModelSerializer):
    route = serializers.CharField(source="route.code", default=None, allow_null=True)

    class Meta:
        model = Product
        fields = ("id", "code", "name", "unit", "specification", "route", "is_active", "version")


class ProcessShape(serializers.ModelSerializer):
    label = serializers.CharField(help_text="The name in the caller's language.")
    departments = serializers.SerializerMethodField(help_text="Codes of the departments that can do it.")

    class Meta:
        model = Process
        fields = (
            "id", "code", "name", "name_zh", "label", "position", "stage", "task_rule", "needs_tool", "setup_minutes", "minutes_per_1000",
            "departments", "is_active", "version",
        )  # fmt: skip

    def get_departments(self, process: Process) -> list[str]:
        return [department.code for department in process.departments.all()]


class ByCodeOrName(django_filters.FilterSet):
    """What the three lists have in common."""

    is_active = TruthFilter()
    search = django_filters.CharFilter(method="find", max_length=80, help_text="A part of code or name.")

    def find(self, queryset: QuerySet, name: str, value: str) -> QuerySet:
        return queryset.filter(Q(code__icontains=value) | Q(name__icontains=value))


class CustomerFilters(ByCodeOrName):
    class Meta:
        model = Customer
        fields = ()


class ProductFilters(ByCodeOrName):
    class Meta:
        model = Product
        fields = ()


class ProcessFilters(ByCodeOrName):
    department = CodeFilter(paths=("departments",), help_text="Id or code of a department that can do it.")

    class Meta:
        model = Process
        fields = ()


@extend_schema_view(list=extend_schema(summary="List customers"), retrieve=extend_schema(summary="Show a customer"))
class CustomerViewSet(ListView, DetailView, ScopedViewSet):
    """Customers: a salesperson sees his own."""

    model = Customer
    serializer_class = CustomerShape
    filterset_class = CustomerFilters
    orderings = {"id": "pk", "name": "name", "code": "code"}

    def rows(self, queryset: Any) -> Any:
        return queryset.select_related("salesperson")


@extend_schema_view(list=extend_schema(summary="List products"), retrieve=extend_schema(summary="Show a product"))
class ProductViewSet(ListView, DetailView, ScopedViewSet):
    """Products."""

    model = Product
    serializer_class = ProductShape
    filterset_class = ProductFilters
    orderings = {"id": "pk", "name": "name", "code": "code"}

    def rows(self, queryset: Any) -> Any:
        return queryset.select_related("route")


@extend_schema_view(list=extend_schema(summary="List processes"), retrieve=extend_schema(summary="Show a process"))
class ProcessViewSet(ListView, DetailView, ScopedViewSet):
    """Kinds of work."""

    model = Process
    serializer_class = ProcessShape
    filterset_class = ProcessFilters
    orderings = {"id": "pk", "position": "position", "code": "code"}
    default_ordering = "position"

    def rows(self, queryset: Any) -> Any:
        return queryset.prefetch_related("departments")
