"""The job and its parts: order, lines, materials, tools, steps, tasks, and the ledger of what happened to them."""

from datetime import date
from decimal import Decimal

from django.conf import settings
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from apps.accounts.models import Department
from apps.catalog.models import Customer, Process, Product, Route, Stage, Tool
from apps.core.context import current_device, current_request_id, current_scan, current_source
from apps.core.history import Tracked, door_of
from apps.core.models import Versioned
from apps.core.units import Unit
from apps.imports.models import ImportRun
from apps.workorders.querysets import OrderPartQuerySet, StepQuerySet, TaskQuerySet, WorkEventQuerySet, WorkOrderQuerySet
from apps.workorders.states import TASK_ENDED, OrderStatus, Priority, StepStatus, TaskStatus

PERCENT = [MinValueValidator(0), MaxValueValidator(100)]
MOST = 100_000_000  # pieces; a larger number is a typing error


def today() -> date:
    return timezone.localdate()


class NumberSeries(models.Model):
    """The last serial number given out for each prefix. Locked while the next one is taken."""

    prefix = models.CharField(max_length=40, unique=True)
    last = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("number series")
        verbose_name_plural = _("number series")


class PrintingType(models.TextChoices):
    NONE = "none", _("no printing")
    FRONT = "front", _("front")
    BACK = "back", _("back")
    WORK_AND_TURN = "work_and_turn", _("work and turn")
    WORK_AND_TUMBLE = "work_and_tumble", _("work and tumble")
    REGISTER = "register", _("register")


