"""`manage.py prepare`: everything between a checkout and a start. Run it again after every update."""

import fcntl
import hashlib
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from apps.accounts.services import sync_roles
from apps.ops.backups.facts import known_migrations
from apps.ops.messages import compile_stale

LOCK = 0x646F636B6574  # "docket": the number under which PostgreSQL knows who prepares


@contextmanager
def alone() -> Iterator[None]:
    """Of several that start at once, one prepares; the others wait and find it done. By folder, and by database across machines."""
    with (settings.VAR_DIR / ".prepare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if connection.vendor != "postgresql":
            yield
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


class Command(BaseCommand):
    help = "Compile texts, make folders, migrate, sync roles, collect static files. With --demo, fill an empty database with a demo shop."
    requires_system_checks = []  # they run in migrate, when the texts are compiled

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--demo", action="store_true", help="presets and a demo shop, where there are no people yet; print its sign-ins"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with alone():
            self._prepare(is_demo=options["demo"])

    def _prepare(self, *, is_demo: bool) -> None:
        compile_stale()
        private = Path(settings.STORAGES["private"]["OPTIONS"]["location"])
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
        private.chmod(0o700)
        missing = known_migrations() - set(MigrationRecorder(connection).applied_migrations())
        call_command("migrate", interactive=False, verbosity=0)
        if missing:
            self.stdout.write(f"{len(missing)} migrations applied.")
        sync_roles()
        self._static()
        if is_demo:
            self._demo(settings.VAR_DIR / "demo-sign-ins.txt")

    def _static(self) -> None:
        """Collect and compress, unless nothing changed: it takes seconds."""
        mark = settings.STATIC_ROOT / ".collected"
        found = hashlib.sha256()
        for finder in get_finders():
            for name, storage in finder.list([]):
                found.update(f"{name} {Path(storage.path(name)).stat().st_mtime_ns}\n".encode())
        if mark.exists() and mark.read_text() == found.hexdigest():
            return
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        mark.write_text(found.hexdigest())

    def _demo(self, sign_ins: Path) -> None:
        people = get_user_model().objects.filter(is_active=True).exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX)
        if not people.exists():
            said = StringIO()
            call_command("seed_presets", stdout=self.stdout)
            call_command("seed_demo", stdout=said)
            sign_ins.touch(mode=0o600)
            sign_ins.write_text(said.getvalue(), encoding="utf-8")
        if sign_ins.exists():
            self.stdout.write(sign_ins.read_text(encoding="utf-8"), ending="")
