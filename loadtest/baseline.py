#!/usr/bin/env python3
"""What Docket's pages cost beside what Django can do at all, in one run on one machine, through gunicorn as it is deployed.

    python -m loadtest.baseline                                      # on SQLite, with 20,000 tasks, made and taken away
    python -m loadtest.baseline --tasks 200000 --database postgresql://postgres@127.0.0.1/ [--keep FOLDER]

Every round asks each page for a while, one page after the other, so that what else the machine does meets them all. Of each the
median round counts, and the best one beside it. Ratios are requests a second: the bare view's, or for what writes, those of the view
with one UPDATE and one INSERT, divided by the page's. Only a copy is measured: reports and scans are counted.
"""

import argparse
import itertools
import json
import os
import re
import socket
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest.parts import HOST, NotReady, Web, manage, production
from loadtest.stack import database

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Keeper:
    """One browser's connection: sends what it is given, reads the answer, says its status. Raw, so that it costs little itself."""

    def __init__(self, port: int) -> None:
        self.port, self.socket = port, None

    def ask(self, request: bytes) -> int:
        try:
            return self._ask(request)
        except (ConnectionError, TimeoutError, OSError):
            self.close()  # the server ends a connection that was idle, or served its last
            return self._ask(request)

    def _ask(self, request: bytes) -> int:
        if self.socket is None:
            self.socket = socket.create_connection((HOST, self.port), timeout=60)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(request)
        read = b""
        while (end := read.find(b"\r\n\r\n")) < 0:
            read += self._more()
        length = LENGTH.search(read, 0, end + 2)
        rest = (int(length[1]) if length else 0) - (len(read) - end - 4)
        while rest > 0:
            rest -= len(self._more())
        if b"connection: close" in read[:end].lower():
            self.close()
        return int(read[9:12])

    def _more(self) -> bytes:
        if not (part := self.socket.recv(262_144)):
            raise ConnectionResetError
        return part

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
        self.socket = None


@dataclass
class Page:
    """Something that is asked for. `requests` gives one after the other, as bytes; `against` names what it is a ratio to."""

    name: str
    port: int
    requests: Callable[[], bytes]
    against: str = "bare view"
    status: int = 200
    rates: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    wrong: int = 0

    def measure(self, seconds: float, clients: int) -> None:
        """One round: so many clients, one request after the other each."""
        times: list[list[float]] = [[] for _client in range(clients)]
        until = time.perf_counter() + seconds

        def work(mine: list[float]) -> None:
            keeper = Keeper(self.port)
            while (began := time.perf_counter()) < until:
                status = keeper.ask(self.requests())
                mine.append(time.perf_counter() - began)
                self.wrong += status != self.status
            keeper.close()

        threads = [threading.Thread(target=work, args=[mine]) for mine in times]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.perf_counter() - began
        every = [one for mine in times for one in mine]
        self.rates.append(len(every) / took)
        self.times += every

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    def percentile(self, share: int) -> float:
        return 1000 * statistics.quantiles(self.times, n=100)[share - 1] if len(self.times) > 1 else 1000 * sum(self.times)


def request(method: str, path: str, headers: dict[str, str], body: Any = None) -> bytes:
    raw = b"" if body is None else json.dumps(body).encode()
    lines = {"Host": HOST, "Accept-Encoding": "gzip", "X-Forwarded-Proto": "https"} | headers
    if body is not None:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(raw))}
    return (
        f"{method} {path} HTTP/1.1\r\n".encode() + "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode() + b"\r\n" + raw
    )


def always(*given: Any) -> Callable[[], bytes]:
    made = request(*given)
    return lambda: made


