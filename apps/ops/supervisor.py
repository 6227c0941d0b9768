"""Keeps one job cluster alive, because a cluster of django-q2 can be dead while all its processes run.

A worker that is killed while it holds the queue's lock, or a lost monitor, leaves a cluster that delivers nothing and that
no signal ends. So the supervisor, which shares nothing with the cluster but the database, looks for deliveries: it puts a
hint into the queue and wants to see rows go. Where none goes for too long, it kills the whole process group and starts anew.
"""

import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ

from apps.core.jobs import enqueue
from apps.core.models import Heartbeat, Hold
from apps.ops import schedules
from apps.ops.cluster import DRAIN_SECONDS
from apps.ops.processes import end_group, jobs_in, members, process

log = logging.getLogger("docket.worker")
HINT_SECONDS = 10
LONGEST_PAUSE = 30


class AlreadyRuns(Exception):
    """Another supervisor keeps a cluster for this database on this machine. The text says what to do."""


@dataclass
class Vigil:
    """When a cluster last gave a sign of life. Pure: seconds come from the caller's clock."""

    stale_after: float
    job_limit: float
    alive_at: float
    jobs: dict[tuple[int, str], float] = field(default_factory=dict)

    def delivered(self, now: float) -> None:
        """A row went from the queue."""
        self.alive_at = now

    def saw_jobs(self, jobs: set[tuple[int, str]], now: float) -> None:
        """Workers are in these jobs. A long one excuses silence, but only as long as a job may run."""
        self.jobs = {job: self.jobs.get(job, now) for job in jobs}
        # A short job shows by its row going; where rows of short jobs do not go, the monitor is lost.
        if any(self.stale_after / 6 <= now - since <= self.job_limit for since in self.jobs.values()):
            self.alive_at = now

    def is_stale(self, now: float) -> bool:
        return now - self.alive_at > self.stale_after


class Signals:
    """Waits that end early when a child ends or somebody asks to stop, without a race between the two."""

    def __init__(self) -> None:
        self.is_stopping = False

    def __enter__(self) -> "Signals":
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._old_fd = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        handlers = {signal.SIGTERM: self._stop, signal.SIGINT: self._stop, signal.SIGCHLD: lambda *_: None}
        self._old = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        os.close(self._reader)
        os.close(self._writer)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        log.info("stopping: %s", signal.Signals(number).name)
        self.is_stopping = True

    def wait(self, seconds: float) -> None:
        """Until a signal comes, or `seconds` have gone."""
        if select.select([self._reader], [], [], max(0.0, seconds))[0]:
            os.read(self._reader, 4096)


