from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.services import system_user
from apps.core.context import signed
from apps.ops.integrity import CHECKS, SHOWN, rebuild_all, run_checks


class Command(BaseCommand):
    help = "Check what must always be true of the tables. Names the rows that break it, and ends with 1 if there is one."

    def add_arguments(self, parser: CommandParser) -> None:
        names = [check.name for check in CHECKS]
        parser.add_argument("checks", nargs="*", metavar="check", help=f"Only these: {', '.join(names)}.")
        parser.add_argument("--rebuild", action="store_true", help="First set wrong totals of tasks right from the ledger.")

    def handle(self, *args: Any, checks: list[str], rebuild: bool, **options: Any) -> None:
        unknown = sorted(set(checks) - {check.name for check in CHECKS})
        if unknown:
            raise CommandError(f"There is no check {unknown[0]!r}.")
        if rebuild:
            self._rebuild()
        broken = 0
        for finding in run_checks(checks):
            verdict = self.style.SUCCESS("ok") if finding.is_ok else self.style.ERROR(f"{finding.count} wrong")
            self.stdout.write(f"{finding.check.name}: {verdict} ({finding.check.says})")
            for row in finding.rows:
                self.stdout.write(f"  {row}")
            if finding.count > SHOWN:
                self.stdout.write(f"  and {finding.count - SHOWN} more")
            broken += not finding.is_ok
        if broken:
            raise CommandError(f"{broken} of the checks failed.", returncode=1)

    def _rebuild(self) -> None:
        with signed(source="command"):
            for task in rebuild_all(by=system_user()):
                self.stdout.write(f"{task} of order {task.order}: totals are {task.good} good, {task.scrap} scrap now")
