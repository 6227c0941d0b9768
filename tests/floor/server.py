"""gunicorn as it is deployed, on the test's own database: several processes, that can be killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from random import Random
from typing import Self

import pytest
from django.conf import settings

from apps.scanning.simulation.handheld import Handheld, NoReply
from tests.ops.workers import database_url, eventually


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """`gunicorn -c deploy/gunicorn.conf.py` with three processes. `log` is what it wrote, without the requests.

    The processes are forked from one that has loaded Docket: one that is killed is back before the next one is.
    """

    def __init__(self, folder: Path) -> None:
        self.file, port = folder / "gunicorn.log", free_port()
        self.site = f"http://127.0.0.1:{port}"
        values = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "DATABASE_APPLICATION_NAME": "web",
            "GUNICORN_BIND": "127.0.0.1",
            "PORT": str(port),
            "GUNICORN_WORKERS": "3",
            "DOCKET_API_PER_MINUTE": "100000",
            "LOG_LEVEL": "WARNING",
            "LOG_FORMAT": "plain",
        }
        words = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "--preload", "tests.floor.warm"]
        with self.file.open("wb") as log:
            self.process = subprocess.Popen(words, cwd=settings.BASE_DIR, env=values, stdout=log, stderr=log)
        try:
            eventually(self._answers)
        except BaseException:
            self.end()
            raise

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"gunicorn ended with {self.process.returncode}:\n{self.log}")
        try:
            return Handheld(self.site, "").exchange("GET", "/health/", b"", {})[0] == 200
        except NoReply:
            return False

    @property
    def log(self) -> str:
        lines = self.file.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if "gunicorn.access" not in line)

    def workers(self) -> list[int]:
        """The processes that answer, by their parent."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=40)
        finally:
            self.process.kill()
            self.process.wait()


class Killer:
    """Kills a process of the server with -9 every `every` seconds, as long as the block runs."""

    def __init__(self, server: Server, *, every: float, seed: int) -> None:
        self.kills, self._server, self._every = 0, server, every
        self._chance, self._over = Random(seed), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._over.wait(self._every):
            if workers := self._server.workers():
                os.kill(self._chance.choice(workers), signal.SIGKILL)
                self.kills += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()
