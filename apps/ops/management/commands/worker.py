"""`manage.py worker`: runs background jobs, and sees to it that they go on."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.ops.cluster import serve
from apps.ops.supervisor import AlreadyRuns, Supervisor


class Command(BaseCommand):
    help = "Run background jobs until SIGTERM. A cluster that delivers nothing is restarted."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--stale-after",
            type=float,
            default=settings.DOCKET_WORKER_STALE_SECONDS,
            metavar="SECONDS",
            help="restart the cluster when it delivers nothing for so long (default: %(default)s)",
        )
        parser.add_argument("--cluster", type=int, metavar="PID", help="used by the worker itself to start its cluster")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["cluster"]:
            if settings.DATABASES["default"].get("OPTIONS", {}).get("pool"):
                raise CommandError("DATABASE_POOL_SIZE is for the web process only. Unset it for the worker.")
            serve(options["cluster"])
            return
        if options["stale_after"] < 1:
            raise CommandError("--stale-after must be 1 second or more.")
        try:
            Supervisor(stale_after=options["stale_after"]).run()
        except AlreadyRuns as error:
            raise CommandError(str(error)) from error
