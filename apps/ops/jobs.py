"""Jobs that look after the queue itself, and after the backups."""

import logging
import os
import subprocess
import sys
from datetime import timedelta

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure, OrmQ, Task

from apps.core import jobs as core_jobs
from apps.core.jobs import job
from apps.core.models import JobRun, JobState
from apps.notices.models import Notice
from apps.ops.alarms import alarm
from apps.ops.backups.making import end_interrupted, unproved_since
from apps.ops.doctor import BACKUP_LIMIT

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
        for run in JobRun.objects.filter(key=row.task_id(), state__in=[JobState.RUNNING, JobState.FAILED]):
            core_jobs.give_up(run, "It never came to an end, as when it kills its worker.")
        row.delete()
        given_up += 1
    _tell_of_dead_letters()
    Failure.objects.filter(stopped__lt=now - FAILURES_KEPT).delete()
    return given_up


def _tell_of_dead_letters() -> None:
    """Each job that was given up is told once."""
    for run in JobRun.objects.filter(state=JobState.DEAD, told_at=None):
        if JobRun.objects.filter(pk=run.pk, told_at=None).update(told_at=timezone.now()):
            alarm("job_given_up", url=reverse("admin:core_jobrun_change", args=[run.pk]), job=str(run), reason=run.problem[:300])


@job("ops.backup")
def backup() -> None:
    """Start the nightly backup as a process of its own: it may take longer than any job may."""
    words = [sys.executable, str(settings.BASE_DIR / "manage.py"), "backup"]
    # A pool of connections is for the web only.
    environment = {**os.environ, "DATABASE_POOL_SIZE": "0", "DATABASE_APPLICATION_NAME": "docket-backup"}
    subprocess.Popen(words, env=environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603


@job("ops.watch_backups")
def watch_backups() -> bool:
    """Tell of runs that were killed, and once a day that no backup was proved for too long. True when something was told."""
    told = end_interrupted() > 0
    begun, limit = unproved_since(), timezone.now() - BACKUP_LIMIT
    told_today = Notice.objects.filter(kind="backup_missing", created_at__gt=timezone.now() - timedelta(hours=23)).exists()
    if begun and begun < limit and not told_today:
        alarm("backup_missing", url=reverse("admin:ops_backup_changelist"), since=timezone.localtime(begun).strftime("%Y-%m-%d %H:%M"))
        told = True
    return told
