"""Jobs that look after the queue itself."""

import logging
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django_q.models import Failure, OrmQ, Task

from apps.core.jobs import job

log = logging.getLogger("docket.jobs")
FAILURES_KEPT = timedelta(days=30)


@job("ops.give_up")
def give_up() -> int:
    """End the jobs that were delivered for `retry` x `max_attempts` seconds and never came to an end; says how many.

    The queue counts only attempts that end, so a job that kills its worker would be delivered for ever. What it should
    have done is still in the tables, where the sweepers find it.
    """
    now = timezone.now()
    limit = timedelta(seconds=settings.Q_CLUSTER["retry"] * settings.Q_CLUSTER["max_attempts"])
    given_up = 0
    for row in OrmQ.objects.filter(lock__isnull=False).iterator():
        started = row.task.get("started")
        # A delivery moves the lock ahead; a row that only waits in a long queue still has the lock that it was written with.
        if started is None or now - started < limit or row.lock - started < timedelta(seconds=5):
            continue
        log.critical("job %s was delivered again and again and never ended; it is given up", row.name())
        Task.objects.update_or_create(
            id=row.task_id(),
            defaults={
                "name": row.name(),
                "func": row.func(),
                "args": row.args(),
                "kwargs": row.kwargs(),
                "started": started,
                "stopped": now,
                "success": False,
                "result": "Given up: it never came to an end, as when it kills its worker.",
                "attempt_count": settings.Q_CLUSTER["max_attempts"],
            },
        )
        row.delete()
        given_up += 1
    Failure.objects.filter(stopped__lt=now - FAILURES_KEPT).delete()
    return given_up
