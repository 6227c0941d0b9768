"""Work orders: lists, the one order, drafts and their edits, and every verb as a command."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.response import Response

from apps.catalog.models import Customer, Product, Route, Tool
from apps.core.api import KEY_PARAMETER, DetailView, ListView, ScopedViewSet, command, expected_version
from apps.core.errors import InvalidInput, StaleEdit
from apps.core.shapes import Amount, Body, Choice, Nothing, Percent, Reference, Text, Truth, Whole, resolve
from apps.core.units import Unit
from apps.workorders import services
from apps.workorders.api.filters import OrderFilters
from apps.workorders.api.shapes import OrderDetailShape, OrderShape
from apps.workorders.models import MOST, OrderLine, OrderMaterial, PrintingType, WorkOrder
from apps.workorders.states import Priority

MOST_PARTS = 200
IF_MATCH = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": r'^"[0-9]{1,18}\.[0-9]{1,9}\.[0-9a-f]{16}"$'},
    OpenApiParameter.HEADER,
    description="The ETag of what was edited.",
    required=True,
)


class LineBody(Body):
    """A product line. With `id` it changes that line; without it is a new one; lines that are not named go."""

    id = Whole(min_value=1, required=False)
    product = Reference(help_text="Id or code.")
    quantity = Whole(min_value=1, max_value=MOST)
    unit = serializers.ChoiceField(Unit.choices, required=False, allow_blank=True)
    specification = Text(max_length=300, required=False, allow_blank=True)
    notes = Text(max_length=500, required=False, allow_blank=True)


class MaterialBody(Body):
    """A material, by the same rule as a line."""

    id = Whole(min_value=1, required=False)
    name = Text(max_length=120)
    size = Text(max_length=60, required=False, allow_blank=True)
    amount = Amount(required=False, allow_null=True)
    unit = serializers.ChoiceField(Unit.choices, required=False)
    needs_cutting = Truth(required=False)


class OrderBody(Body):
    """What a draft may say. Everything can come later; submitting names what is missing."""

    customer = Reference(required=False, allow_null=True, help_text="Id or code.")
    due_date = serializers.DateField(required=False, allow_null=True)
    delivery_date = serializers.DateField(required=False, allow_null=True, help_text="The same as due_date.")
    order_date = serializers.DateField(required=False)
    priority = Choice(Priority, required=False)
    production_quantity = Whole(min_value=0, max_value=MOST, required=False, help_text="Press runs. 0: as many as the lines need.")
    allowance = Whole(min_value=0, max_value=MOST, required=False)
    external_number = Text(max_length=60, required=False, allow_blank=True)
    over_tolerance = Percent(required=False, allow_null=True)
    under_tolerance = Percent(required=False, allow_null=True)
    route = Reference(required=False, allow_null=True, help_text="Id or code. Empty: the routes of the products, merged.")
    steps_text = Text(max_length=500, required=False, allow_blank=True, help_text="Own steps: CTP > CUT > PRT > PACK")
    printing_type = serializers.ChoiceField(PrintingType.choices, required=False)
    process_colours = Text(max_length=4, required=False, allow_blank=True)
    spot_colours = Text(max_length=120, required=False, allow_blank=True)
    ups = Whole(min_value=1, max_value=1000, required=False)
    instructions = Text(max_length=4000, required=False, allow_blank=True)
    lines = LineBody(many=True, required=False, max_length=MOST_PARTS)
    materials = MaterialBody(many=True, required=False, max_length=MOST_PARTS)
    tools = serializers.ListField(child=Reference(), required=False, max_length=MOST_PARTS, help_text="Ids or codes.")

    def validate(self, values: dict) -> dict:
        if "delivery_date" in values:
            delivery = values.pop("delivery_date")
            if values.setdefault("due_date", delivery) != delivery:
                told = _("due_date and delivery_date are the same thing. Send one of them.")
                raise serializers.ValidationError({"delivery_date": [serializers.ErrorDetail(told, code="said_twice")]})
        return values


class DecisionBody(Body):
    """`reason` (or `comment`) says why; where the verb needs one and it is missing, the answer is 409 `reason_needed`."""

    reason = Text(max_length=1000, required=False, allow_blank=True)
    comment = Text(max_length=1000, required=False, allow_blank=True)


EXAMPLE = {
    "customer": "SUN",
    "due_date": "2026-12-01",
    "priority": "high",
    "production_quantity": 5000,
    "lines": [{"product": "CARTON-1", "quantity": 5000}],
}
PLAIN = (
    "due_date", "order_date", "priority", "allowance", "external_number", "over_tolerance", "under_tolerance", "steps_text",
    "printing_type", "process_colours", "spot_colours", "ups", "instructions",
)  # fmt: skip


@extend_schema_view(list=extend_schema(summary="List orders"))
class WorkOrderViewSet(ListView, DetailView, ScopedViewSet):
    """Orders that the caller sees, with the verbs that he may use on each now."""

    model = WorkOrder
    serializer_class = OrderShape
    detail_serializer_class = OrderDetailShape
    filterset_class = OrderFilters
    orderings = {
        "id": "pk",
        "number": "number",
        "due_date": "due_date",
        "priority": "priority",
        "status": "status",
        "order_date": "order_date",
        "created_at": "created_at",
        "updated_at": "updated_at",
    }

    def rows(self, queryset: QuerySet) -> QuerySet:
        return queryset.for_list()

    def row(self, queryset: QuerySet) -> QuerySet:
        lines = Prefetch("lines", OrderLine.objects.select_related("product"))
        return queryset.for_list().select_related("route").prefetch_related(lines, "materials", "tools")

    @extend_schema(summary="Show an order", responses=OrderDetailShape)
    def retrieve(self, request: Any, pk: str) -> Response:
        return super().retrieve(request, pk)

    @extend_schema(
        summary="Make a draft with its draft tasks",
        request=OrderBody,
        responses={201: OrderDetailShape},
        parameters=[KEY_PARAMETER],
        filters=False,
        examples=[OpenApiExample("draft", value=EXAMPLE, request_only=True)],
    )
    def create(self, request: Any) -> Response:
        body = self.body(OrderBody)
        order = WorkOrder()
        parts = self.fill(order, body)
        made = services.create_order(
            order, lines=parts["lines"] or [], materials=parts["materials"] or [], tools=parts["tools"] or [], by=request.user
        )
        response = self.done(made, status=201)
        response["Location"] = request.build_absolute_uri(f"/api/workorders/{made.pk}/")
        return response

    @extend_schema(
        summary="Edit a draft or rejected order",
        request=OrderBody,
        responses=OrderDetailShape,
        parameters=[IF_MATCH],
        examples=[OpenApiExample("edit", value={"due_date": "2026-12-08", "priority": "urgent"}, request_only=True)],
    )
    def partial_update(self, request: Any, pk: str) -> Response:
        order = self.get_object()
        version = expected_version(request, order, lambda: self.shown(order).data)
        parts = self.fill(order, self.body(OrderBody))
        try:
            return self.done(services.revise_order(order, **parts, by=request.user, version=version))
        except StaleEdit as refusal:
            refusal.extra["current"] = self.shown(self.get_object()).data
            raise

    @extend_schema(summary="Delete a draft or rejected order", responses={204: None})
    def destroy(self, request: Any, pk: str) -> Response:
        services.delete_order(self.target(), by=request.user)
        return Response(status=204)

    def fill(self, order: WorkOrder, body: Mapping[str, Any]) -> dict[str, Any]:
        """Write the body's values on the unsaved `order`, and hand back its parts: None where the body does not name them."""
        user = self.request.user
        for name in PLAIN:
            if name in body:
                setattr(order, name, body[name])
        if "production_quantity" in body:
            order.run_quantity = body["production_quantity"]
        for name, rows in (("customer", Customer), ("route", Route)):
            if body.get(name) is not None:
                setattr(order, name, resolve({name: body[name]}, rows.objects.visible_to(user).active())[name])
            elif name in body:
                setattr(order, name, None)
        lines = _parts(order, OrderLine, body["lines"], "lines") if "lines" in body else None
        if lines:
            products = {f"lines.{position}.product": line["product"] for position, line in enumerate(body["lines"])}
            for line, product in zip(lines, resolve(products, Product.objects.visible_to(user).active()).values(), strict=True):
                line.product = product
        tools = None
        if "tools" in body:
            wanted = {f"tools.{position}": tool for position, tool in enumerate(body["tools"])}
            newest_last = Tool.objects.visible_to(user).filter(is_active=True).order_by("revision")
            tools = list(dict.fromkeys(resolve(wanted, newest_last).values()))
        materials = _parts(order, OrderMaterial, body["materials"], "materials") if "materials" in body else None
        return {"lines": lines, "materials": materials, "tools": tools}

    def do(self, verb: Callable[..., WorkOrder], **arguments: Any) -> Response:
        """Find the order in sight, do the verb, show what became of it."""
        return self.done(verb(self.target(), by=self.request.user, **arguments))

    def reason(self) -> str:
        body = self.body(DecisionBody)
        return body.get("reason") or body.get("comment") or ""

    @command(answer=OrderDetailShape, summary="Hand an order over for approval")
    def submit(self, request: Any, pk: str) -> Response:
        self.body(Nothing)
        return self.do(services.submit_order)

    @command(DecisionBody, OrderDetailShape, example={"comment": "price agreed"}, summary="Approve an order")
    def approve(self, request: Any, pk: str) -> Response:
        return self.do(services.approve_order, comment=self.reason())

    @command(DecisionBody, OrderDetailShape, example={"reason": "wrong paper"}, summary="Send an order back")
    def reject(self, request: Any, pk: str) -> Response:
        return self.do(services.reject_order, reason=self.reason())

    @command(DecisionBody, OrderDetailShape, example={"reason": "waiting for the customer"}, summary="Stop an order")
    def hold(self, request: Any, pk: str) -> Response:
        return self.do(services.hold_order, reason=self.reason())

    @command(DecisionBody, OrderDetailShape, example={}, summary="Go on with an order on hold")
    def resume(self, request: Any, pk: str) -> Response:
        self.reason()
        return self.do(services.resume_order)

    @command(DecisionBody, OrderDetailShape, example={"reason": "the customer withdrew"}, summary="Cancel an order and its open tasks")
    def cancel(self, request: Any, pk: str) -> Response:
        return self.do(services.cancel_order, reason=self.reason())

    @command(DecisionBody, OrderDetailShape, example={"reason": "200 are missing"}, summary="Open a completed order again")
    def reopen(self, request: Any, pk: str) -> Response:
        return self.do(services.reopen_order, reason=self.reason())

    @command(answer=OrderDetailShape, summary="A new draft like this order", status=201)
    def copy(self, request: Any, pk: str) -> Response:
        self.body(Nothing)
        return self.done(services.copy_order(self.target(), by=request.user), status=201)

    @command(answer=OrderDetailShape, summary="Dispatch the order's waiting tasks now", path="dispatch")
    def dispatch_now(self, request: Any, pk: str) -> Response:
        self.body(Nothing)
        order = self.target()
        services.dispatch_order(order, by=request.user)
        return self.done(order)


def _parts(order: WorkOrder, model: Any, bodies: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    """Unsaved parts as the bodies say; those with an id are the order's own, changed. At most one query."""
    known = {part.pk: part for part in model.objects.filter(order=order)} if order.pk and any("id" in body for body in bodies) else {}
    foreign = [
        InvalidInput(_("This order has no such part. Leave the id out to add a new one."), field=f"{name}.{position}.id", code="unknown")
        for position, body in enumerate(bodies)
        if "id" in body and body["id"] not in known
    ]
    if foreign:
        raise InvalidInput(problems=foreign)
    parts = []
    for body in bodies:
        part = known[body["id"]] if "id" in body else model(order=order if order.pk else None)
        for field, value in body.items():
            if field not in ("id", "product"):
                setattr(part, field, value)
        parts.append(part)
    return parts
