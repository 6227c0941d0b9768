"""The catalogue: customers, products, processes, routes and tools."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelect2MultipleWidget

from apps.accounts.access import access_of
from apps.accounts.roles import Role
from apps.catalog.models import Customer, Process, Product, Route, RouteStep, Tool
from apps.catalog.services import confirm_tool
from apps.core import activation
from apps.core.admin import BulkVerb, ScopedAdmin, ScopedFilter, ScopedInline, Verb
from apps.imports.exportable import Exportable

IN_USE = (_("In use"), "is_active__exact=1")
OUT_OF_USE = (_("Out of use"), "is_active__exact=0")
ACTIVE_FILTER = ("is_active", BooleanRadioFilter)
NOT_OFFERED = _("New orders are not offered it any more. What it is part of stays as it is.")


def _pair(name: str) -> dict[str, Any]:
    """The two verbs of taking a kind of thing out of use, for a page and for a list."""
    permission = f"catalog.change_{name}"
    return {"verbs": activation.verbs(permission, NOT_OFFERED), "bulk_verbs": activation.bulk_verbs(permission, NOT_OFFERED)}


@admin.register(Customer)
class CustomerAdmin(Exportable, ScopedAdmin):
    list_display = ("name", "code", "salesperson", "contact", "phone", "is_active")
    list_filter = (("salesperson", ScopedFilter), ACTIVE_FILTER)
    list_select_related = ("salesperson",)
    search_fields = ("name", "code", "contact", "phone")
    fields = (("code", "name"), "salesperson", ("contact", "phone"), "address")
    quick_links = (IN_USE, OUT_OF_USE, (_("Without a salesperson"), "salesperson__isnull=True"))
    export_columns = ("code", "name", "salesperson__username", "contact", "phone", "address", "is_active")
    import_resource = "customers"
    verbs, bulk_verbs = _pair("customer").values()

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet:
        rows = super().get_field_queryset(db, db_field, request)
        return rows.with_role(Role.SALESPERSON) if db_field.name == "salesperson" else rows


@admin.register(Product)
class ProductAdmin(Exportable, ScopedAdmin):
    list_display = ("name", "code", "unit", "specification", "route", "is_active")
    list_filter = (("unit", ChoicesDropdownFilter), ("route", ScopedFilter), ACTIVE_FILTER)
    list_select_related = ("route",)
    search_fields = ("name", "code", "specification")
    fields = (("code", "name"), ("unit", "specification"), "route")
    autocomplete_fields = ("route",)
    quick_links = (IN_USE, OUT_OF_USE, (_("Without a route"), "route__isnull=True"))
    export_columns = ("code", "name", "unit", "specification", "route_codes", "is_active")
    export_prefetch = ("route__steps__process",)
    import_resource = "products"
    verbs, bulk_verbs = _pair("product").values()

    @display(description=_("route"))
    def route_codes(self, product: Product) -> str:
        """As the import reads it: CTP > CUT > PRT."""
        return " > ".join(step.process.code for step in product.route.steps.all()) if product.route else ""


@admin.register(Process)
class ProcessAdmin(ScopedAdmin):
    list_display = ("label", "code", "stage", "task_rule", "needs_tool", "setup_minutes", "minutes_per_1000", "places", "is_active")
    list_display_links = ("label",)
    list_filter = (("stage", ChoicesDropdownFilter), ("needs_tool", ChoicesDropdownFilter), ("departments", ScopedFilter), ACTIVE_FILTER)
    search_fields = ("code", "name", "name_zh")
    fieldsets = (
        (None, {"fields": (("code", "position"), ("name", "name_zh"))}),
        (_("What it makes"), {"fields": (("task_rule", "needs_tool"), "stage")}),
        (_("How long it takes"), {"fields": (("setup_minutes", "minutes_per_1000"),)}),
        (_("Where it is done"), {"fields": ("departments",)}),
    )
    quick_links = (IN_USE, OUT_OF_USE)
    verbs, bulk_verbs = _pair("process").values()

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("departments")

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "departments":
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    @display(description=_("process"), ordering="name")
    def label(self, obj: Process) -> str:
        return obj.label

    @display(description=_("departments"))
    def places(self, obj: Process) -> str:
        return ", ".join(one.label for one in obj.departments.all()) or "–"


class RouteStepFormSet(PaginationInlineFormSet):
    """The steps of a route: what a step waits for comes before it."""

    def clean(self) -> None:
        super().clean()
        for form in self.forms:
            values = getattr(form, "cleaned_data", {})
            position, after = values.get("position"), values.get("after") or ()
            if position is None or values.get("DELETE"):
                continue
            positions = self._positions()
            for step in after:
                if positions.get(step.pk, step.position) >= position:
                    form.add_error("after", forms.ValidationError(
                        _("%(step)s does not come before this step. Choose earlier steps only."), params={"step": step}, code="order"
                    ))  # fmt: skip

    def _positions(self) -> dict[int, int]:
        """The steps' positions as they will be saved."""
        return {
            form.instance.pk: form.cleaned_data["position"]
            for form in self.forms
            if form.instance.pk and getattr(form, "cleaned_data", {}).get("position") is not None
        }


