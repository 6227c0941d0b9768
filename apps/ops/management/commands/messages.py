"""`manage.py messages`: keeps the translations in step with the code."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.ops.messages import Catalogue, compile_stale, texts


class Command(BaseCommand):
    help = "Collect every text of the code and the templates into the catalogues and compile them."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--check", action="store_true", help="change nothing; exit code 1 when a text is missing, fuzzy or obsolete")
        group.add_argument("--compile", action="store_true", help="compile only what is older than its source")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["compile"]:
            self.stdout.write(f"Compiled: {', '.join(compile_stale()) or 'nothing needed it'}.")
            return
        wanted = texts()
        for catalogue in Catalogue.all():
            if not options["check"]:
                catalogue.write(catalogue.updated(wanted))
                catalogue.compile()
            problems = catalogue.problems(wanted)
            for problem in problems:
                self.stdout.write(f"{catalogue.locale}: {problem}")
            self.stdout.write(f"{catalogue.locale}: {len(wanted)} texts, {len(problems)} to look at.")
            if problems and options["check"]:
                raise CommandError(f"Run 'python manage.py messages' and complete {catalogue.source.name} of {catalogue.locale}.")
