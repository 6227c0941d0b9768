"""What of orders and tasks comes in from tables."""

from apps.workorders.resources import orders, tasks

__all__ = ["orders", "tasks"]
