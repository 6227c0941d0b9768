"""The admin pages of orders, tasks and events."""

from apps.workorders.admin.events import WorkEventAdmin
from apps.workorders.admin.orders import WorkOrderAdmin
from apps.workorders.admin.tasks import TaskAdmin

__all__ = ["TaskAdmin", "WorkEventAdmin", "WorkOrderAdmin"]
