"""`manage.py backup`: one archive of everything, proved by restoring it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core.context import signed
from apps.ops.backups.errors import BackupError
from apps.ops.backups.making import make_backup, path_of


class Command(BaseCommand):
    help = "Back up database and uploaded files into one archive, prove it by a restore beside the present data, and remove old ones."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with signed(source="command"):
                row = make_backup()
        except BackupError as error:
            raise CommandError(str(error)) from error
        key = f", encrypted under the key {row.key_fingerprint}" if row.key_fingerprint else ""
        said = f"{path_of(row.name)}: {row.size} bytes, {row.rows} rows, {row.events} events{key}."
        self.stdout.write(f"{said} {self.style.SUCCESS('Proved.')}")
