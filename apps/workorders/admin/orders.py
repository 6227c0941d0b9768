"""Work orders: the list, the form of a draft, and the page of an order with everything about it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from apps.accounts.access import access_of
from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.catalog.models import Tool
from apps.catalog.services import confirm_tool
from apps.core.admin import BulkVerb, DialogForm, ReasonForm, ScopedAdmin, ScopedFilter, ScopedInline, Verb
from apps.core.errors import InvalidInput
from apps.core.lists import LongList
from apps.imports.exportable import Exportable
from apps.workorders import looks, services
from apps.workorders.admin.filters import LateFilter, OpenFilter, ToCompleteFilter, WaitingFilter
from apps.workorders.admin.overview import order_overview
from apps.workorders.admin.sharing import UNSHARE
from apps.workorders.admin.why import WhyMixin
from apps.workorders.forms import CommentForm, ConfirmForm, OrderForm, ReceiveForm, ShareForm, SubmitForm
from apps.workorders.models import OrderLine, OrderMaterial, WorkOrder
from apps.workorders.moves import may_order, order_moves
from apps.workorders.searching import find_orders
from apps.workorders.states import ORDER_LIVE


class LineInline(ScopedInline):
    model = OrderLine
    fields = ["product", "quantity", "unit", "specification", "notes"]
    autocomplete_fields = ["product"]

    def get_extra(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> int:
        return 0 if obj else 1


class MaterialInline(ScopedInline):
    model = OrderMaterial
    fields = ["name", "size", "amount", "unit", "needs_cutting"]


PERSONS = ("customer", "maker", "created_by", "submitted_by", "approved_by")


def _receive(order: WorkOrder, *, by: Any, material: OrderMaterial) -> OrderMaterial:
    return services.receive_material(material, by=by)


def _confirm(order: WorkOrder, *, by: Any, tool: Tool) -> Tool:
    return confirm_tool(tool, by=by)


class WorkOrderAdmin(LongList, Exportable, WhyMixin, ScopedAdmin):
    """Saved by `create_order` and `revise_order`; everything else is a verb."""

    form = OrderForm
    change_form_template = "docket/orders/page.html"
    list_display = ["number", "external_number", "customer", "products", "due", "urgency", "state", "progress", "maker"]
    list_display_links = ["number"]
    export_columns = [
        "number", "external_number", "customer", "status", "priority", "order_date", "due_date", "product_code", "product_name",
        "quantity", "unit", "specification", "printing_type", "colours", "maker", "instructions", "run_quantity", "allowance", "created_at",
    ]  # fmt: skip
    export_prefetch = ("lines__product",)
    import_resource = "orders"
    list_filter = [
        ("status", ChoicesDropdownFilter),
        LateFilter,
        OpenFilter,
        WaitingFilter,
        ToCompleteFilter,
        ("customer", ScopedFilter),
        ("priority", ChoicesDropdownFilter),
        ("due_date", RangeDateFilter),
        ("maker", ScopedFilter),
    ]
    search_fields = ["number", "external_number", "customer__name", "customer__code", "lines__product__name", "lines__product__code"]
    search_help_text = gettext_lazy("Number, customer's number, customer or product")
    autocomplete_fields = ["customer", "route", "tools"]
    inlines = [LineInline, MaterialInline]
    fieldsets = [
        (gettext_lazy("Job"), {"fields": [("customer", "external_number"), ("maker", "priority")]}),
        (gettext_lazy("Dates"), {"fields": [("order_date", "due_date")]}),
        (gettext_lazy("Quantities"), {"fields": [("run_quantity", "allowance"), ("over_tolerance", "under_tolerance"), "ups"]}),
        (pgettext_lazy("section", "Printing"), {"fields": ["printing_type", ("process_colours", "spot_colours")]}),
        (gettext_lazy("Route and tools"), {"fields": [("route", "steps_text"), "tools", "instructions"]}),
    ]
    verbs = [
        Verb(
            "submit",
            gettext_lazy("Submit"),
            services.submit_order,
            SubmitForm,
            "send",
            "primary",
            done=gettext_lazy("Order %(object)s is submitted. It waits for approval."),
        ),
        Verb(
            "approve",
            gettext_lazy("Approve"),
            services.approve_order,
            CommentForm,
            "check_circle",
            "primary",
            done=gettext_lazy("Order %(object)s is approved. Its tasks are being dispatched."),
        ),
        Verb(
            "reject",
            gettext_lazy("Reject"),
            services.reject_order,
            ReasonForm,
            "undo",
            "danger",
            gettext_lazy("The maker gets it back with your reason."),
            gettext_lazy("Order %(object)s is rejected."),
        ),
        Verb(
            "resume",
            gettext_lazy("Resume"),
            services.resume_order,
            DialogForm,
            "play_arrow",
            "primary",
            gettext_lazy("The order goes on where it was held."),
            gettext_lazy("Order %(object)s goes on."),
        ),
        Verb(
            "dispatch",
            gettext_lazy("Dispatch now"),
            services.dispatch_order,
            DialogForm,
            "alt_route",
            "default",
            gettext_lazy("Sends the tasks that no dispatch has looked at yet, and those without a department."),
            gettext_lazy("The tasks of order %(object)s are dispatched."),
        ),
        Verb(
            "hold",
            gettext_lazy("Hold"),
            services.hold_order,
            ReasonForm,
            "pause",
            "default",
            gettext_lazy("Nothing more is started until it is resumed."),
            gettext_lazy("Order %(object)s is on hold."),
        ),
        Verb(
            "reopen",
            gettext_lazy("Reopen"),
            services.reopen_order,
            ReasonForm,
            "lock_open",
            "default",
            gettext_lazy("Its reports can then be corrected and its tasks taken up again."),
            gettext_lazy("Order %(object)s is open again."),
        ),
        Verb(
            "copy",
            gettext_lazy("Copy"),
            services.copy_order,
            DialogForm,
            "content_copy",
            "default",
            gettext_lazy("Makes a new draft with the same lines, materials and tools."),
            gettext_lazy("Order %(object)s is copied: this is the new draft."),
            goes_to=WorkOrder.get_absolute_url,
        ),
        Verb("share", gettext_lazy("Share"), services.share, ShareForm, "share", done=gettext_lazy("Order %(object)s is shared.")),
        Verb(
            "cancel",
            gettext_lazy("Cancel order"),
            services.cancel_order,
            ReasonForm,
            "cancel",
            "danger",
            gettext_lazy("All its open tasks are cancelled. What was reported stays."),
            gettext_lazy("Order %(object)s is cancelled."),
        ),
        Verb(
            "receive",
            gettext_lazy("Material received"),
            _receive,
            ReceiveForm,
            done=gettext_lazy("The material is received."),
            in_bar=False,
        ),
        Verb("confirm", gettext_lazy("Confirm tool"), _confirm, ConfirmForm, done=gettext_lazy("The tool is confirmed."), in_bar=False),
        UNSHARE,
    ]
    bulk_verbs = [
        BulkVerb("submit", gettext_lazy("Submit"), services.submit_order, permission="workorders.submit_workorder"),
        BulkVerb("approve", gettext_lazy("Approve"), services.approve_order, CommentForm, "workorders.approve_workorder"),
        BulkVerb("reject", gettext_lazy("Reject"), services.reject_order, ReasonForm, "workorders.approve_workorder"),
        BulkVerb("hold", gettext_lazy("Hold"), services.hold_order, ReasonForm, "workorders.hold_workorder"),
        BulkVerb("resume", gettext_lazy("Resume"), services.resume_order, permission="workorders.hold_workorder"),
        BulkVerb("cancel", gettext_lazy("Cancel orders"), services.cancel_order, ReasonForm, "workorders.cancel_workorder"),
        BulkVerb("dispatch", gettext_lazy("Dispatch now"), services.dispatch_order, permission="workorders.dispatch_workorder"),
    ]

    # -- the list

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("customer", "maker")

    def export_records(self, row: WorkOrder) -> Iterator[WorkOrder]:
        """A row for each line, as the import has them."""
        for line in list(row.lines.all()) or [None]:
            row.line = line
            yield row

    @display(description=gettext_lazy("Order number"))
    def number(self, order: WorkOrder) -> str:
        """Under the header that the import knows it by."""
        return order.number

    @display(description=gettext_lazy("Product code"))
    def product_code(self, order: WorkOrder) -> str:
        return order.line.product.code if order.line else ""

    @display(description=gettext_lazy("Product name"))
    def product_name(self, order: WorkOrder) -> str:
        return order.line.product.name if order.line else ""

    @display(description=gettext_lazy("Quantity"))
    def quantity(self, order: WorkOrder) -> int | None:
        return order.line.quantity if order.line else None

    @display(description=gettext_lazy("Unit"))
    def unit(self, order: WorkOrder) -> str:
        return order.line.get_unit_display() if order.line else ""

    @display(description=gettext_lazy("Specification"))
    def specification(self, order: WorkOrder) -> str:
        return order.line.specification if order.line else ""

    @display(description=gettext_lazy("Colours"))
    def colours(self, order: WorkOrder) -> str:
        return order.colours

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        return (find_orders(queryset, search_term), False) if "\0" not in search_term else (queryset.none(), False)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The rows with their progress and products: two more columns and one more query, whatever their number."""
        changelist = super().get_changelist_instance(request)
        shown = Prefetch("lines", OrderLine.objects.select_related("product"))
        changelist.result_list = changelist.result_list.with_progress().prefetch_related(shown)
        return changelist

    def get_quick_links(self, request: HttpRequest) -> Sequence[tuple[Any, str]]:
        access = access_of(request.user)
        links = [(_("Open"), "open=yes"), (_("Late"), "late=yes")]
        if access.has("workorders.approve_workorder"):
            links.append((_("Waiting for me"), "waiting=yes"))
        if access.has("workorders.submit_workorder"):
            links.append((_("Mine to complete"), "to_complete=yes"))
        return [*links, (_("On hold"), "status__exact=on_hold"), (_("Completed"), "status__exact=completed")]

    @admin.display(description=gettext_lazy("products"))
    def products(self, order: WorkOrder) -> str:
        lines = list(order.lines.all())
        text = ", ".join(f"{line.product.name} × {line.quantity}" for line in lines[:2])
        return _("%(products)s and %(count)s more") % {"products": text, "count": len(lines) - 2} if len(lines) > 2 else text or "–"

    @admin.display(description=gettext_lazy("due"), ordering="due_date")
    def due(self, order: WorkOrder) -> str:
        return looks.due_label(order)

    @admin.display(description=gettext_lazy("priority"), ordering="priority")
    def urgency(self, order: WorkOrder) -> str:
        return looks.priority_label(order)

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def state(self, order: WorkOrder) -> str:
        return looks.status_label(order)

    @admin.display(description=gettext_lazy("tasks done"))
    def progress(self, order: WorkOrder) -> str:
        return looks.bar(order.tasks_done, order.tasks_total) if order.tasks_total else "–"

    # -- who may what

    def moves(self, request: HttpRequest, obj: WorkOrder) -> Iterable[str]:
        access, live = access_of(request.user), obj.status in ORDER_LIVE
        moves = order_moves(request.user, obj)
        more = {
            "receive": live and may_order(access, "receive", obj),
            "confirm": live and access.has("catalog.confirm_tool"),
            "unshare": "share" in moves,
        }
        return [*moves, *(name for name, open_now in more.items() if open_now)]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A form that was open while the order moved on is still read: the service says why it cannot be saved."""
        allowed = super().has_change_permission(request, obj)
        if not allowed or not isinstance(obj, WorkOrder) or request.method == "POST":
            return allowed
        return "edit" in order_moves(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (not isinstance(obj, WorkOrder) or "delete" in order_moves(request.user, obj))

    # -- the form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list:
        """Fields are there to be changed; a page that is only read says them in its own words."""
        return [] if obj is not None and not self.has_change_permission(request, obj) else super().get_fieldsets(request, obj)

    def get_inlines(self, request: HttpRequest, obj: Any) -> list:
        """A page that is only read shows lines and materials above, with what may be done about them."""
        return [] if obj is not None and not self.has_change_permission(request, obj) else super().get_inlines(request, obj)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "maker":
            makers = User.objects.visible_to(request.user).filter(is_active=True)
            roles = [Role.MAKER, Role.SALESPERSON, Role.SUPERVISOR]
            kwargs["queryset"] = makers.filter(pk__in=User.objects.filter(groups__name__in=roles).values("pk"))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        mine = {"maker": request.user.pk} if access_of(request.user).roles & {Role.MAKER, Role.SALESPERSON} else {}
        return mine | super().get_changeform_initial_data(request)

    def save_model(self, request: HttpRequest, obj: WorkOrder, form: Any, change: bool) -> None:
        """Nothing yet: `save_related` has the parts as well."""

    def save_related(self, request: HttpRequest, form: Any, formsets: list, change: bool) -> None:
        """Hand the whole order to its verb, as cleaned and unsaved instances."""
        parts = {formset.model: _parts_of(formset) for formset in formsets}
        given = {"lines": parts.get(OrderLine), "materials": parts.get(OrderMaterial), "tools": form.cleaned_data.get("tools")}
        if change:
            if form.has_changed() or any(formset.has_changed() for formset in formsets):
                services.revise_order(form.instance, by=request.user, **given)
            return
        services.create_order(form.instance, by=request.user, **{name: rows or () for name, rows in given.items()})

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> list:
        return []

    def response_post_save_add(self, request: HttpRequest, obj: WorkOrder) -> HttpResponse:
        return HttpResponseRedirect(obj.get_absolute_url())

    response_post_save_change = response_post_save_add

    def delete_model(self, request: HttpRequest, obj: WorkOrder) -> None:
        services.delete_order(obj, by=request.user)

    # -- the page

    def render_change_form(self, request: HttpRequest, context: dict, *args: Any, obj: Any = None, **kwargs: Any) -> HttpResponse:
        if obj is not None:
            fresh = WorkOrder.objects.select_related(*PERSONS, "route", "copied_from").get(pk=obj.pk)
            context |= order_overview(fresh, request.user)
            context["locked_because"] = "" if self.has_change_permission(request, obj) else self._why_locked(request, fresh)
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def _why_locked(self, request: HttpRequest, order: WorkOrder) -> str:
        if order.is_editable:
            return _("You may read this order, but not change it. Its maker, the customer's salesperson or a supervisor may.")
        return _("The order is %(status)s, so its entries are read-only. A copy of it can be changed.") % {
            "status": order.get_status_display()
        }


def _parts_of(formset: Any) -> list[Any]:
    """The rows that an inline leaves standing: old ones, and new ones with something in them, without those struck out.

    Raises InvalidInput where it speaks of other old rows than there are: one that it leaves out would be taken away.
    """
    if {row.pk for row in formset.get_queryset()} != {form.instance.pk for form in formset.initial_forms}:
        raise InvalidInput(_("A line of the form is not there any more. Load the page again."), code="foreign_part")
    struck_out = formset.deleted_forms if formset.can_delete else []
    return [form.instance for form in formset.forms if form not in struck_out and (form.instance.pk is not None or form.has_changed())]


admin.site.register(WorkOrder, WorkOrderAdmin)
