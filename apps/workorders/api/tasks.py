"""Tasks: the list that an operator works from, and every verb as a command."""

from collections.abc import Callable
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.response import Response

from apps.accounts.access import access_of
from apps.accounts.models import Department, User
from apps.core.api import DetailView, ListView, ScopedViewSet, command
from apps.core.errors import InvalidInput
from apps.core.shapes import Body, Nothing, Reference, Text, Whole, resolve
from apps.workorders import services
from apps.workorders.api.filters import TaskFilters
from apps.workorders.api.shapes import REASON_CODES, TaskDetailShape, TaskShape
from apps.workorders.models import MOST, ReasonCode, Task


class ReasonBody(Body):
    """`reason` says why; where the verb needs one and it is missing, the answer is 409 `reason_needed`."""

    reason = Text(max_length=1000, required=False, allow_blank=True)


class PauseBody(ReasonBody):
    reason_code = serializers.ChoiceField(ReasonCode.choices, required=False, allow_blank=True)


class AssignBody(Body):
    """To a person, or with a department and no person to its queue."""

    operator_id = Whole(min_value=1, required=False, allow_null=True)
    department = Reference(required=False, allow_null=True, help_text="Id or code.")
    notes = Text(max_length=1000, required=False, allow_blank=True, help_text="Why; the person reads it.")
    reason = Text(max_length=1000, required=False, allow_blank=True, help_text="The same as notes.")


class ReportBody(Body):
    quantity = Whole(min_value=0, max_value=MOST, required=False, help_text="Good pieces added by this report.")
    scrap = Whole(min_value=0, max_value=MOST, required=False)
    reason = Text(max_length=1000, required=False, allow_blank=True, help_text=f"A code ({REASON_CODES}) or a text.")
    reason_code = serializers.ChoiceField(ReasonCode.choices, required=False, allow_blank=True)
    notes = Text(max_length=1000, required=False, allow_blank=True)

    def arguments(self) -> dict:
        """For the service: a reason that is one of the floor's codes is that code."""
        values = self.validated_data
        code, reason = values.get("reason_code", ""), values.get("reason", "")
        if not code and reason.strip().lower() in ReasonCode.values:
            code, reason = reason.strip().lower(), ""
        return {
            "good": values.get("quantity", 0),
            "scrap": values.get("scrap", 0),
            "reason_code": code,
            "reason": reason,
            "note": values.get("notes", ""),
        }


class SplitBody(ReasonBody):
    quantities = serializers.ListField(
        child=Whole(min_value=1, max_value=MOST), min_length=1, max_length=50, help_text="Plans of the parts; the rest stays."
    )


REPORT = {"quantity": 480, "scrap": 20, "reason": "colour", "notes": "second shift"}


