"""Scans over HTTP: what a code stands for, one scan, many scans, what became of them, and a customer's own codes."""

from collections.abc import Callable
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from apps.core import idempotency
from apps.core.api import KEY_PARAMETER, DetailView, ListView, ScopedViewSet, command, device_of
from apps.core.errors import InvalidInput, RuleError
from apps.core.filters import TruthFilter, WordsFilter, refuse_unknown
from apps.core.parsers import StrictJSON
from apps.core.shapes import LARGEST_NUMBER, Body, Text, Whole
from apps.scanning.authentication import PersonOrDevice
from apps.scanning.codes import BadCode, Kind
from apps.scanning.items import LONGEST_CODE, VERBS, moment_of
from apps.scanning.models import OperatorSession, Outcome, Scan
from apps.scanning.services import finding, scans
from apps.scanning.services.link import link_code
from apps.workorders.models import MOST, ReasonCode, WorkOrder

LARGEST_BATCH = 768 * 1024


class BatchJSON(StrictJSON):
    """Up to 768 KiB; what is wrong in one item is that item's answer, not the batch's."""

    largest = LARGEST_BATCH
    checks_texts = False


class CounterBody(Body):
    """What the press's own counter said before and after."""

    start = Whole(min_value=0, max_value=LARGEST_NUMBER)
    end = Whole(min_value=0, max_value=LARGEST_NUMBER)


class ScanBody(Body):
    """One scan as it was captured. It is read by apps.scanning.items, for a batch and for a single one alike; this is its schema."""

    client_event_id = serializers.UUIDField(help_text="Made when the code was captured, kept for every sending: it counts once for ever.")
    code = Text(max_length=LONGEST_CODE, help_text="What the scanner read.")
    verb = serializers.ChoiceField(VERBS, required=False, allow_blank=True, help_text="Empty: the next natural one (start, or resume).")
    quantity = Whole(min_value=0, max_value=MOST, required=False, allow_null=True, help_text="Good pieces added; with report and complete.")
    scrap = Whole(min_value=0, max_value=MOST, required=False, allow_null=True)
    reason = Text(max_length=1000, required=False, allow_blank=True, help_text="A reason's code, or a text.")
    reason_code = serializers.ChoiceField(ReasonCode.choices, required=False, allow_blank=True)
    badge = Text(max_length=40, required=False, allow_blank=True, help_text="The badge scanned along; it has to be the signed-in person's.")
    captured_at = serializers.DateTimeField(required=False, allow_null=True, help_text="By the handheld's clock, with its zone.")
    device_time = serializers.DateTimeField(
        required=False, allow_null=True, help_text="The handheld's clock when it sent this; in a batch the batch's own counts."
    )
    lane = Text(max_length=64, required=False, allow_blank=True, help_text="One for each task: a lane stays in order.")
    seq = Whole(min_value=-LARGEST_NUMBER, max_value=LARGEST_NUMBER, required=False, allow_null=True, help_text="The place in the lane.")
    counter = CounterBody(required=False, allow_null=True, help_text="Instead of a quantity: end - start - scrap.")


class BatchBody(Body):
    device_time = serializers.DateTimeField(required=False, allow_null=True, help_text="The handheld's clock when it sent this.")
    items = ScanBody(many=True, help_text="At most 200. A wrong one is refused by itself.")


class WarningShape(serializers.Serializer):
    code = serializers.CharField()
    detail = serializers.CharField()


class ScannedTaskShape(serializers.Serializer):
    """What an answer shows of a task."""

    id = serializers.IntegerField()
    number = serializers.CharField()
    order_number = serializers.CharField()
    product = serializers.CharField()
    process = serializers.CharField()
    status = serializers.CharField()
    planned = serializers.IntegerField()
    good = serializers.IntegerField()
    scrap = serializers.IntegerField()
    left = serializers.IntegerField()
    percent = serializers.IntegerField()
    moves = serializers.ListField(child=serializers.CharField())


class ResultShape(serializers.Serializer):
    """What became of a scan. `outcome` is what its first sending got, `result` what this one did."""

    client_event_id = serializers.CharField()
    result = serializers.ChoiceField(["applied", "duplicate", "refused", "held", "blocked"])
    outcome = serializers.ChoiceField(["applied", "refused", "held", "blocked"])
    code = serializers.CharField(help_text="Of a refusal, or why it was held or blocked; else empty.")
    detail = serializers.CharField(help_text="A whole sentence for the screen, as it was told the first time.")
    verb = serializers.CharField(help_text="What was done.")
    task = ScannedTaskShape(allow_null=True)
    warnings = WarningShape(many=True)
    scan_id = serializers.IntegerField(allow_null=True)


class ClockShape(serializers.Serializer):
    offset_seconds = serializers.FloatField(allow_null=True, help_text="The handheld's clock minus the server's.")
    is_off = serializers.BooleanField(help_text="By more than two minutes: not believed.")


class BatchShape(serializers.Serializer):
    """One result for each item, in the order of the items, and how many of each kind."""

    results = ResultShape(many=True)
    applied = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    refused = serializers.IntegerField()
    held = serializers.IntegerField()
    blocked = serializers.IntegerField()
    clock = ClockShape()
    received_at = serializers.DateTimeField()


