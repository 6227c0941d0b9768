"""What Linux says about processes. On a machine without /proc every question has the empty answer."""

import ctypes
import os
import re
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
JOB = re.compile(r"job \d+")
LONGEST_DEATH = 5  # seconds; a process in an uninterruptible wait for a disk can take as long as the disk
_SET_PARENT_DEATH_SIGNAL, _SET_NAME = 1, 15


@dataclass(frozen=True)
class Process:
    """One running process; `name` is at most 15 characters, `words` is its command line."""

    pid: int
    parent: int
    group: int
    name: str
    words: tuple[str, ...]

    def runs_worker(self, *, cluster: bool) -> bool:
        """True for `manage.py worker`, or for the cluster (and its children) that it starts."""
        program = any(Path(word).name == "manage.py" for word in self.words[:3])
        return program and "worker" in self.words and ("--cluster" in self.words) is cluster


def process(pid: int) -> Process | None:
    """The running process `pid`; None when there is none, or when it only waits to be collected."""
    with suppress(OSError):
        before, _, after = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")
        state, parent, group = after.split()[:3]
        words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
        if state not in "ZX":
            return Process(pid, int(parent), int(group), before.partition("(")[2], tuple(words))
    return None


def members(group: int) -> list[Process]:
    """The running processes of a process group."""
    if not PROC.is_dir():
        return []
    found = (process(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdecimal())
    return [one for one in found if one and one.group == group]


def jobs_in(group: int) -> set[tuple[int, str]]:
    """Which workers of the group are in a job now, each with that job's number in the worker's life."""
    return {(one.pid, one.name) for one in members(group) if JOB.fullmatch(one.name)}


def end_group(group: int) -> None:
    """Kill every process of the group at once, and wait until they are gone, but not for ever.

    SIGKILL, since a cluster that lost a process no longer hears SIGTERM. A killed process still ends what the kernel does for it.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
        until = time.monotonic() + LONGEST_DEATH
        while members(group) and time.monotonic() < until:
            time.sleep(0.02)


def die_with_parent() -> None:
    """Ask for SIGTERM when the parent is gone, however it went. Linux only."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


def call_me(name: str) -> None:
    """Set this process's short name, as `ps -o comm` and `top` show it. Linux only."""
    _prctl(_SET_NAME, ctypes.create_string_buffer(name.encode()[:15]))


def _prctl(option: int, value: object) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