class WorkOrder(Versioned):
    """One job. `run_quantity` and `allowance` count press runs; lines count their own units; `ups` converts."""

    number = models.CharField(_("number"), max_length=40, unique=True, editable=False)
    external_number = models.CharField(
        _("external no."), max_length=60, blank=True, db_index=True, help_text=_("The customer's number for it.")
    )
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), null=True, blank=True, on_delete=models.PROTECT, related_name="orders"
    )
    maker = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("maker"), null=True, blank=True, on_delete=models.PROTECT, related_name="orders_made",
        help_text=_("Who completes and submits the order."),
    )  # fmt: skip
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, editable=False, on_delete=models.PROTECT, related_name="+", verbose_name=_("created by")
    )
    submitted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("submitted by"), null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("approved by"), null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    status = models.CharField(_("status"), max_length=12, choices=OrderStatus, default=OrderStatus.DRAFT, editable=False)
    priority = models.PositiveSmallIntegerField(_("priority"), choices=Priority, default=Priority.NORMAL)
    order_date = models.DateField(_("order date"), default=today)
    due_date = models.DateField(_("due date"), null=True, blank=True)
    run_quantity = models.PositiveIntegerField(
        _("run quantity"), default=0, validators=[MaxValueValidator(MOST)], help_text=_("Press runs. 0: as many as the lines need.")
    )
    allowance = models.PositiveIntegerField(
        _("allowance"), default=0, validators=[MaxValueValidator(MOST)], help_text=_("Extra runs for make-ready and waste.")
    )
    over_tolerance = models.DecimalField(
        _("over tolerance %"), max_digits=5, decimal_places=2, null=True, blank=True, validators=PERCENT,
        help_text=_("Empty: the shop's rule."),
    )  # fmt: skip
    under_tolerance = models.DecimalField(
        _("under tolerance %"), max_digits=5, decimal_places=2, null=True, blank=True, validators=PERCENT,
        help_text=_("Empty: the shop's rule."),
    )  # fmt: skip
    route = models.ForeignKey(
        Route, verbose_name=_("route"), null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text=_("Empty: the routes of the order's products, merged."),
    )  # fmt: skip
    steps_text = models.CharField(
        _("own steps"), max_length=500, blank=True,
        help_text=_("Process codes for this order only, like: CTP > CUT > PRT > PACK. Empty: the route's steps."),
    )  # fmt: skip
    printing_type = models.CharField(_("printing"), max_length=16, choices=PrintingType, default=PrintingType.NONE)
    process_colours = models.CharField(
        _("process colours"),
        max_length=4,
        blank=True,
        validators=[RegexValidator(r"^C?M?Y?K?$", _("Write some of C, M, Y and K, in this order."))],
    )
    spot_colours = models.CharField(_("spot colours"), max_length=120, blank=True, help_text=_("With commas: 528C, gold"))
    ups = models.PositiveSmallIntegerField(_("pieces per sheet"), default=1, validators=[MinValueValidator(1), MaxValueValidator(1000)])
    instructions = models.TextField(_("instructions"), blank=True, max_length=4000, validators=[MaxLengthValidator(4000)])
    revision = models.PositiveIntegerField(
        _("revision"), default=1, editable=False, help_text=_("Grows with every change of what is to be made.")
    )
    status_before_hold = models.CharField(_("status before hold"), max_length=12, choices=OrderStatus, blank=True, editable=False)
    submitted_at = models.DateTimeField(_("submitted at"), null=True, editable=False)
    approved_at = models.DateTimeField(_("approved at"), null=True, editable=False)
    completed_at = models.DateTimeField(_("completed at"), null=True, editable=False)
    copied_from = models.ForeignKey(
        "self", null=True, editable=False, on_delete=models.SET_NULL, related_name="copies", verbose_name=_("copied from")
    )
    import_run = models.ForeignKey(
        ImportRun, null=True, editable=False, on_delete=models.PROTECT, related_name="orders", verbose_name=_("import")
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)
    tools = models.ManyToManyField(Tool, verbose_name=_("tools"), related_name="orders", blank=True)
    objects = WorkOrderQuerySet.as_manager()
    history = Tracked(m2m_fields=[tools], in_commit_order=True)

    class Meta:
        verbose_name = _("work order")
        verbose_name_plural = _("work orders")
        ordering = ["-pk"]
        permissions = [
            ("submit_workorder", "Can submit work orders"),
            ("approve_workorder", "Can approve and reject work orders"),
            ("hold_workorder", "Can hold and resume work orders"),
            ("cancel_workorder", "Can cancel work orders"),
            ("reopen_workorder", "Can reopen work orders"),
            ("dispatch_workorder", "Can dispatch work orders"),
            ("share_workorder", "Can share work orders"),
            ("print_workorder", "Can print job tickets and labels"),
            ("import_workorder", "Can import work orders"),
            ("export_workorder", "Can export work orders"),
            ("explain_workorder", "Can ask why somebody sees a row"),
        ]
        indexes = [
            models.Index(fields=["status", "due_date"], name="order_by_status_and_due"),
            models.Index(fields=["maker", "-id"], name="order_of_maker"),
            models.Index(fields=["customer", "-id"], name="order_of_customer"),
            models.Index(fields=["external_number"], name="order_by_external_number"),
        ]

    def __str__(self) -> str:
        return self.number or str(_("new order"))

    @property
    def is_late(self) -> bool:
        return bool(self.due_date and self.due_date < today() and self.status not in {OrderStatus.COMPLETED, OrderStatus.CANCELLED})

    @property
    def is_editable(self) -> bool:
        return self.status in {OrderStatus.DRAFT, OrderStatus.REJECTED}

    @property
    def planned_runs(self) -> int:
        """What goes through the press: run quantity and allowance."""
        return self.run_quantity + self.allowance

    @property
    def colours(self) -> str:
        """As printers write it: `CMK+528C (4)`."""
        spots = [spot.strip() for spot in self.spot_colours.split(",") if spot.strip()]
        parts = [part for part in [self.process_colours, *spots] if part]
        count = len(self.process_colours) + len(spots)
        return f"{'+'.join(parts)} ({count})" if count else ""

    @property
    def over_percent(self) -> Decimal:
        return Decimal(settings.DOCKET_OVER_TOLERANCE) if self.over_tolerance is None else self.over_tolerance

    @property
    def under_percent(self) -> Decimal:
        return Decimal(settings.DOCKET_UNDER_TOLERANCE) if self.under_tolerance is None else self.under_tolerance

    def get_absolute_url(self) -> str:
        from django.urls import reverse

        return reverse("admin:workorders_workorder_change", args=[self.pk])


