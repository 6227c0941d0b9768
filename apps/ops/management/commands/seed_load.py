import json
import time
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.context import signed
from apps.ops.kits import hand_out
from apps.ops.load import PASSWORD, PREFIX, Progress, seed_load
from apps.ops.seeding import seed_presets
from apps.workorders.models import WorkOrder

SAYS_EVERY = 10  # seconds


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000_000:
        raise ArgumentTypeError(f"'{text}' is no whole number from 1 to 10000000.")
    return int(text)


class Command(BaseCommand):
    help = "Fill a shop for load tests: test_maker, test_supervisor, test_operator, people, products, and orders in every state."

    def add_arguments(self, parser: CommandParser) -> None:
        size = parser.add_mutually_exclusive_group(required=True)
        size.add_argument("--orders", type=_count, default=0, help="How many orders to add.")
        size.add_argument("--tasks", type=_count, default=0, help="Add orders until they have so many tasks.")
        size.add_argument("--events", type=_count, default=0, help="Add orders until the ledger has so many events of them.")
        parser.add_argument("--seed", type=int, default=1, help="The same seed gives the same shop.")
        parser.add_argument("--handhelds", type=_count, default=0, help="Register so many handhelds too, with a badge and a PIN each.")
        parser.add_argument("--kits", type=Path, help="The file for the handhelds' tokens, badges and PINs; only its owner can read it.")
        parser.add_argument("--anyway", action="store_true", help="Even into a shop in production that has orders of its own.")

    def handle(self, *args: Any, orders: int, tasks: int, events: int, seed: int, anyway: bool, **options: Any) -> None:
        if bool(options["handhelds"]) != bool(options["kits"]):
            raise CommandError("--handhelds says how many, --kits the file for what they sign in with: give both or neither.")
        own = WorkOrder.objects.exclude(number__startswith=PREFIX)
        if not settings.DEBUG and not anyway and own.exists():
            raise CommandError(
                "This shop has orders of its own, and the people of a load test have a known password. Say --anyway to go on."
            )
        began = self._said = time.monotonic()
        with signed(source="command"):
            seed_presets()
            done = seed_load(orders=orders, tasks=tasks, events=events, seed=seed, tell=self._tell)
        took = max(time.monotonic() - began, 0.001)
        self.stdout.write(
            f"{done.orders} orders with {done.tasks} tasks and {done.events} events: {done.rows} rows in {took:.1f} s, "
            f"{done.rows / took:.0f} rows/s, {done.tasks / took:.0f} tasks/s"
        )
        if options["handhelds"]:
            self._hand_out(options["handhelds"], options["kits"])
        self.stdout.write(f"test_maker, test_supervisor and test_operator sign in with: {PASSWORD}")

    def _hand_out(self, count: int, file: Path) -> None:
        with signed(source="command"):
            kits = hand_out(count)
        file.touch(mode=0o600)
        file.write_text(json.dumps([kit.as_json() for kit in kits], indent=1), encoding="utf-8")
        self.stdout.write(f"{len(kits)} handhelds: {file}")

    def _tell(self, progress: Progress) -> None:
        if time.monotonic() - self._said > SAYS_EVERY:
            self._said = time.monotonic()
            self.stdout.write(f"{progress.orders} orders, {progress.tasks} tasks")
