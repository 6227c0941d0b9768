"""What the API shows of orders and tasks."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.accounts.models import User
from apps.catalog.models import ToolKind
from apps.core.shapes import Choice
from apps.core.units import Unit
from apps.workorders import moves
from apps.workorders.models import OrderLine, OrderMaterial, PrintingType, ReasonCode, Task, WorkEvent, WorkOrder
from apps.workorders.readiness import step_status, what_is_missing
from apps.workorders.services import problems_before_submit, warnings
from apps.workorders.states import ORDER_EDITABLE, OrderStatus, Priority, StepStatus, TaskStatus

MOST_EVENTS = 50


class NamedShape(serializers.Serializer):
    """A department or process."""

    id = serializers.IntegerField()
    code = serializers.CharField()
    name = serializers.CharField(source="label")


class UserShape(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField(source="get_full_name")


class AssignableShape(UserShape):
    is_absent = serializers.SerializerMethodField()

    def get_is_absent(self, user: User) -> bool:
        return user.is_absent()


class ToolShape(serializers.Serializer):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(ToolKind)
    code = serializers.CharField()
    revision = serializers.IntegerField()
    name = serializers.CharField()
    is_confirmed = serializers.SerializerMethodField()

    def get_is_confirmed(self, tool: Any) -> bool:
        return tool.confirmed_at is not None


class MaterialShape(serializers.ModelSerializer):
    class Meta:
        model = OrderMaterial
        fields = ("id", "name", "size", "amount", "unit", "needs_cutting", "received_at")


class LineShape(serializers.ModelSerializer):
    product = serializers.IntegerField(source="product_id")
    product_code = serializers.CharField(source="product.code")
    product_name = serializers.CharField(source="product.name")

    class Meta:
        model = OrderLine
        fields = ("id", "product", "product_code", "product_name", "quantity", "unit", "specification", "notes")


class EventShape(serializers.ModelSerializer):
    actor = serializers.CharField(source="actor.get_full_name")
    takes_back = serializers.IntegerField(source="reverses_id", allow_null=True)

    class Meta:
        model = WorkEvent
        fields = (
            "id", "verb", "from_status", "to_status", "good", "scrap", "reason_code", "reason", "note", "actor", "source", "at", "task",
            "takes_back", "request_id",
        )  # fmt: skip


class WithMoves(serializers.Serializer):
    """A row with the verbs that the caller may use on it now."""

    moves = serializers.SerializerMethodField()

    @property
    def user(self) -> Any:
        return self.context["request"].user


class TaskShape(WithMoves):
    """What an operator needs to know of a task."""

    id = serializers.IntegerField()
    number = serializers.CharField(source="__str__")
    workorder = serializers.IntegerField(source="order_id")
    order_number = serializers.CharField(source="order.number")
    external_number = serializers.CharField(source="order.external_number")
    order_status = serializers.ChoiceField(OrderStatus.choices, source="order.status")
    customer = serializers.CharField(source="order.customer.name", default=None, allow_null=True)
    product = serializers.SerializerMethodField(help_text="What is made: the product of the task's line, or all of the order.")
    specification = serializers.SerializerMethodField()
    process = NamedShape(source="step.process")
    step = serializers.IntegerField(source="step_id")
    sequence = serializers.IntegerField(source="step.sequence")
    status = serializers.ChoiceField(TaskStatus.choices)
    priority = Choice(Priority)
    department = NamedShape(allow_null=True)
    operator = UserShape(allow_null=True)
    planned = serializers.IntegerField()
    good = serializers.IntegerField()
    scrap = serializers.IntegerField()
    left = serializers.IntegerField(help_text="Good pieces still to be made.")
    percent = serializers.IntegerField()
    unit = serializers.ChoiceField(Unit.choices)
    due_date = serializers.DateField(allow_null=True)
    is_late = serializers.BooleanField()
    instructions = serializers.SerializerMethodField(help_text="The task's own, and the order's.")
    tools = serializers.SerializerMethodField(help_text="What the task is made with.")
    material = MaterialShape(allow_null=True)
    warnings = serializers.SerializerMethodField(help_text="Sentences for people.")
    version = serializers.IntegerField()
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    updated_at = serializers.DateTimeField()

    def get_product(self, task: Task) -> str:
        return task.line.product.name if task.line else task.products or ""

    def get_specification(self, task: Task) -> str:
        return (task.line.specification or task.line.product.specification) if task.line else ""

    def get_instructions(self, task: Task) -> str:
        return "\n".join(text for text in (task.instructions, task.order.instructions) if text)

    @extend_schema_field(ToolShape(many=True))
    def get_tools(self, task: Task) -> list[dict]:
        return [ToolShape(task.tool).data] if task.tool else []

    def get_warnings(self, task: Task) -> list[str]:
        return list(task_warnings(task))

    def get_moves(self, task: Task) -> list[str]:
        return moves.task_moves(self.user, task)


def task_warnings(task: Task) -> Any:
    """What to know before touching the task, in sentences. No queries."""
    if task.is_late:
        yield _("It was due on %(due)s.") % {"due": task.due_date}
    if task.order.status == OrderStatus.ON_HOLD:
        yield _("Order %(number)s is on hold.") % {"number": task.order.number}
    if task.tool and not task.tool.confirmed_at:
        yield _("%(kind)s %(tool)s is not confirmed.") % {"kind": task.tool.get_kind_display(), "tool": task.tool}
    if task.good > task.planned:
        yield _("%(over)s more than planned are made.") % {"over": task.good - task.planned}
    if task.status == TaskStatus.PENDING and task.department is None:
        yield _("No department has it yet.")


class TaskDetailShape(TaskShape):
    """One task, with what it waits for, what happened to it, and who may be given it."""

    step_status = serializers.SerializerMethodField(help_text="`ready`: nothing is missing.")
    missing = serializers.SerializerMethodField(help_text="What its step still waits for, by name.")
    order_tools = serializers.SerializerMethodField(help_text="All tools of the order.")
    assignable_operators = AssignableShape(many=True, required=False, help_text="Only for who may assign the task.")
    events = serializers.SerializerMethodField(help_text="What happened to it, newest first.")

    def to_representation(self, task: Task) -> dict:
        self.waits_for = what_is_missing(task.order)
        if "assign" in moves.task_moves(self.user, task):
            task.assignable_operators = self._assignable(task)
        return super().to_representation(task)

    @extend_schema_field(serializers.ChoiceField(StepStatus.choices))
    def get_step_status(self, task: Task) -> str:
        return str(step_status(task.step, self.waits_for.get(task.step_id, [])))

    def get_missing(self, task: Task) -> list[str]:
        return self.waits_for.get(task.step_id, [])

    @extend_schema_field(ToolShape(many=True))
    def get_order_tools(self, task: Task) -> list[dict]:
        return ToolShape(task.order.tools.all(), many=True).data

    def _assignable(self, task: Task) -> Any:
        if task.department_id is None:
            return []
        members = User.objects.visible_to(self.user).filter(is_active=True, memberships__department=task.department_id)
        return members.order_by("name", "pk")

    @extend_schema_field(EventShape(many=True))
    def get_events(self, task: Task) -> list[dict]:
        events = WorkEvent.objects.visible_to(self.user).filter(task=task).select_related("actor")
        return EventShape(events.order_by("-pk")[:MOST_EVENTS], many=True).data


class CustomerBriefShape(serializers.Serializer):
    id = serializers.IntegerField()
    code = serializers.CharField()
    name = serializers.CharField()


class OrderShape(WithMoves):
    """A row of the list of orders."""

    id = serializers.IntegerField()
    number = serializers.CharField()
    external_number = serializers.CharField()
    customer = CustomerBriefShape(allow_null=True)
    maker = UserShape(allow_null=True)
    status = serializers.ChoiceField(OrderStatus.choices)
    priority = Choice(Priority)
    order_date = serializers.DateField()
    due_date = serializers.DateField(allow_null=True)
    is_late = serializers.BooleanField()
    production_quantity = serializers.IntegerField(source="run_quantity", help_text="Press runs.")
    allowance = serializers.IntegerField()
    tasks_total = serializers.IntegerField()
    tasks_done = serializers.IntegerField()
    percent = serializers.SerializerMethodField(help_text="Completed tasks of all.")
    revision = serializers.IntegerField()
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_percent(self, order: WorkOrder) -> int:
        return round(100 * order.tasks_done / order.tasks_total) if order.tasks_total else 0

    def get_moves(self, order: WorkOrder) -> list[str]:
        return moves.order_moves(self.user, order)


class StepShape(serializers.Serializer):
    id = serializers.IntegerField()
    sequence = serializers.IntegerField()
    process = NamedShape()
    status = serializers.ChoiceField(StepStatus.choices)
    planned = serializers.IntegerField()
    missing = serializers.ListField(child=serializers.CharField(), help_text="What it still waits for, by name.")


class ProblemShape(serializers.Serializer):
    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField(source="message")


class OrderDetailShape(OrderShape):
    """One order with everything in it that the caller sees."""

    delivery_date = serializers.DateField(source="due_date", allow_null=True, help_text="The same as due_date.")
    route = serializers.CharField(source="route.code", default=None, allow_null=True)
    steps_text = serializers.CharField(help_text="Own steps of this order, as process codes.")
    printing_type = serializers.ChoiceField(PrintingType.choices)
    process_colours = serializers.CharField()
    spot_colours = serializers.CharField()
    colours = serializers.CharField(help_text="As printers write it: CMK+528C (4).")
    ups = serializers.IntegerField()
    over_tolerance = serializers.DecimalField(5, 2, source="over_percent")
    under_tolerance = serializers.DecimalField(5, 2, source="under_percent")
    instructions = serializers.CharField()
    submitted_at = serializers.DateTimeField(allow_null=True)
    approved_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    lines = LineShape(many=True)
    materials = MaterialShape(many=True)
    tools = ToolShape(many=True)
    steps = serializers.SerializerMethodField()
    tasks = serializers.SerializerMethodField(help_text="Those that the caller sees.")
    warnings = serializers.SerializerMethodField(help_text="What is unusual about its tasks, in sentences.")
    problems = serializers.SerializerMethodField(help_text="What has to be done before it can be submitted.")
    events = serializers.SerializerMethodField(help_text="What happened to it, newest first.")

    @extend_schema_field(StepShape(many=True))
    def get_steps(self, order: WorkOrder) -> list[dict]:
        waits_for = what_is_missing(order)
        steps = list(order.steps.select_related("process"))
        shown = StepShape([_shown_step(step, waits_for.get(step.pk, [])) for step in steps], many=True)
        return shown.data

    @extend_schema_field(TaskShape(many=True))
    def get_tasks(self, order: WorkOrder) -> list[dict]:
        tasks = Task.objects.visible_to(self.user).filter(order=order).for_list().with_products()
        return TaskShape(tasks.order_by("step__sequence", "pk"), many=True, context=self.context).data

    def get_warnings(self, order: WorkOrder) -> list[str]:
        return warnings(order)

    @extend_schema_field(ProblemShape(many=True))
    def get_problems(self, order: WorkOrder) -> list[dict]:
        return ProblemShape(problems_before_submit(order), many=True).data if order.status in ORDER_EDITABLE else []

    @extend_schema_field(EventShape(many=True))
    def get_events(self, order: WorkOrder) -> list[dict]:
        events = WorkEvent.objects.visible_to(self.user).filter(order=order).select_related("actor")
        return EventShape(events.order_by("-pk")[:MOST_EVENTS], many=True).data


def _shown_step(step: Any, missing: list[str]) -> dict:
    return {
        "id": step.pk,
        "sequence": step.sequence,
        "process": step.process,
        "status": str(step_status(step, missing)),
        "planned": step.planned,
        "missing": missing,
    }


REASON_CODES = ", ".join(ReasonCode.values)