class OrderLine(Versioned):
    """A product and how many of it. Several lines make a ganged job."""

    order = models.ForeignKey(WorkOrder, verbose_name=_("order"), on_delete=models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, verbose_name=_("product"), on_delete=models.PROTECT, related_name="order_lines")
    quantity = models.PositiveIntegerField(_("quantity"), validators=[MinValueValidator(1), MaxValueValidator(MOST)])
    unit = models.CharField(_("unit"), max_length=10, choices=Unit, blank=True, help_text=_("Empty: the product's unit."))
    specification = models.CharField(_("specification"), max_length=300, blank=True, help_text=_("Empty: the product's."))
    notes = models.CharField(_("notes"), max_length=500, blank=True)
    objects = OrderPartQuerySet.as_manager()
    history = Tracked()

    class Meta:
        verbose_name = _("product line")
        verbose_name_plural = _("product lines")
        ordering = ["pk"]
        constraints = [models.CheckConstraint(condition=Q(quantity__gt=0), name="line_quantity_above_0")]

    def __str__(self) -> str:
        return f"{self.product} × {self.quantity}"


class OrderMaterial(Versioned):
    """Stock that the order needs: an amount and its unit."""

    order = models.ForeignKey(WorkOrder, verbose_name=_("order"), on_delete=models.CASCADE, related_name="materials")
    name = models.CharField(_("material"), max_length=120)
    size = models.CharField(_("size"), max_length=60, blank=True)
    amount = models.DecimalField(
        _("amount"), max_digits=12, decimal_places=3, null=True, blank=True, validators=[MinValueValidator(Decimal("0.001"))]
    )
    unit = models.CharField(_("unit"), max_length=10, choices=Unit, default=Unit.SHEET)
    needs_cutting = models.BooleanField(_("needs cutting"), default=False)
    received_at = models.DateTimeField(_("received at"), null=True, blank=True, editable=False)
    received_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("received by"), null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    objects = OrderPartQuerySet.as_manager()
    history = Tracked()

    class Meta:
        verbose_name = _("material")
        verbose_name_plural = _("materials")
        ordering = ["pk"]
        constraints = [models.CheckConstraint(condition=Q(amount=None) | Q(amount__gt=0), name="material_amount_above_0")]

    def __str__(self) -> str:
        return f"{self.name} {self.size}".strip()


class Step(Versioned):
    """The order's own frozen copy of a route step."""

    order = models.ForeignKey(WorkOrder, verbose_name=_("order"), on_delete=models.CASCADE, related_name="steps")
    process = models.ForeignKey(Process, verbose_name=_("process"), on_delete=models.PROTECT, related_name="steps")
    sequence = models.PositiveSmallIntegerField(_("sequence"))
    stage = models.CharField(_("stage"), max_length=10, choices=Stage, default=Stage.FINISH)
    predecessors = models.ManyToManyField("self", verbose_name=_("after"), symmetrical=False, related_name="successors", blank=True)
    transfer_minimum = models.PositiveIntegerField(_("transfer minimum"), null=True, blank=True)
    planned = models.PositiveIntegerField(_("planned"), default=0)
    status = models.CharField(_("status"), max_length=12, choices=StepStatus, default=StepStatus.WAITING, editable=False)
    objects = StepQuerySet.as_manager()
    history = Tracked()

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ["sequence", "pk"]
        constraints = [models.UniqueConstraint(fields=["order", "sequence"], name="step_sequence_once_per_order")]

    def __str__(self) -> str:
        return f"{self.sequence} {self.process}"


