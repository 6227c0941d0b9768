"""The only door to the background queue, and the core's own jobs.

The table is the truth, the queue is a hint: a job finds its work by a query, may run twice or never, and a sweeper finds
what was left. A job takes ids, loads again, and ends long before the cluster's `retry`.
"""

import logging
import socket
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import F, Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.brokers.orm import ORM
from django_q.tasks import async_task

from apps.core.context import new_request_id, signature, signed
from apps.core.errors import RuleError
from apps.core.models import Bucket, Heartbeat, Hold, IdempotencyKey, JobRun, JobState

log = logging.getLogger("docket.jobs")
JOBS: dict[str, Callable] = {}
RUN = "apps.core.jobs.run"  # what the queue calls, whatever the job
HEARTBEAT = "core.heartbeat"  # every few seconds: rows of it would hide all others
KEYS_KEPT = timedelta(days=7)
BUCKETS_KEPT = timedelta(days=1)
RUNS_KEPT = timedelta(days=2)
FAILED_RUNS_KEPT = timedelta(days=30)
# What the queue calls the job that is being run in this process; "" where it came another way.
delivery: ContextVar[str] = ContextVar("delivery", default="")


def job(name: str) -> Callable[[Callable], Callable]:
    """Register a function as the job `name` ("workorders.dispatch"). Only registered jobs ever run."""

    def register(function: Callable) -> Callable:
        if name in JOBS:
            raise ValueError(f"There are two jobs {name!r}.")
        JOBS[name] = function
        return function

    return register


class _Queue(ORM):
    """The queue table, which remembers the row that it wrote last."""

    row = 0

    def enqueue(self, task: str) -> int:
        self.row = super().enqueue(task)
        return self.row


def enqueue(name: str, *ids: Any) -> int:
    """Hint that job `name` has work; the hint's row id is returned. It commits or rolls back with the caller's transaction."""
    if name not in JOBS:
        raise KeyError(f"There is no job {name!r}.")
    queue = _Queue()
    title = f"{name} {' '.join(map(str, ids))}".strip()[:100]
    # Signs of life come every few seconds: kept, they would push the results that people look for out of the table.
    kept = name != HEARTBEAT
    async_task(RUN, name, *ids, request_id=signature().request_id, task_name=title, broker=queue, save=kept)
    return queue.row


def run(name: str, *ids: Any, request_id: str = "", alone: bool = False) -> Any:
    """Run one job as the worker does: signed as a job, under the request id of whoever asked for it.

    Every start is counted in a row of its own before it happens. A job that was started often enough is given up; one that is
    done stays done, however often it is delivered; and of a job that runs `alone` no second one starts meanwhile.
    """
    with signed(source="job", request_id=request_id or new_request_id(), actor=None, reason=""):
        if name not in JOBS:
            log.error("job %s is not one of ours and was refused", name)
            raise KeyError(f"There is no job {name!r}.")
        if Hold.objects.exists():
            log.warning("job %s %s was left out: jobs stand still since a restore", name, ids)
            return None
        if name == HEARTBEAT:
            return JOBS[name](*ids)
        row = _counted(name, ids)
        return _run(row, alone=alone) if row else None


def _counted(name: str, ids: tuple) -> JobRun | None:
    """The row of this delivery, with this start counted; None where it must not start."""
    values = {"name": name, "arguments": list(ids), "request_id": signature().request_id, "started_at": timezone.now()}
    row, _new = JobRun.objects.get_or_create(key=delivery.get() or uuid.uuid4().hex, defaults=values)
    if row.state in (JobState.DONE, JobState.DEAD, JobState.RETRIED):
        log.info("job %s was delivered again and is %s already", row, row.state)
        return None
    if row.attempts >= settings.Q_CLUSTER["max_attempts"]:
        give_up(row, f"It was started {row.attempts} times and never came to an end, as when it kills its worker.")
        return None
    started = {"attempts": F("attempts") + 1, "state": JobState.RUNNING, "started_at": timezone.now(), "host": socket.gethostname()}
    # Somebody else who was given the same delivery has counted it meanwhile, or nobody has.
    if not JobRun.objects.filter(pk=row.pk, attempts=row.attempts).update(**started, lock=""):
        return None
    row.refresh_from_db()
    return row


