"""`manage.py doctor`: what is wrong with this installation, and the way to mend it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.ops.doctor import findings


class Command(BaseCommand):
    help = "Say what is wrong with this installation and how to mend it. Exit code 1 when something must be mended."
    requires_system_checks = []  # they are among what is looked at

    def handle(self, *args: Any, **options: Any) -> None:
        styles = {"ok": self.style.SUCCESS, "warn": self.style.WARNING, "error": self.style.ERROR}
        errors = 0
        for name, finding in findings():
            errors += finding.level == "error"
            self.stdout.write(f"{styles[finding.level](finding.level.upper().ljust(5))} {name}: {finding.text}")
            if finding.fix:
                self.stdout.write(f"      {finding.fix}")
        if errors:
            raise CommandError(f"{errors} to mend." if errors > 1 else "1 to mend.")