class Supervisor:
    """`manage.py worker`. `run` returns when it was asked to stop and nothing of the cluster is left."""

    def __init__(self, *, stale_after: float) -> None:
        self.stale_after = stale_after
        self.look_every = min(2.0, stale_after / 10)
        self.hint_every = min(HINT_SECONDS, stale_after / 4)
        self.host = socket.gethostname()
        self.signals = Signals()
        self.hint = 0
        self.hinted_at = 0.0
        self.newest = 0
        self.waiting = 0
        self.is_held = False

    @property
    def record(self) -> str:
        """The Heartbeat row that remembers this machine's process group."""
        return f"cluster@{self.host}"[:64]

    def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises AlreadyRuns."""
        pause = 1.0
        with self.signals:
            while not self.signals.is_stopping:
                if self._asked(self._prepare) and not self.is_held:
                    started = time.monotonic()
                    cluster = self._start()
                    self._watch(cluster)
                    if self.signals.is_stopping:
                        self._drain(cluster)
                    _kill(cluster)
                    pause = 1.0 if time.monotonic() - started > LONGEST_PAUSE else pause
                pause = self._pause(pause)
            self._asked(self._forget)
            log.info("stopped")

    def _pause(self, seconds: float) -> float:
        """Wait, and return how long to wait next time."""
        until = time.monotonic() + seconds
        while not self.signals.is_stopping and time.monotonic() < until:
            self.signals.wait(until - time.monotonic())
        return min(LONGEST_PAUSE, seconds * 2)

    def _asked(self, question: Callable[[], object]) -> bool:
        """Ask the database. False when it does not answer: it may be restarting. No connection is kept between questions."""
        try:
            question()
        except (DatabaseError, InterfaceError) as error:
            log.warning("the database does not answer: %s", str(error).strip())
            return False
        finally:
            connection.close()
        return True

    def _prepare(self) -> None:
        """End what an earlier supervisor left behind, put its fetched rows back, and bring the schedules up to date."""
        self._end_orphans()
        self.is_held = Hold.objects.exists()
        if self.is_held:
            log.warning("jobs stand still since a restore; to let them go: python manage.py release")
            return
        if not Heartbeat.objects.filter(name__startswith="cluster@").exclude(name=self.record).exists():
            # Fetched rows are locked for `retry` seconds. No cluster runs here now, nor elsewhere, so nobody works on them.
            OrmQ.objects.filter(key=Conf.CLUSTER_NAME, lock__gt=timezone.now()).update(lock=timezone.now())
        if changed := schedules.sync():
            log.info("schedules written: %s", ", ".join(changed))

    def _end_orphans(self) -> None:
        group = Heartbeat.objects.filter(name=self.record, host=self.host).values_list("process_group", flat=True).first()
        # A number may have passed on to a stranger since: only processes that are a cluster of ours are touched.
        if not group or not any(one.runs_worker(cluster=True) for one in members(group)):
            return
        main = process(group)
        keeper = process(main.parent) if main else None
        if keeper and keeper.runs_worker(cluster=False) and keeper.pid != os.getpid():
            raise AlreadyRuns(f"A worker already runs on this machine (process {keeper.pid}). Stop it first.")
        log.warning("ending process group %s, which an earlier worker left behind", group)
        end_group(group)

    def _start(self) -> subprocess.Popen:
        """Start a cluster in a session of its own, so that a signal to our group never reaches its children."""
        words = [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker", "--cluster", str(os.getpid())]
        # A pool of connections does not survive the cluster's forks.
        environment = {**os.environ, "DATABASE_POOL_SIZE": "0", "DATABASE_APPLICATION_NAME": "docket-worker"}
        cluster = subprocess.Popen(words, env=environment, start_new_session=True, stdin=subprocess.DEVNULL)  # noqa: S603
        log.info("cluster started as process group %s", cluster.pid)
        self.vigil = Vigil(self.stale_after, settings.Q_CLUSTER["timeout"] + 10, alive_at=time.monotonic())
        self.hinted_at = float("-inf")
        self.newest = self.waiting = 0
        values = {"beat_at": timezone.now(), "process_group": cluster.pid, "host": self.host}
        self._asked(lambda: Heartbeat.objects.update_or_create(name=self.record, defaults=values))
        return cluster

    def _forget(self) -> None:
        Heartbeat.objects.filter(name=self.record).delete()

    def _watch(self, cluster: subprocess.Popen) -> None:
        """Until the cluster ends, delivers nothing for too long, or we are asked to stop."""
        while not self.signals.is_stopping:
            self.signals.wait(self.look_every)
            if cluster.poll() is not None and not self.signals.is_stopping:
                log.error("the cluster ended by itself (exit code %s)", cluster.returncode)
                return
            if not self._asked(self._look):
                self.vigil.delivered(time.monotonic())  # nothing can be delivered now, so nothing can be judged
            self.vigil.saw_jobs(jobs_in(cluster.pid), time.monotonic())
            if self.vigil.is_stale(time.monotonic()):
                log.error("the cluster delivered nothing for %.0f s and is restarted", self.stale_after)
                return

    def _look(self) -> None:
        """Has any row gone since the last look? And is it time for a hint? Never more than one hint waits."""
        now, rows = time.monotonic(), OrmQ.objects.filter(key=Conf.CLUSTER_NAME)
        if rows.filter(pk__lte=self.newest).count() < self.waiting:
            self.vigil.delivered(now)
        if now - self.hinted_at >= self.hint_every and not rows.filter(pk=self.hint).exists():
            self.hint, self.hinted_at = enqueue("core.heartbeat"), now
        self.newest = rows.order_by("-pk").values_list("pk", flat=True).first() or 0
        self.waiting = rows.filter(pk__lte=self.newest).count()

    def _drain(self, cluster: subprocess.Popen) -> None:
        """SIGTERM to the cluster's main process only (its children do not survive one), and time for jobs in flight."""
        if cluster.poll() is None:
            cluster.send_signal(signal.SIGTERM)
        until = time.monotonic() + DRAIN_SECONDS
        while cluster.poll() is None and time.monotonic() < until:
            self.signals.wait(until - time.monotonic())


def _kill(cluster: subprocess.Popen) -> None:
    """Nothing of the cluster survives: orphans would go on working beside the next one."""
    end_group(cluster.pid)
    cluster.wait()
