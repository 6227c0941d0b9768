"""The worker as people run it: a process, on the test database, that is killed in every way that was seen to hang a cluster."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure, OrmQ, Success
from django_q.tasks import async_task

from apps.core.jobs import RUN, enqueue
from apps.core.models import Heartbeat, IdempotencyKey
from apps.ops.processes import members
from tests.ops.slow import jobs  # noqa: F401  (registers them)
from tests.ops.workers import STALE_AFTER, Worker, eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture
def worker(tmp_path: Path, transactional_db: None) -> Iterator[Worker]:
    one = Worker(tmp_path)
    yield one
    one.end()
    print(one.log)  # pytest shows it where the test failed


def is_done(row: int) -> bool:
    return not OrmQ.objects.filter(pk=row).exists()


def test_a_job_is_done_and_the_site_is_ready(worker, client):
    old = IdempotencyKey.objects.create(owner="1", key="k", fingerprint="f")
    IdempotencyKey.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=8))
    row = enqueue("core.purge")
    eventually(lambda: is_done(row))
    assert not IdempotencyKey.objects.exists()
    assert Success.objects.get(name="core.purge").attempt_count == 1
    eventually(worker.delivers)
    assert client.get(reverse("health-ready")).json() == {
        "status": "ready",
        "checks": {"database": "ok", "migrations": "ok", "worker": "ok", "queue": "ok", "backup": "No backup was ever proved."},
    }


def test_a_job_that_is_not_ours_is_refused_and_kept_as_a_failure(worker):
    async_task(RUN, "os.system", task_name="a stranger")
    eventually(lambda: Failure.objects.filter(name="a stranger").exists())
    assert "There is no job 'os.system'" in Failure.objects.get(name="a stranger").result
    assert "job os.system is not one of ours and was refused" in worker.log


def test_a_killed_idle_process_holds_the_queue_and_the_cluster_is_replaced(worker):
    first = eventually(worker.delivers)
    threading.Event().wait(0.5)  # so that it waits for the next job, with the lock in its hand
    _main, _sentinel, idle, *_others = worker.children()
    os.kill(idle.pid, signal.SIGKILL)
    row = enqueue("core.purge")
    eventually(lambda: is_done(row), within=STALE_AFTER * 5)
    assert worker.group != first
    assert members(first) == []
    assert "the cluster delivered nothing for 8 s and is restarted" in worker.log


def test_jobs_are_done_after_a_lost_monitor(worker):
    """Where it held its queue's lock, jobs run and are never acknowledged, until the cluster is replaced."""
    eventually(worker.delivers)
    _main, _sentinel, _queue, monitor, _pusher = worker.children()
    os.kill(monitor.pid, signal.SIGKILL)
    row = enqueue("core.purge")
    eventually(lambda: is_done(row), within=STALE_AFTER * 6)


def test_a_cluster_whose_main_process_is_killed_leaves_no_orphans(worker):
    first = eventually(worker.delivers)
    os.kill(first, signal.SIGKILL)
    row = enqueue("core.purge")
    eventually(lambda: is_done(row))
    assert worker.group != first
    assert members(first) == []


def test_a_long_job_is_let_run(worker):
    first = eventually(worker.delivers)
    row = enqueue("slow.wait", STALE_AFTER * 1.7)
    eventually(lambda: is_done(row))
    assert worker.group == first
    assert Success.objects.get(name__startswith="slow.wait").attempt_count == 1


def test_a_job_that_kills_its_process_does_not_stop_the_others(worker):
    eventually(worker.delivers)
    poison = enqueue("slow.die")
    rows = [enqueue("core.purge") for _ in range(3)]
    eventually(lambda: all(map(is_done, rows)), within=STALE_AFTER * 6)
    assert OrmQ.objects.filter(pk=poison).exists()


def test_sigterm_lets_the_running_job_finish_and_exits_cleanly(worker):
    first = eventually(worker.delivers)
    row = enqueue("slow.wait", 2)
    eventually(lambda: any(one.name.startswith("job ") for one in members(first)))
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(timeout=30) == 0
    assert is_done(row)
    assert Success.objects.filter(name__startswith="slow.wait").exists()
    assert members(first) == []
    assert not Heartbeat.objects.filter(name__startswith="cluster@").exists()


def test_a_cluster_ends_when_its_supervisor_is_killed(worker):
    first = eventually(worker.delivers)
    worker.process.kill()
    eventually(lambda: not members(first))


def test_a_new_supervisor_ends_the_orphans_of_a_killed_one(worker, tmp_path):
    first = eventually(worker.delivers)
    os.kill(first, signal.SIGSTOP)  # so that it cannot hear that its supervisor is gone
    worker.process.kill()
    worker.process.wait()
    assert members(first) != []
    second = Worker(tmp_path)
    try:
        eventually(lambda: second.group not in (0, first))
        assert members(first) == []
        row = enqueue("core.purge")
        eventually(lambda: is_done(row))
    finally:
        second.end()


def test_a_second_worker_on_the_same_machine_is_refused(worker, tmp_path):
    first = eventually(worker.delivers)
    (tmp_path / "second").mkdir()
    second = Worker(tmp_path / "second")
    assert second.process.wait(timeout=30) == 1
    assert f"A worker already runs on this machine (process {worker.process.pid}). Stop it first." in second.log
    assert "Traceback" not in second.log
    assert worker.group == first


def test_the_worker_outlives_a_restart_of_the_database(worker):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no server")
    eventually(worker.delivers)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    row = enqueue("core.purge")
    eventually(lambda: is_done(row), within=60)