def _run(row: JobRun, *, alone: bool) -> Any:
    if alone and not _locked(row):
        log.info("job %s runs already; this one is left out", row)
        row.delete()
        return None
    begun = time.monotonic()
    try:
        result = JOBS[row.name](*row.arguments)
    except Exception as error:
        log.exception("job %s failed", row)
        said = f"{type(error).__name__}: {error}"[:2000]
        if row.attempts >= settings.Q_CLUSTER["max_attempts"]:
            give_up(row, said)
        else:
            _ended(row, begun, state=JobState.FAILED, problem=said)
        raise
    took = _ended(row, begun, state=JobState.DONE, problem="")
    log.info("job %s took %s ms", row, took)
    return result


def _locked(row: JobRun) -> bool:
    """Take the lock of the job's name; one that a killed worker took with it is free again when its job must have ended."""
    expired = timezone.now() - timedelta(seconds=settings.Q_CLUSTER["retry"])
    JobRun.objects.filter(lock=row.name, started_at__lt=expired).update(lock="")
    try:
        with transaction.atomic():
            return JobRun.objects.filter(pk=row.pk).update(lock=row.name) == 1
    except IntegrityError:
        return False


def _ended(row: JobRun, begun: float, **values: Any) -> int:
    took = round((time.monotonic() - begun) * 1000)
    JobRun.objects.filter(pk=row.pk).update(lock="", finished_at=timezone.now(), milliseconds=took, **values)
    return took


def give_up(row: JobRun, problem: str) -> None:
    """Nobody tries this job again, unless a person says so."""
    log.critical("job %s is given up: %s", row, problem)
    JobRun.objects.filter(pk=row.pk).update(lock="", state=JobState.DEAD, problem=problem, finished_at=timezone.now())


def retry(row: JobRun, *, by: Any) -> JobRun:
    """Put a job that was given up into the queue again, as a new one. Raises RuleError or PermissionDenied."""
    if not by.has_perm("core.retry_jobrun"):
        raise PermissionDenied
    if row.state not in (JobState.FAILED, JobState.DEAD):
        raise RuleError(_("Only a job that failed can be tried again."), code="state")
    if row.name not in JOBS:
        raise RuleError(_("This version of Docket has no job %(name)s any more.") % {"name": row.name}, code="unknown")
    with transaction.atomic():
        # Where the queue still has a delivery of it, that one finds the work handed on.
        if not JobRun.objects.filter(pk=row.pk, state=row.state).update(state=JobState.RETRIED):
            raise RuleError(_("Somebody was faster: this job is already tried again."), code="race")
        enqueue(row.name, *row.arguments)
        row.refresh_from_db()
    return row


@job(HEARTBEAT)
def heartbeat() -> None:
    """A sign of life that went through the queue itself, for the web to see."""
    Heartbeat.objects.update_or_create(name="worker", defaults={"beat_at": timezone.now(), "host": socket.gethostname()})


@job("core.purge")
def purge() -> int:
    """Throw away answers that nobody will ask for again, limits that are full again, and sessions that ended; says how many."""
    now = timezone.now()
    gone = _delete(IdempotencyKey.objects.filter(created_at__lt=now - KEYS_KEPT))
    gone += _delete(JobRun.objects.filter(state__in=[JobState.DONE, JobState.RETRIED], started_at__lt=now - RUNS_KEPT))
    gone += _delete(JobRun.objects.filter(started_at__lt=now - FAILED_RUNS_KEPT))
    gone += _delete(Bucket.objects.filter(updated_at__lt=(now - BUCKETS_KEPT).timestamp()))
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    return gone


def _delete(rows: QuerySet[Model]) -> int:
    """Delete by the thousand, so that on SQLite nobody waits long for the write lock."""
    gone = 0
    while pks := list(rows.values_list("pk", flat=True)[:1000]):
        gone += rows.model._default_manager.filter(pk__in=pks).delete()[0]
    return gone
