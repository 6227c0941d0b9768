"""What is down so badly that people in charge are told on every page."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from django.core.cache import cache
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.models import Hold
from apps.ops.backups.making import unproved_since
from apps.ops.doctor import BACKUP_LIMIT, worker
from apps.ops.models import Backup, BackupState

SENTENCES = {
    "held": _("This is a restored copy: jobs, schedules and mail stand still until it is released (manage.py release)."),
    "worker": _(
        "The worker is down: nothing is dispatched, no scan is swept, no backup is made. "
        "Start it: systemctl start docket-worker, or the worker's container."
    ),
    "backup": _("The last backup is not proved. See why, mend it, and run: manage.py backup"),
}
KEY = "ops.trouble"
KEPT_SECONDS = 15
LONGEST_PROOF = timedelta(hours=2)  # an archive that is not proved by then was left behind by a run that was killed


def trouble(*, fresh: bool = False) -> list[str]:
    """Which of SENTENCES are so. Asks the database every 15 seconds at most, with five queries; a cache that is away costs those."""
    with suppress(OSError):  # a cache in a folder: its disk may be full, or not ours to write
        if not fresh and (known := cache.get(KEY)) is not None:
            return known
    found = list(_look())
    with suppress(OSError):
        cache.set(KEY, found, KEPT_SECONDS)
    return found


def _look() -> Iterator[str]:
    if Hold.objects.exists():
        yield "held"
    elif worker().level == "error":
        yield "worker"
    state, started_at = Backup.objects.order_by("-started_at").values_list("state", "started_at").first() or ("", None)
    hangs = state == BackupState.MADE and started_at < timezone.now() - LONGEST_PROOF
    since = unproved_since()
    if state == BackupState.FAILED or hangs or (since and since < timezone.now() - BACKUP_LIMIT):
        yield "backup"
