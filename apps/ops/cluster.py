"""django-q2's cluster as the supervisor starts it: it dies with the supervisor, and says what its workers do."""

import os
import signal
from itertools import count
from typing import Any

from django_q.cluster import Cluster
from django_q.signals import post_execute_in_worker, pre_execute

from apps.core.jobs import delivery
from apps.ops.processes import call_me, die_with_parent

DRAIN_SECONDS = 25  # how long jobs in flight have on SIGTERM

_numbers = count(1)


def _job_starts(task: dict[str, Any], **_: Any) -> None:
    delivery.set(task["id"])
    call_me(f"job {next(_numbers)}")


def _job_is_done(**_: Any) -> None:
    call_me("idle")


def _end_own_group(*_: Any) -> None:
    os.killpg(0, signal.SIGKILL)


class OwnCluster(Cluster):
    """A cluster whose stop has an end: a drain that hangs is cut off, whether or not a supervisor is left to do it."""

    is_draining = False

    def sig_handler(self, signum: int, frame: Any) -> None:
        if self.is_draining:
            return
        self.is_draining = True
        signal.signal(signal.SIGALRM, _end_own_group)
        signal.alarm(DRAIN_SECONDS)
        super().sig_handler(signum, frame)


def serve(supervisor: int) -> None:
    """Run a cluster in this process, which must lead its own group, until SIGTERM or until the process `supervisor` is gone."""
    pre_execute.connect(_job_starts, dispatch_uid="docket")
    post_execute_in_worker.connect(_job_is_done, dispatch_uid="docket")
    cluster = OwnCluster()
    die_with_parent()
    if os.getppid() == supervisor:
        cluster.start()