@extend_schema_view(list=extend_schema(summary="List tasks"))
class TaskViewSet(ListView, DetailView, ScopedViewSet):
    """Tasks that the caller sees, with the verbs that he may use on each now."""

    model = Task
    serializer_class = TaskShape
    detail_serializer_class = TaskDetailShape
    filterset_class = TaskFilters
    orderings = {
        "id": "pk",
        "due_date": "due_date",
        "priority": "priority",
        "planned": "planned",
        "status": "status",
        "order_number": "order__number",
        "created_at": "created_at",
        "updated_at": "updated_at",
    }

    def rows(self, queryset: QuerySet) -> QuerySet:
        return queryset.for_list().with_products()

    def answer(self, task: Task, before: Task | None = None) -> Response:
        """The task as it is now. `before`, with all that a row shows, saves the query where the verb cannot take it out of sight."""
        if before is not None:
            task.line, task.tool, task.material, task.products = before.line, before.tool, before.material, before.products
        else:
            seen = self.row(self.get_queryset()).filter(pk=task.pk).first()
            if seen is None:
                return Response({"id": task.pk, "number": str(task), "status": task.status, "version": task.version, "visible": False})
            task = seen
        return Response(TaskShape(task, context=self.get_serializer_context()).data)

    def do(self, verb: Callable[..., Task], **arguments: Any) -> Response:
        """Find the task in sight, do the verb, show what became of it."""
        return self.answer(verb(self.target(), by=self.request.user, **arguments))

    @extend_schema(summary="Show a task", responses=TaskDetailShape)
    def retrieve(self, request: Any, pk: str) -> Response:
        return super().retrieve(request, pk)

    @command(answer=TaskShape, summary="Take a task from the queue for oneself")
    def claim(self, request: Any, pk: str) -> Response:
        self.body(Nothing)
        return self.answer(services.claim_task(self.claimed_or_claimable(), by=request.user))

    def claimed_or_claimable(self) -> Task:
        """The task, if the caller sees it or could have seen it in his queue: who comes too late hears who was faster, not 404."""
        mine = access_of(self.request.user)
        queue = Q(department__in=mine.member_of | mine.leads)
        seen = Q(pk__in=self.get_queryset().filter(pk=self.kwargs["pk"]).values("pk"))
        task = Task.objects.filter(seen | (queue & Q(operator__isnull=False)), pk=self.kwargs["pk"]).first()
        if task is None:
            raise Http404
        return task

    @command(ReasonBody, TaskShape, example={"reason": "machine is down"}, summary="Give a task back to the queue")
    def release(self, request: Any, pk: str) -> Response:
        return self.do(services.release_task, **self.body(ReasonBody))

    @command(ReasonBody, TaskShape, example={}, summary="Begin the work; claims the task first, where it is in the queue")
    def start(self, request: Any, pk: str) -> Response:
        return self.do(services.start_task, **self.body(ReasonBody))

    @command(PauseBody, TaskShape, example={"reason_code": "break"}, summary="Interrupt the work")
    def pause(self, request: Any, pk: str) -> Response:
        return self.do(services.pause_task, **self.body(PauseBody))

    @command(answer=TaskShape, summary="Go on with a paused task")
    def resume(self, request: Any, pk: str) -> Response:
        self.body(Nothing)
        return self.do(services.resume_task)

    @command(ReasonBody, TaskShape, example={"reason": "the customer needs fewer"}, summary="Cancel a task")
    def cancel(self, request: Any, pk: str) -> Response:
        return self.do(services.cancel_task, reason=self.body(ReasonBody).get("reason", ""))

    @command(AssignBody, TaskShape, example={"operator_id": 7, "notes": "knows this customer"}, summary="Give a task to a person")
    def assign(self, request: Any, pk: str) -> Response:
        body = self.body(AssignBody)
        task = self.target()
        wanted = {name: body[name] for name in ("operator_id", "department") if body.get(name) is not None}
        if not wanted:
            raise InvalidInput(_("Name a person (operator_id), or a department for its queue."), field="operator_id", code="nobody")
        found: dict[str, Any] = {}
        if "operator_id" in wanted:
            people = User.objects.visible_to(request.user).filter(is_active=True)
            found |= resolve({"operator_id": wanted["operator_id"]}, people, code="username")
        if "department" in wanted:
            found |= resolve({"department": wanted["department"]}, Department.objects.visible_to(request.user).active())
        fresh = services.assign_task(
            task,
            by=request.user,
            operator=found.get("operator_id"),
            department=found.get("department"),
            reason=body.get("reason") or body.get("notes") or "",
        )
        return self.answer(fresh)

    @command(ReportBody, TaskShape, example=REPORT, summary="Report good and scrapped pieces")
    def update_progress(self, request: Any, pk: str) -> Response:
        return self.count(services.report)

    @command(ReportBody, TaskShape, example={"quantity": 20}, summary="A last report and the completion in one")
    def complete(self, request: Any, pk: str) -> Response:
        return self.count(services.complete_task)

    def count(self, verb: Callable[..., Task]) -> Response:
        shape = ReportBody(data=self.request.data)
        shape.is_valid(raise_exception=True)
        before = self.get_object()
        return self.answer(verb(before, by=self.request.user, **shape.arguments()), before)

    @command(ReasonBody, TaskShape, example={}, summary="Take back one's own last event on the task")
    def undo(self, request: Any, pk: str) -> Response:
        return self.do(services.undo_last, **self.body(ReasonBody))

    @command(SplitBody, TaskShape(many=True), example={"quantities": [400, 200]}, summary="Take parts off a task")
    def split(self, request: Any, pk: str) -> Response:
        body = self.body(SplitBody)
        parts = services.split_task(self.target(), by=request.user, **body)
        seen = self.rows(self.get_queryset().filter(pk__in=[part.pk for part in parts])).order_by("pk")
        return Response(TaskShape(seen, many=True, context=self.get_serializer_context()).data)

    @command(answer=TaskShape, summary="Dispatch a pending task now", path="dispatch")
    def dispatch_now(self, request: Any, pk: str) -> Response:
        self.body(Nothing)
        task = self.target()
        services.dispatch_task(task, by=request.user)
        return self.answer(task)
