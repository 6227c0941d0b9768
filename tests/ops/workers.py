"""Starts `manage.py worker` as a process of its own on the test database, and looks at its processes."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from apps.core.models import Heartbeat
from apps.ops.processes import Process, end_group, members

STALE_AFTER = 8.0


def eventually(question: Callable[[], Any], *, within: float = 60) -> Any:
    """The first answer that is true. A test that waits longer than `within` seconds fails."""
    until, pause = time.monotonic() + within, threading.Event()
    while time.monotonic() < until:
        if answer := question():
            return answer
        pause.wait(0.1)
    return pytest.fail(f"This did not come true within {within} s.")


def database_url() -> str:
    """The address of the database that this test uses."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    user = quote(values["USER"], safe="") + (f":{quote(values['PASSWORD'], safe='')}" if values["PASSWORD"] else "")
    return f"postgresql://{user}@{values['HOST'] or 'localhost'}:{values['PORT'] or 5432}/{values['NAME']}"


class Worker:
    """One `manage.py worker` with one queue process. `log` is what it wrote."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "worker.log"
        environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "tests.ops.slow.settings",
            "DOCKET_WORKERS": "1",
            "LOG_LEVEL": "INFO",
            "LOG_FORMAT": "plain",
        }
        words = [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker", "--stale-after", str(STALE_AFTER), "--skip-checks"]
        with self.file.open("ab") as log:
            self.process = subprocess.Popen(words, env=environment, cwd=settings.BASE_DIR, stdout=log, stderr=log, start_new_session=True)
        self.groups: set[int] = set()

    @property
    def log(self) -> str:
        return self.file.read_text()

    @property
    def group(self) -> int:
        """The process group of the cluster that runs now; 0 where there is none yet."""
        found = Heartbeat.objects.filter(name__startswith="cluster@").values_list("process_group", flat=True).first() or 0
        self.groups.add(found)
        return found

    def delivers(self) -> int:
        """The cluster's group, once a sign of life has come through its queue."""
        group = self.group
        return group if Heartbeat.objects.filter(name="worker").exists() else 0

    def children(self) -> list[Process]:
        """The cluster's processes in the order of their birth: main, sentinel, queue process, monitor, pusher."""
        return sorted(members(self.group), key=lambda one: one.pid)

    def end(self) -> None:
        """Nothing of it is left, whatever the test did."""
        self.process.kill()
        self.process.wait()
        for group in {*self.groups, self.group} - {0}:
            if any(one.runs_worker(cluster=True) for one in members(group)):
                end_group(group)
            eventually(lambda group=group: not members(group))
