"""`manage.py restore FILE`: from an empty machine, or over what is there, to what the archive holds."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from apps.core.context import signed
from apps.ops.backups.archive import Archive
from apps.ops.backups.databases import present
from apps.ops.backups.errors import BackupError
from apps.ops.backups.keys import read_keys
from apps.ops.backups.restoring import Restored, check, drill, newest, restore, settle

WORD = "restore"


class Command(BaseCommand):
    help = (
        "Put an archive in the place of database and uploaded files. What was there is kept aside; nothing runs until `manage.py release`."
    )
    requires_system_checks = []  # an empty machine has nothing to check yet

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("archive", help="the file, or 'latest'")
        parser.add_argument("--drill", action="store_true", help="rehearse it beside what is there, and change nothing")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--other-key", action="store_true", help="take an archive of a DJANGO_SECRET_KEY that is lost")
        parser.add_argument("--key-file", type=Path, help="open it with a key of this file, too, as DOCKET_BACKUP_KEY_FILE holds them")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with signed(source="command"):
                keys = read_keys(options["key_file"]) if options["key_file"] else []
                path = newest() if options["archive"] == "latest" else Path(options["archive"])
                if options["drill"]:
                    self._say(drill(path, keys=keys), "could be restored")
                    return
                archive = check(path, any_key=options["other_key"], keys=keys)
                if not options["yes"]:
                    self._ask(archive)
                restored = restore(archive)
                call_command("migrate", interactive=False, verbosity=0)
                settle(restored, path)
        except BackupError as error:
            raise CommandError(str(error)) from error
        self._say(restored, "is restored")
        if restored.aside:
            self.stdout.write(f"What was there is kept: {restored.aside}")
        self.stdout.write("Everybody signs in again. Jobs, schedules and mail stand still until: python manage.py release")

    def _ask(self, archive: Archive) -> None:
        self.stdout.write(f"This puts {archive.name} ({archive.manifest['totals']['events']} events) in the place of {present().name}.")
        try:
            answer = input(f"Type {WORD} to go on: ")
        except EOFError:
            answer = ""
        if answer.strip() != WORD:
            raise CommandError("Nothing was changed. Without a terminal, add --yes.")

    def _say(self, restored: Restored, what: str) -> None:
        totals, counts = restored.archive.manifest["totals"], restored.archive.manifest["counts"]
        rows = f"{sum(counts.values())} rows, {totals['events']} events, ledger {totals['ledger'][:16]}"
        self.stdout.write(f"{restored.archive.name} {what} in {restored.seconds:.1f} s: {rows}.")
