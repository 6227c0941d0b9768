import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import User
from apps.workorders.explain import explain, sees
from apps.workorders.models import Task, WorkOrder


class Command(BaseCommand):
    help = "Say why somebody can, or cannot, see an order or a task, rule by rule."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")
        parser.add_argument("thing", metavar="order_or_task", help="An order number like 202611-0001, or a task like T123.")

    def handle(self, *args: Any, username: str, thing: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username!r}.")
        obj = self._find(thing)
        clauses = explain(user, obj)
        verdict = "sees" if sees(clauses) else "does not see"
        self.stdout.write(f"{user.username} {verdict} {obj._meta.verbose_name} {obj}.")
        for clause in clauses:
            self.stdout.write(f"  {'yes' if clause.holds else 'no':4}{clause.rule:14}{clause.detail}")

    def _find(self, thing: str) -> WorkOrder | Task:
        order = WorkOrder.objects.select_related("customer__salesperson", "maker", "created_by").filter(number=thing).first()
        if order:
            return order
        match = re.fullmatch(r"[Tt](\d{1,18})", thing)
        tasks = Task.objects.select_related("order__customer__salesperson", "order__maker", "department", "operator")
        task = tasks.filter(pk=int(match[1])).first() if match else None
        if task is None:
            raise CommandError(f"There is no order or task {thing!r}. Write an order number, or T and a task's number.")
        return task