class Task(Versioned):
    """An assignable slice of a step. `good` and `scrap` are the sums of its events, always."""

    order = models.ForeignKey(WorkOrder, verbose_name=_("order"), on_delete=models.CASCADE, related_name="tasks")
    step = models.ForeignKey(Step, verbose_name=_("step"), on_delete=models.CASCADE, related_name="tasks")
    source_key = models.CharField(
        _("generated for"), max_length=40, help_text="What it was generated for: line:12, tool:3, material:4, order."
    )
    line = models.ForeignKey(
        OrderLine, null=True, blank=True, on_delete=models.SET_NULL, related_name="tasks", verbose_name=_("product line")
    )
    material = models.ForeignKey(
        OrderMaterial, null=True, blank=True, on_delete=models.SET_NULL, related_name="tasks", verbose_name=_("material")
    )
    tool = models.ForeignKey(Tool, null=True, blank=True, on_delete=models.PROTECT, related_name="tasks", verbose_name=_("tool"))
    split_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="parts", verbose_name=_("split from")
    )
    department = models.ForeignKey(
        Department, verbose_name=_("department"), null=True, blank=True, on_delete=models.PROTECT, related_name="tasks"
    )
    operator = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("operator"), null=True, blank=True, on_delete=models.PROTECT, related_name="tasks"
    )
    is_pinned = models.BooleanField(_("pinned"), default=False, help_text=_("A person chose; no automatic run overrides it."))
    status = models.CharField(_("status"), max_length=12, choices=TaskStatus, default=TaskStatus.DRAFT, editable=False)
    priority = models.PositiveSmallIntegerField(_("priority"), choices=Priority, default=Priority.NORMAL)
    due_date = models.DateField(_("due date"), null=True, blank=True)
    planned = models.PositiveIntegerField(_("planned"))
    unit = models.CharField(_("unit"), max_length=10, choices=Unit, default=Unit.RUN)
    good = models.PositiveIntegerField(_("good"), default=0)
    scrap = models.PositiveIntegerField(_("scrap"), default=0)
    instructions = models.TextField(_("instructions"), blank=True, max_length=4000, validators=[MaxLengthValidator(4000)])
    dispatched_at = models.DateTimeField(_("dispatched at"), null=True, blank=True)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)
    objects = TaskQuerySet.as_manager()
    history = Tracked(in_commit_order=True)

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        ordering = ["-pk"]
        permissions = [
            ("work_task", "Can claim, start, report and complete tasks"),
            ("assign_task", "Can assign tasks"),
            ("split_task", "Can split tasks"),
            ("cancel_task", "Can cancel tasks"),
            ("dispatch_task", "Can dispatch tasks"),
            ("share_task", "Can share tasks"),
            ("export_task", "Can export tasks"),
            ("import_task", "Can fill in tasks from a table"),
        ]
        indexes = [
            models.Index(fields=["department", "status", "-priority", "due_date"], name="task_queue"),
            models.Index(fields=["operator", "status"], name="task_of_operator"),
            models.Index(fields=["status", "dispatched_at"], name="task_needing_dispatch"),
            models.Index(fields=["status", "due_date"], name="task_by_status_and_due"),
            models.Index(fields=["-priority", "due_date", "id"], name="task_by_urgency"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(planned__gt=0), name="task_planned_above_0"),
            models.CheckConstraint(
                condition=(
                    Q(status__in=["assigned", "in_progress", "paused"], operator__isnull=False)
                    | Q(status__in=["draft", "pending"], operator__isnull=True)
                    | Q(status__in=["completed", "cancelled"])
                ),
                name="task_operator_where_one_is_due",
            ),
        ]

    def __str__(self) -> str:
        return f"T{self.pk}"

    @property
    def is_late(self) -> bool:
        return bool(self.due_date and self.due_date < today() and self.status not in TASK_ENDED)

    @property
    def left(self) -> int:
        """Good pieces that are still to be made."""
        return max(self.planned - self.good, 0)

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.good / self.planned))

    def get_absolute_url(self) -> str:
        from django.urls import reverse

        return reverse("admin:workorders_task_change", args=[self.pk])


class ReasonCode(models.TextChoices):
    """Why pieces were scrapped or work stopped, as the floor says it."""

    SETUP = "setup", _("make-ready")
    MATERIAL = "material", _("faulty material")
    PRINT = "print", _("print fault")
    REGISTER = "register", _("out of register")
    COLOUR = "colour", _("colour off")
    CUT = "cut", _("cut fault")
    GLUE = "glue", _("glue fault")
    MACHINE = "machine", _("machine stopped")
    WAITING = "waiting", _("waiting for material or tool")
    BREAK = "break", _("break or end of shift")
    OTHER = "other", _("other")


