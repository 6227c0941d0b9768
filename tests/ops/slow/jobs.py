import os
import signal
import threading

from apps.core.jobs import job


@job("slow.wait")
def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


@job("slow.die")
def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
