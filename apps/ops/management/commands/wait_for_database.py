"""`manage.py wait_for_database`: a start that comes before the database's own."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0  # seconds; 30 tries of a refused connection take two minutes


class Command(BaseCommand):
    help = "Wait until the database answers. The pause between two tries doubles, up to 5 seconds. Exit code 1 when it never does."
    requires_system_checks = []  # one of them may want the database

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tries", type=int, default=30, metavar="N", help="then give up (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        pause = FIRST_PAUSE
        for left in range(options["tries"] - 1, -1, -1):
            try:
                connection.ensure_connection()
                return
            except OperationalError as error:
                reason = str(error).strip().splitlines()[0]
            if left:
                self.stderr.write(f"retry in {pause:g} s: {reason}")
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        raise CommandError(f"The database does not answer: {reason}")