class WorkEvent(models.Model):
    """One thing that happened. Append-only, in the database itself; a correction is an event that reverses another.

    The keys carry no database constraint: an event outlives the draft that it tells about.
    """

    order = models.ForeignKey(
        WorkOrder, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="events", verbose_name=_("order")
    )
    order_number = models.CharField(_("order number"), max_length=40)
    step = models.ForeignKey(
        Step, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="events", verbose_name=_("step")
    )
    task = models.ForeignKey(
        Task, null=True, db_constraint=False, on_delete=models.DO_NOTHING, related_name="events", verbose_name=_("task")
    )
    verb = models.CharField(_("what"), max_length=20)
    from_status = models.CharField(max_length=12, blank=True)
    to_status = models.CharField(max_length=12, blank=True)
    good = models.IntegerField(_("good"), default=0)
    scrap = models.IntegerField(_("scrap"), default=0)
    reason_code = models.CharField(_("reason"), max_length=20, choices=ReasonCode, blank=True)
    reason = models.CharField(_("explanation"), max_length=1000, blank=True)
    note = models.CharField(_("note"), max_length=1000, blank=True)
    data = models.JSONField(default=dict, blank=True, help_text="What else the verb changed: {operator: [old, new], ...}.")
    reverses = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="reversed_by", verbose_name=_("takes back"))
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="work_events", verbose_name=_("who"))
    source = models.CharField(_("from"), max_length=16, default=current_source)
    request_id = models.CharField(_("request id"), max_length=64, default=current_request_id, db_index=True)
    import_run = models.ForeignKey(ImportRun, null=True, on_delete=models.PROTECT, related_name="events")
    import_row = models.PositiveIntegerField(null=True)
    device = models.CharField(_("handheld"), max_length=80, blank=True, default=current_device)
    scan_id = models.BigIntegerField(null=True, default=current_scan, help_text="The key of the scan that did it.")
    at = models.DateTimeField(_("when"), default=timezone.now)
    objects = WorkEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["order", "-id"], name="event_of_order"),
            models.Index(fields=["task", "-id"], name="event_of_task"),
            models.Index(fields=["actor", "-id"], name="event_of_actor"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["scan_id"],
                condition=Q(verb__in=["report", "complete"], scan_id__isnull=False, task__isnull=False),
                name="event_counts_a_scan_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.order_number}"

    @property
    def door(self) -> str:
        """Where it came from, with the handheld's name where it was one."""
        return f"{door_of(self.source)} · {self.device}" if self.device else door_of(self.source)


class ShareLevel(models.TextChoices):
    VIEW = "view", _("see it")
    WORK = "work", _("see it and work on it")


class Share(models.Model):
    """What a share says beside guardian's own columns: by whom, until when, how far."""

    level = models.CharField(pgettext_lazy("share", "may"), max_length=5, choices=ShareLevel, default=ShareLevel.VIEW)
    expires_at = models.DateTimeField(_("until"), null=True, blank=True)
    shared_at = models.DateTimeField(default=timezone.now)
    shared_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        abstract = True


class WorkOrderUserShare(Share, UserObjectPermissionBase):
    content_object = models.ForeignKey(WorkOrder, on_delete=models.CASCADE, related_name="user_shares")

    class Meta(UserObjectPermissionBase.Meta):
        verbose_name = _("share of an order")
        verbose_name_plural = _("shares of orders")


class WorkOrderGroupShare(Share, GroupObjectPermissionBase):
    content_object = models.ForeignKey(WorkOrder, on_delete=models.CASCADE, related_name="group_shares")

    class Meta(GroupObjectPermissionBase.Meta):
        verbose_name = _("share of an order with a role")
        verbose_name_plural = _("shares of orders with roles")


class TaskUserShare(Share, UserObjectPermissionBase):
    content_object = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="user_shares")

    class Meta(UserObjectPermissionBase.Meta):
        verbose_name = _("share of a task")
        verbose_name_plural = _("shares of tasks")


class TaskGroupShare(Share, GroupObjectPermissionBase):
    content_object = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="group_shares")

    class Meta(GroupObjectPermissionBase.Meta):
        verbose_name = _("share of a task with a role")
        verbose_name_plural = _("shares of tasks with roles")
