"""The floor's jobs."""

import logging
from datetime import timedelta

from django.utils import timezone

from apps.core.jobs import job
from apps.scanning.services import scans

LEFT_FOR = timedelta(minutes=1)
log = logging.getLogger("docket.scans")


@job("scanning.sweep")
def sweep() -> int:
    """Finish the scans that a crash left between being stored and being counted. Returns how many it was."""
    found = scans.sweep(timezone.now() - LEFT_FOR)
    if found:
        log.warning("sweep finds %s scans that were stored and not finished", found)
    return found
