"""`manage.py verify_backup FILE`: can this archive be restored, and is it then what was saved?"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.context import signed
from apps.ops.backups.errors import BackupError
from apps.ops.backups.making import verify_backup
from apps.ops.backups.restoring import newest
from apps.ops.doctor import unapplied


class Command(BaseCommand):
    help = "Restore an archive into a scratch database, compare it with its manifest, and record it as proved. Touches nothing else."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("archive", help="the file, or 'latest'")

    def handle(self, *args: Any, archive: str, **options: Any) -> None:
        try:
            if unapplied():
                raise CommandError("This database lacks tables, and cannot keep that it was proved. Run: python manage.py migrate")
            with signed(source="command"):
                row = verify_backup(newest() if archive == "latest" else Path(archive))
        except BackupError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{row.name}: {row.rows} rows, {row.events} events. {self.style.SUCCESS('Proved.')}")