class ResolvedOrderShape(serializers.Serializer):
    id = serializers.IntegerField()
    number = serializers.CharField()
    customer = serializers.CharField()
    product = serializers.CharField()
    status = serializers.CharField()
    due_date = serializers.DateField(allow_null=True)
    revision = serializers.IntegerField()
    is_late = serializers.BooleanField()


class ResolvedPersonShape(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class ResolvedReasonShape(serializers.Serializer):
    code = serializers.CharField()
    label = serializers.CharField()


class ResolvedShape(serializers.Serializer):
    """What a code stands for, and what the caller may do with it now."""

    code = serializers.CharField()
    kind = serializers.ChoiceField(["order", "task", "badge", "command", "reason"])
    ticket_revision = serializers.IntegerField(allow_null=True, help_text="Of the paper that the code was on.")
    order = ResolvedOrderShape(allow_null=True)
    task = ScannedTaskShape(allow_null=True, help_text="The task, or the caller's only open one of the order.")
    person = ResolvedPersonShape(allow_null=True)
    command = serializers.CharField()
    reason = ResolvedReasonShape(allow_null=True)
    verbs = serializers.ListField(child=serializers.CharField())
    warnings = WarningShape(many=True, help_text="old_ticket, blocked, already_done, late, on_hold")


class ScanShape(serializers.ModelSerializer):
    """A scan as it came, and what became of it."""

    device = serializers.CharField(source="device.name", default=None, allow_null=True)
    person = serializers.CharField(source="user.get_full_name")
    task_number = serializers.SerializerMethodField()
    order_number = serializers.CharField(source="order.number", default=None, allow_null=True)
    detail = serializers.SerializerMethodField(help_text="What was told.")

    class Meta:
        model = Scan
        fields = (
            "id", "client_event_id", "source", "code", "verb", "quantity", "scrap", "reason", "person", "device", "lane", "seq",
            "captured_at", "sent_at", "received_at", "happened_at", "is_clock_off", "outcome", "outcome_code", "detail", "task",
            "task_number", "order_number", "decision", "decided_at", "decision_reason", "request_id",
        )  # fmt: skip

    def get_task_number(self, scan: Scan) -> str:
        return f"T{scan.task_id}" if scan.task_id else ""

    def get_detail(self, scan: Scan) -> str:
        return (scan.answer or {}).get("detail", "")


class LinkBody(Body):
    code = Text(max_length=LONGEST_CODE, help_text="The customer's own code.")
    order = Text(max_length=LONGEST_CODE, help_text="The order's code, W… or as on its ticket.")


class LinkedShape(serializers.Serializer):
    code = serializers.CharField()
    order = serializers.IntegerField(source="order_id")
    order_number = serializers.CharField(source="order.number")


class ScanFilters(django_filters.FilterSet):
    mine = TruthFilter(method="only_mine", help_text="Those of the caller himself.")
    outcome = WordsFilter(choices=Outcome.choices, help_text="One or more, with commas.")
    inbox = TruthFilter(method="only_inbox", help_text="Those that wait for a supervisor's decision.")

    class Meta:
        model = Scan
        fields = ()

    def only_mine(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        return queryset.filter(user=self.request.user.pk) if value else queryset.exclude(user=self.request.user.pk)

    def only_inbox(self, queryset: QuerySet, name: str, value: bool) -> QuerySet:
        waiting = Scan.objects.in_inbox()
        return queryset.filter(pk__in=waiting.values("pk")) if value else queryset.exclude(pk__in=waiting.values("pk"))


EXAMPLE = {
    "client_event_id": "0b9f3c52-7d3e-4c5a-9a57-0d2f6c1e8b44",
    "code": "T2N9",
    "verb": "report",
    "quantity": 480,
    "scrap": 20,
    "reason": "colour",
    "captured_at": "2026-11-21T06:30:00+08:00",
    "device_time": "2026-11-21T06:30:02+08:00",
}
BATCH = {"device_time": EXAMPLE["device_time"], "items": [{**EXAMPLE, "lane": "T2N9", "seq": 1}]}
RESULT = {
    "client_event_id": EXAMPLE["client_event_id"],
    "result": "applied",
    "outcome": "applied",
    "code": "",
    "detail": "T12: 480 good and 20 scrap counted, 520 left.",
    "verb": "report",
    "task": {
        "id": 12, "number": "T12", "order_number": "202611-0001", "product": "leaflet", "process": "printing", "status": "in_progress",
        "planned": 1000, "good": 480, "scrap": 20, "left": 520, "percent": 48, "moves": ["report", "pause", "complete", "undo"],
    },
    "warnings": [],
    "scan_id": 71,
}  # fmt: skip


UNKNOWN = OpenApiResponse(description="`unknown_code`: what the code stands for is out of sight, or absent.")


@extend_schema_view(list=extend_schema(summary="List scans"), retrieve=extend_schema(summary="Show a scan"))
class ScanViewSet(ListView, DetailView, ScopedViewSet):
    """Scans that the caller sees: his own, and those of the tasks that he sees.

    Each scan carries its own key: an Idempotency-Key only saves the repeated answer from reading `duplicate`.
    """

    model = Scan
    serializer_class = ScanShape
    filterset_class = ScanFilters
    permission_classes = [IsAuthenticated]  # everybody has scans of his own
    # A scan stays stored when it is refused: the key's transaction would take that back.
    takes_key = False

    def rows(self, queryset: QuerySet) -> QuerySet:
        return queryset.select_related("device", "user", "order")

    @extend_schema(
        summary="What a code stands for, and what may be done with it now",
        parameters=[OpenApiParameter("code", OpenApiTypes.STR, required=True, description="What the scanner read.")],
        responses={200: ResolvedShape, 404: UNKNOWN},
        filters=False,
    )
    @action(
        detail=False, methods=["get"], pagination_class=None, filter_backends=[], takes_device=True, permission_classes=[PersonOrDevice]
    )
    def resolve(self, request: Any) -> Response:
        """Reads only. A handheld that nobody is signed in on may ask too: it sees its own place, no people, no verbs."""
        refuse_unknown(request, {"code"})
        by = request.user if request.user.is_authenticated else None
        found = scans.resolve(request.query_params.get("code", ""), by=by, device=device_of(request))
        return Response(scans.resolved_json(found, by=by))

    @extend_schema(
        summary="Send one scan",
        request=ScanBody,
        responses={200: ResultShape, 404: UNKNOWN},
        examples=[
            OpenApiExample("report", value=EXAMPLE, request_only=True),
            OpenApiExample("counted", value=RESULT, response_only=True),
        ],
        parameters=[KEY_PARAMETER],
        filters=False,
    )
    def create(self, request: Any) -> Response:
        """Stored before it is understood, and counted once however often it is sent. A refusal is a problem; the scan stays stored.

        Sent again, it answers 200 with `duplicate` and what the first sending got.
        """
        return self.once(lambda: self.single(request))

    def single(self, request: Any) -> Response:
        result = scans.record_scan(request.data, by=request.user, **self.sent_from(request))
        if result.error is not None:
            raise with_members(result)
        return Response(result.as_json())

    @extend_schema(
        summary="Send many scans",
        request=BatchBody,
        responses={200: BatchShape},
        examples=[OpenApiExample("one report", value=BATCH, request_only=True)],
        parameters=[KEY_PARAMETER],
        filters=False,
    )
    @action(detail=False, methods=["post"], pagination_class=None, filter_backends=[], parser_classes=[BatchJSON])
    def batch(self, request: Any) -> Response:
        """Always 200, with one result for each item in the order of the items; each item is done or refused by itself.

        A lane goes in the order of `seq`; behind a refused item of a lane the rest of it is `blocked`, and looked at anew when sent
        again.
        """
        return self.once(lambda: self.many(request))

    def many(self, request: Any) -> Response:
        body = request.data
        unknown = set(body) - {"device_time", "items"}
        if unknown or not isinstance(body.get("items"), list):
            raise InvalidInput(_("Send device_time and items, a list of at most 200 scans, and nothing else."), field="items")
        device_time = moment_of("device_time", body.get("device_time"))
        at = timezone.now()
        results = scans.record_batch(body["items"], device_time, by=request.user, at=at, **self.sent_from(request))
        clock = scans.Clock.of(device_time, at)
        counts = {kind: sum(one.result == kind for one in results) for kind in ("applied", "duplicate", "refused", "held", "blocked")}
        return Response(
            {
                "results": [one.as_json() for one in results],
                **counts,
                "clock": {"offset_seconds": clock.offset, "is_off": clock.is_off},
                "received_at": serializers.DateTimeField().to_representation(at),
            }
        )

    @command(
        LinkBody,
        LinkedShape,
        example={"code": "PO-4711/3", "order": "WC7"},
        summary="Let a customer's own code stand for an order",
        detail=False,
        others={404: UNKNOWN},
    )
    def link(self, request: Any) -> Response:
        body = self.body(LinkBody)
        code = finding.read_code(body["order"])
        if code.kind != Kind.ORDER:
            raise BadCode(_("This is no order's code. Scan the one on the job ticket."), code="not_an_order", field="order")
        order = WorkOrder.objects.visible_to(request.user).filter(pk=code.number).first()
        if order is None:
            raise finding.unknown()
        link = link_code(order, by=request.user, code=body["code"])
        return Response(LinkedShape(link).data)

    def once(self, run: Callable[[], Response]) -> Response:
        return idempotency.repeated(self.request, run)

    def sent_from(self, request: Any) -> dict[str, Any]:
        session = request.auth if isinstance(request.auth, OperatorSession) else None
        return {"device": device_of(request), "session": session}


def with_members(result: scans.Result) -> RuleError:
    """The refusal, with what a result has besides: a client reads both alike."""
    error = result.error
    error.extra = {name: value for name, value in result.as_json().items() if name not in ("code", "detail")} | error.extra
    return error
