"""The only door to the background queue, and the core's own jobs.

The table is the truth, the queue is a hint: a job finds its work by a query, may run twice or never, and a sweeper finds
what was left. A job takes ids, loads again, and ends long before the cluster's `retry`.
"""

import logging
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.tasks import async_task

from apps.core.context import new_request_id, signature, signed
from apps.core.models import Bucket, Heartbeat, Hold, IdempotencyKey

log = logging.getLogger("docket.jobs")
JOBS: dict[str, Callable] = {}
RUN = "apps.core.jobs.run"  # what the queue calls, whatever the job
KEYS_KEPT = timedelta(days=7)
BUCKETS_KEPT = timedelta(days=1)


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
    kept = name != "core.heartbeat"
    async_task(RUN, name, *ids, request_id=signature().request_id, task_name=title, broker=queue, save=kept)
    return queue.row


def run(name: str, *ids: Any, request_id: str = "") -> Any:
    """Run one job as the worker does: signed as a job, under the request id of whoever asked for it."""
    with signed(source="job", request_id=request_id or new_request_id(), actor=None, reason=""):
        if name not in JOBS:
            log.error("job %s is not one of ours and was refused", name)
            raise KeyError(f"There is no job {name!r}.")
        if Hold.objects.exists():
            log.warning("job %s %s was left out: jobs stand still since a restore", name, ids)
            return None
        started = time.monotonic()
        try:
            result = JOBS[name](*ids)
        except Exception:
            log.exception("job %s %s failed", name, ids)
            raise
        level = logging.DEBUG if name == "core.heartbeat" else logging.INFO
        log.log(level, "job %s %s took %.0f ms", name, ids, (time.monotonic() - started) * 1000)
        return result


@job("core.heartbeat")
def heartbeat() -> None:
    """A sign of life that went through the queue itself, for the web to see."""
    Heartbeat.objects.update_or_create(name="worker", defaults={"beat_at": timezone.now(), "host": socket.gethostname()})


@job("core.purge")
def purge() -> int:
    """Throw away answers that nobody will ask for again, limits that are full again, and sessions that ended; says how many."""
    now = timezone.now()
    gone = _delete(IdempotencyKey.objects.filter(created_at__lt=now - KEYS_KEPT))
    gone += _delete(Bucket.objects.filter(updated_at__lt=(now - BUCKETS_KEPT).timestamp()))
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    return gone


def _delete(rows: QuerySet[Model]) -> int:
    """Delete by the thousand, so that on SQLite nobody waits long for the write lock."""
    gone = 0
    while pks := list(rows.values_list("pk", flat=True)[:1000]):
        gone += rows.model._default_manager.filter(pk__in=pks).delete()[0]
    return gone
