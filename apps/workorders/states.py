"""The three state machines, as tables. `transitions._apply` is their only reader that writes."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class OrderStatus(models.TextChoices):
    DRAFT = "draft", _("draft")
    SUBMITTED = "submitted", _("submitted")
    REJECTED = "rejected", _("rejected")
    APPROVED = "approved", _("approved")
    IN_PROGRESS = "in_progress", _("in progress")
    ON_HOLD = "on_hold", _("on hold")
    COMPLETED = "completed", _("completed")
    CANCELLED = "cancelled", _("cancelled")


class StepStatus(models.TextChoices):
    """`ready` is never stored: it is a waiting step that nothing is missing for (see readiness)."""

    WAITING = "waiting", _("waiting")
    READY = "ready", _("ready")
    IN_PROGRESS = "in_progress", _("in progress")
    COMPLETED = "completed", _("completed")
    SKIPPED = "skipped", _("skipped")


class TaskStatus(models.TextChoices):
    DRAFT = "draft", _("draft")
    PENDING = "pending", _("pending")
    ASSIGNED = "assigned", _("assigned")
    IN_PROGRESS = "in_progress", _("in progress")
    PAUSED = "paused", _("paused")
    COMPLETED = "completed", _("completed")
    CANCELLED = "cancelled", _("cancelled")


class Priority(models.IntegerChoices):
    LOW = 1, _("low")
    NORMAL = 2, _("normal")
    HIGH = 3, _("high")
    URGENT = 4, _("urgent")


ORDER_EDITABLE = frozenset({OrderStatus.DRAFT, OrderStatus.REJECTED})
ORDER_OPEN = frozenset({OrderStatus.APPROVED, OrderStatus.IN_PROGRESS, OrderStatus.ON_HOLD})
ORDER_RUNNING = frozenset({OrderStatus.APPROVED, OrderStatus.IN_PROGRESS})
ORDER_LIVE = frozenset(set(OrderStatus) - {OrderStatus.COMPLETED, OrderStatus.CANCELLED})
TASK_OPEN = frozenset({TaskStatus.PENDING, TaskStatus.ASSIGNED, TaskStatus.IN_PROGRESS, TaskStatus.PAUSED})
TASK_HELD = frozenset({TaskStatus.ASSIGNED, TaskStatus.IN_PROGRESS, TaskStatus.PAUSED})  # somebody has it
TASK_ENDED = frozenset({TaskStatus.COMPLETED, TaskStatus.CANCELLED})
STEP_ENDED = frozenset({StepStatus.COMPLETED, StepStatus.SKIPPED})

# verb -> (states that it is allowed from, states that it may lead to)
ORDER_MOVES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "submit": (ORDER_EDITABLE, frozenset({OrderStatus.SUBMITTED})),
    "approve": (frozenset({OrderStatus.SUBMITTED}), frozenset({OrderStatus.APPROVED})),
    "reject": (frozenset({OrderStatus.SUBMITTED}), frozenset({OrderStatus.REJECTED})),
    "begin": (frozenset({OrderStatus.APPROVED}), frozenset({OrderStatus.IN_PROGRESS})),
    "hold": (ORDER_RUNNING, frozenset({OrderStatus.ON_HOLD})),
    "resume": (frozenset({OrderStatus.ON_HOLD}), ORDER_RUNNING),
    "cancel": (ORDER_LIVE, frozenset({OrderStatus.CANCELLED})),
    "complete": (ORDER_RUNNING, frozenset({OrderStatus.COMPLETED})),
    "reopen": (frozenset({OrderStatus.COMPLETED}), frozenset({OrderStatus.IN_PROGRESS})),
}
STEP_MOVES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "begin": (frozenset({StepStatus.WAITING}), frozenset({StepStatus.IN_PROGRESS})),
    "complete": (frozenset({StepStatus.WAITING, StepStatus.IN_PROGRESS}), frozenset({StepStatus.COMPLETED})),
    "skip": (frozenset({StepStatus.WAITING, StepStatus.IN_PROGRESS}), frozenset({StepStatus.SKIPPED})),
    "reopen": (
        frozenset({StepStatus.COMPLETED, StepStatus.IN_PROGRESS, StepStatus.SKIPPED}),
        frozenset({StepStatus.WAITING, StepStatus.IN_PROGRESS}),
    ),
}
TASK_MOVES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "queue": (frozenset({TaskStatus.DRAFT}), frozenset({TaskStatus.PENDING})),
    "dispatch": (frozenset({TaskStatus.PENDING}), frozenset({TaskStatus.PENDING, TaskStatus.ASSIGNED})),
    "assign": (
        frozenset({TaskStatus.PENDING, TaskStatus.ASSIGNED, TaskStatus.IN_PROGRESS, TaskStatus.PAUSED}),
        frozenset({TaskStatus.PENDING, TaskStatus.ASSIGNED, TaskStatus.PAUSED}),
    ),
    "claim": (frozenset({TaskStatus.PENDING}), frozenset({TaskStatus.ASSIGNED})),
    "release": (frozenset({TaskStatus.ASSIGNED}), frozenset({TaskStatus.PENDING})),
    "start": (frozenset({TaskStatus.ASSIGNED}), frozenset({TaskStatus.IN_PROGRESS})),
    "pause": (frozenset({TaskStatus.IN_PROGRESS}), frozenset({TaskStatus.PAUSED})),
    "resume": (frozenset({TaskStatus.PAUSED}), frozenset({TaskStatus.IN_PROGRESS})),
    "complete": (frozenset({TaskStatus.IN_PROGRESS}), frozenset({TaskStatus.COMPLETED})),
    "report": (frozenset({TaskStatus.IN_PROGRESS}), frozenset({TaskStatus.IN_PROGRESS})),
    "split": (TASK_OPEN, TASK_OPEN),
    "cancel": (frozenset({TaskStatus.DRAFT}) | TASK_OPEN, frozenset({TaskStatus.CANCELLED})),
    # Taking something back: a move from where it led to where it came from, or only its pieces.
    "undo": (TASK_OPEN | {TaskStatus.COMPLETED}, TASK_OPEN | {TaskStatus.COMPLETED}),
}
