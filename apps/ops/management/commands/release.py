"""`manage.py release`: after a restore, lets jobs, schedules and mail go again."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.ops.backups.restoring import release


class Command(BaseCommand):
    help = "Let jobs, schedules and mail go again after a restore. Run it where the restored copy is to be the real one."

    def handle(self, *args: Any, **options: Any) -> None:
        held = release()
        self.stdout.write("Released: the worker goes on within half a minute." if held else "Nothing was held.")