def pages(web: int, bare: int) -> list[Page]:
    """All that is measured, with the people and rows of the database that they need."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.cached_db import SessionStore

    from apps.accounts.models import User
    from apps.accounts.services import issue_token
    from apps.core.models import Bucket
    from apps.scanning.codes import Kind, encode
    from apps.workorders.models import Task, WorkOrder
    from loadtest.bare import BUCKETS, OWNER

    Bucket.objects.bulk_create([Bucket(key=f"{OWNER}:{n}", tokens=0, updated_at=0) for n in range(BUCKETS)], ignore_conflicts=True)
    lead = User.objects.get(username="test_supervisor")
    session = SessionStore()
    session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(lead.pk), settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = lead.get_session_auth_hash()
    session.save()
    seen = {"Cookie": f"sessionid={session.session_key}"}
    reader = {"Authorization": f"Token {issue_token(lead)[1]}"}
    running = list(Task.objects.filter(status="in_progress", planned__gte=500, operator__is_active=True).order_by("pk")[:400])
    if not running:
        raise NotReady("No task is in progress. Make more: --tasks 2000")
    own = {pk: {"Authorization": f"Token {issue_token(User.objects.get(pk=pk))[1]}"} for pk in {task.operator_id for task in running}}
    turns = itertools.cycle(running)

    def report() -> bytes:
        task = next(turns)
        body = {"quantity": 0, "scrap": 1, "reason": "setup"}  # scrap has no plan that it could go past
        return request("POST", f"/api/tasks/{task.pk}/update_progress/", own[task.operator_id], body)

    def scan() -> bytes:
        task = next(turns)
        body = {"client_event_id": str(uuid.uuid4()), "code": encode(Kind.TASK, task.pk), "verb": "report", "scrap": 1, "reason": "setup"}
        return request("POST", "/api/scans/", own[task.operator_id], body)

    order = WorkOrder.objects.visible_to(lead).filter(status="in_progress").order_by("pk").first()
    writes = "UPDATE and INSERT"
    return [
        Page("bare view", bare, always("GET", "/plain/", {})),
        Page(writes, bare, always("POST", "/write/", {}, {"quantity": 1})),
        Page("task list (API)", web, always("GET", "/api/tasks/", reader)),
        Page("order list (API)", web, always("GET", "/api/workorders/", reader)),
        Page("report", web, report, writes),
        Page("scan", web, scan, writes),
        Page("task list (admin)", web, always("GET", "/admin/workorders/task/?open=yes", seen)),
        Page("order page (admin)", web, always("GET", f"/admin/workorders/workorder/{order.pk}/change/", seen)),
    ]


def forget() -> None:
    """Take away what the bare view wrote."""
    from apps.core.models import Bucket, IdempotencyKey
    from loadtest.bare import OWNER

    IdempotencyKey.objects.filter(owner=OWNER).delete()
    Bucket.objects.filter(key__startswith=f"{OWNER}:").delete()


def table(measured: Sequence[Page]) -> Iterator[str]:
    by_name = {page.name: page for page in measured}
    yield f"{'':20} {'req/s':>8} {'best':>8} {'p50 ms':>8} {'p95 ms':>8}  ratio"
    for page in measured:
        base = by_name[page.against]
        ratio = "" if base is page or page.name == page.against else f"1 : {base.rate / page.rate:.1f} of the {base.name}"
        wrong = f"  {page.wrong} WRONG ANSWERS" if page.wrong else ""
        figures = (page.rate, max(page.rates), page.percentile(50), page.percentile(95))
        yield f"{page.name:20} {' '.join(f'{figure:8.1f}' for figure in figures)}  {ratio}{wrong}"


def run(words: argparse.Namespace) -> int:
    with ExitStack() as parts:
        folder = words.keep or Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="baseline-")))
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        address = parts.enter_context(database(words.database, folder, keep=words.keep is not None))
        environment = production(folder, address, DOCKET_API_PER_MINUTE="100000", LOG_LEVEL="ERROR")
        manage(environment, "prepare")
        if not (folder / "seeded").exists():
            manage(environment, "seed_load", "--tasks", words.tasks, quiet=False)
            (folder / "seeded").touch()
        web = Web(folder, environment)
        bare = Web(
            folder, environment | {"DJANGO_SETTINGS_MODULE": "loadtest.bare_settings"}, name="bare", application="loadtest.bare:application"
        )
        for part in (web, bare):
            parts.callback(part.stop)
            part.start()
        os.environ.clear()  # nothing of the caller decides what is read here
        os.environ.update(environment, DJANGO_SETTINGS_MODULE="project.settings")
        import django

        django.setup()
        measured = pages(web.port, bare.port)
        parts.callback(forget)
        for page in measured:  # what is loaded once is not measured
            page.measure(1, words.clients)
            page.rates, page.times, page.wrong = [], [], 0
        for number in range(1, words.rounds + 1):
            print(f"round {number} of {words.rounds}", file=sys.stderr, flush=True)
            for page in measured:
                page.measure(words.seconds, words.clients)
        print(
            f"{words.tasks} tasks, {address.partition(':')[0]}, {words.clients} clients, {words.rounds} rounds of {words.seconds} s, median"
        )
        print("\n".join(table(measured)))
        return 1 if any(page.wrong for page in measured) else 0


def read_words(given: Sequence[str]) -> argparse.Namespace:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--database", default="", help="A PostgreSQL server that may make databases. Without: SQLite.")
    words.add_argument("--tasks", type=int, default=20_000)
    words.add_argument("--keep", type=Path, help="A folder that stays, with its database: the same that loadtest.stack takes.")
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--seconds", type=float, default=3.0, help="How long each page is asked for in a round.")
    words.add_argument("--clients", type=int, default=4)
    return words.parse_args(given)


if __name__ == "__main__":
    try:
        sys.exit(run(read_words(sys.argv[1:])))
    except NotReady as reason:
        sys.exit(str(reason))
