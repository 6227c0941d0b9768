from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Exists, OuterRef, Q

from apps.accounts.services import system_user
from apps.core.context import signed
from apps.core.errors import RuleError
from apps.dispatch.models import DispatchDecision
from apps.workorders.models import Task, WorkOrder
from apps.workorders.services import dispatch_order, preview_task
from apps.workorders.states import ORDER_RUNNING, TaskStatus


class Command(BaseCommand):
    help = "Send the pending tasks of running orders to departments and people now, and say why each goes where."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be decided.")
        parser.add_argument("--order", metavar="NUMBER", help="Only the tasks of this order.")

    def handle(self, *args: Any, dry_run: bool, order: str | None, **options: Any) -> None:
        orders = self._orders(order)
        count = 0
        with signed(source="command"):
            for one in orders:
                for decision in self._previews(one) if dry_run else self._dispatched(one):
                    count += 1
                    self._tell(one, decision)
        verb = "would be dispatched" if dry_run else "dispatched"
        self.stdout.write(f"{count} tasks {verb}.")

    def _waiting(self) -> Any:
        """Pending tasks that no dispatch has looked at, or that found no department; a person's choice is left alone."""
        return Task.objects.filter(Q(dispatched_at=None) | Q(department=None), status=TaskStatus.PENDING, is_pinned=False)

    def _orders(self, number: str | None) -> Any:
        orders = WorkOrder.objects.all()
        if number is None:
            waiting = Exists(self._waiting().filter(order=OuterRef("pk")))
            return orders.filter(waiting, status__in=ORDER_RUNNING).order_by("pk")
        order = orders.filter(number=number).first()
        if order is None:
            raise CommandError(f"There is no order {number!r}.")
        if order.status not in ORDER_RUNNING:
            raise CommandError(f"Order {number} is {order.get_status_display()}, so nothing of it is dispatched.")
        return [order]

    def _previews(self, order: WorkOrder) -> Iterator[DispatchDecision]:
        tasks = self._waiting().filter(order=order).select_related("step__process").order_by("pk")
        return (preview_task(task) for task in tasks)

    def _dispatched(self, order: WorkOrder) -> list[DispatchDecision]:
        try:
            return dispatch_order(order, by=system_user())
        except RuleError as error:  # it was held or cancelled meanwhile
            self.stdout.write(f"{order}: {error}")
            return []

    def _tell(self, order: WorkOrder, decision: DispatchDecision) -> None:
        to = " ".join(str(part) for part in (decision.department, decision.operator) if part) or "nowhere"
        self.stdout.write(f"{order} {decision.task} {decision.task.step.process}: {to}. {decision.reason}")
