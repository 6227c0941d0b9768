from typing import Any

from django.core.management.base import BaseCommand

from apps.core.context import signed
from apps.ops.seeding import seed_presets


class Command(BaseCommand):
    help = "Make the roles, departments, processes, dispatch rules and products of the reference shop, as far as they are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        with signed(source="command"):
            made = seed_presets()
        for what, count in made.items():
            self.stdout.write(f"{count} {what} made")
        if not made:
            self.stdout.write("Nothing was missing.")