class RouteStepInline(ScopedInline):
    """The steps in order: drag them, or write their positions."""

    model = RouteStep
    formset = RouteStepFormSet
    fields = ("position", "process", "after", "transfer_minimum")
    ordering_field = "position"
    autocomplete_fields = ("process",)
    hide_title = True

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Only steps of the same route can come before one; a new step gets its own after the first save."""
        if db_field.name != "after":
            return super().formfield_for_manytomany(db_field, request, **kwargs)
        route = request.resolver_match.kwargs.get("object_id", "")
        steps = RouteStep.objects.visible_to(request.user).select_related("process")
        kwargs |= {"queryset": steps.filter(route=route) if route.isdecimal() else steps.none(), "widget": UnfoldAdminSelect2MultipleWidget}
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        field.widget.attrs["class"] = UnfoldAdminSelect2MultipleWidget().attrs["class"]  # unfold puts those of a plain list there
        return field


@admin.register(Route)
class RouteAdmin(ScopedAdmin):
    list_display = ("name", "code", "step_names", "product_count", "is_active")
    list_filter = (ACTIVE_FILTER,)
    search_fields = ("name", "code")
    fields = (("code", "name"),)
    inlines = (RouteStepInline,)
    quick_links = (IN_USE, OUT_OF_USE)
    verbs, bulk_verbs = _pair("route").values()

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        products = Product.objects.filter(route=OuterRef("pk")).order_by().values("route").annotate(n=Count("pk")).values("n")
        rows = super().get_queryset(request).prefetch_related("steps__process")
        return rows.annotate(product_count=Coalesce(Subquery(products), 0))

    @display(description=_("steps"))
    def step_names(self, obj: Route) -> str:
        return format_html_join(" → ", "{}", ((step.process.label,) for step in obj.steps.all())) or "–"

    @display(description=_("products"), ordering="product_count")
    def product_count(self, obj: Route) -> int:
        return obj.product_count


class ConfirmedFilter(DropdownFilter):
    """What still waits for somebody to look at it."""

    title = _("confirmed")
    parameter_name = "confirmed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("confirmed")), ("no", _("not confirmed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() in ("yes", "no"):
            return queryset.filter(confirmed_at__isnull=self.value() == "no")
        return queryset


@admin.register(Tool)
class ToolAdmin(Exportable, ScopedAdmin):
    """Artworks, dies and plates. A confirmed one is what the floor works with: what it is does not change any more."""

    list_display = ("name_and_code", "kind", "customer", "state", "confirmed_by", "confirmed_at", "is_active")
    list_filter = (("kind", ChoicesDropdownFilter), ConfirmedFilter, ("customer", ScopedFilter), ACTIVE_FILTER)
    list_select_related = ("customer", "confirmed_by")
    search_fields = ("code", "name", "customer__name", "products__name", "products__code")
    fieldsets = (
        (None, {"fields": (("kind", "code", "revision"), "name")}),
        (_("For what"), {"fields": ("customer", "products")}),
        (_("Confirmed"), {"fields": (("confirmed_at", "confirmed_by"),)}),
    )
    autocomplete_fields = ("products",)
    export_columns = ("kind", "code", "revision", "name", "customer__code", "product_codes", "confirmed_at", "is_active")
    export_prefetch = ("products",)
    import_resource = "tools"
    quick_links = ((_("To confirm"), "confirmed=no&is_active__exact=1"), (_("Confirmed"), "confirmed=yes"), OUT_OF_USE)
    verbs = (
        Verb(
            "confirm", _("Confirm"), confirm_tool, icon="verified", variant="primary",
            text=_("Say that it is right and here. Steps that wait for it may start; its kind, code and revision are then fixed."),
            done=_("%(object)s is confirmed."),
            when=lambda user, tool: tool.confirmed_at is None and tool.is_active and access_of(user).has("catalog.confirm_tool"),
        ),
        *activation.verbs("catalog.change_tool", NOT_OFFERED),
    )  # fmt: skip
    bulk_verbs = (
        BulkVerb("confirm", _("Confirm"), confirm_tool, permission="catalog.confirm_tool"),
        *activation.bulk_verbs("catalog.change_tool", NOT_OFFERED),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Tool | None = None) -> tuple[str, ...]:
        fixed = ("kind", "code", "revision") if obj is not None and obj.confirmed_at else ()
        return (*fixed, "confirmed_at", "confirmed_by")

    def get_fieldsets(self, request: HttpRequest, obj: Tool | None = None) -> Any:
        return self.fieldsets if obj is not None else self.fieldsets[:2]

    @display(description=_("Product codes"))
    def product_codes(self, tool: Tool) -> str:
        return ", ".join(sorted(product.code for product in tool.products.all()))

    @display(description=_("tool"), ordering="code", header=True)
    def name_and_code(self, obj: Tool) -> list[str]:
        return [str(obj), obj.name]

    @display(description=_("state"), label={"yes": "success", "no": "warning"})
    def state(self, obj: Tool) -> tuple[str, Any]:
        return ("yes", _("confirmed")) if obj.confirmed_at else ("no", _("not confirmed"))
