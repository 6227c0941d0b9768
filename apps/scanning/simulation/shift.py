"""A shift of several handhelds, replayed over HTTP with everything that a bad network does to it. Standard library only.

Each client keeps the contract: one batch after the other, its lanes in order, the same ids again where no reply came. Between
its own batches it plays the network: it sends what somebody sent before, late, out of order, beside the original.
"""

import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from apps.scanning.simulation.handheld import Handheld, NoReply, Problem

LANE = 12  # scans on one task, about
PLANNED = 1000  # pieces of each task
REASONS = ("setup", "register", "colour", "cut")
RECENT = 30  # requests: those that may still be under way
BATCH, SINGLE = "/api/scans/batch/", "/api/scans/"


@dataclass(frozen=True)
class Plan:
    """How much of what. `hours` is how long the shift was that is replayed; 0: everything is captured as it is sent.

    `at_once` is how many scans a handheld gathers at most before it sends them.
    """

    clients: int = 8
    scans: int = 1250
    sends: int = 10_000
    cut: float = 0.3
    seed: int = 1
    hours: float = 0.0
    first_wait: float = 0.05  # seconds; a real handheld begins with a whole one
    at_once: int = 8

    def scans_of(self, client: int) -> int:
        return self.scans // self.clients + (client < self.scans % self.clients)

    def lanes_of(self, client: int) -> int:
        """How many tasks the client works on."""
        return max(1, round(self.scans_of(client) / LANE))


@dataclass(frozen=True)
class Kit:
    """What one client is given: its handheld, a person's badge and PIN, and the codes of his tasks, PLANNED pieces each."""

    device: int
    device_token: str
    badge: str
    pin: str
    tasks: tuple[str, ...]


@dataclass
class Journal:
    """What the clients know in the end. Written by all of them, under `lock`."""

    captured: dict[str, dict[str, Any]] = field(default_factory=dict)  # id -> item
    device_of: dict[str, int] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)  # id -> what its first answer made of it
    in_doubt: set[str] = field(default_factory=set)  # sent by its own handheld, and no reply came
    results: Counter = field(default_factory=Counter)
    counted: Counter = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    sent: list[tuple[str, bytes]] = field(default_factory=list)  # (session, body) of every batch
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def percentile(self, share: float) -> float:
        """Milliseconds that this share of the replies took at most."""
        if len(self.milliseconds) < 2:
            return sum(self.milliseconds)
        return statistics.quantiles(self.milliseconds, n=100)[round(share * 100) - 1]


def script_of(tasks: Sequence[str], scans: int, chance: Random) -> list[tuple[str, str, dict[str, Any]]]:
    """(code, verb, values) of all that one person scans: each task begun, reported, sometimes interrupted, completed as planned.

    The tasks go side by side; those of one task stay in their order.
    """
    lanes = [iter(_lane(code, scans // len(tasks) + (number < scans % len(tasks)), chance)) for number, code in enumerate(tasks)]
    script = []
    while lanes:
        lane = chance.choice(lanes[:4])  # nobody works on more than a few at the same time
        scan = next(lane, None)
        if scan is None:
            lanes.remove(lane)
        else:
            script.append(scan)
    return script


def _lane(code: str, scans: int, chance: Random) -> Iterator[tuple[str, str, dict[str, Any]]]:
    done, left = 0, scans - 2
    yield code, "", {}  # the natural next thing: claimed and started
    while left > 0:
        if left >= 2 and chance.random() < 0.15:
            yield code, "pause", {"reason_code": chance.choice(("break", "waiting", "material"))}
            yield code, "resume", {}
            left -= 2
            continue
        good, scrap = chance.randint(1, PLANNED // max(scans, 1)), chance.choice((0, 0, 0, 1, 2))
        yield code, "report", {"quantity": good, "scrap": scrap} | ({"reason_code": chance.choice(REASONS)} if scrap else {})
        done, left = done + good, left - 1
    if scans > 1:
        yield code, "complete", {"quantity": PLANNED - done}


class Worker(Handheld):
    """A handheld that writes into the journal what it sends and hears."""

    def __init__(self, site: str, kit: Kit, plan: Plan, journal: Journal, *, number: int) -> None:
        self.plan, self.kit, self.journal = plan, kit, journal
        self.dice = Random(f"{plan.seed}:{number}")  # noqa: S311  (a replay, no secret)
        self.scans, self.sends = plan.scans_of(number), 0
        self._moment: datetime | None = None
        super().__init__(
            site, kit.device_token, first_wait=plan.first_wait, chance=self.dice, clock=lambda: self._moment or datetime.now(UTC)
        )

    def arrive(self) -> None:
        self._until_answered(lambda: self.badge_in(self.kit.badge, self.kit.pin))

    def work(self) -> None:
        """The whole shift of this client, then as many repetitions as are still missing."""
        if not self.session:
            return
        script = script_of(self.kit.tasks, self.scans, self.dice)
        share = self.plan.sends / self.plan.clients
        began = datetime.now(UTC) - timedelta(hours=self.plan.hours)
        done = 0
        while done < len(script):
            for code, verb, values in script[done : done + self.dice.randint(1, self.plan.at_once)]:
                # Captured all through the shift, and sent now.
                self._moment = began + timedelta(hours=self.plan.hours * done / len(script)) if self.plan.hours else None
                capture = self.capture(code, verb, **values)
                self._moment = None
                done += 1
                with self.journal.lock:
                    self.journal.captured[capture.key], self.journal.device_of[capture.key] = capture.item, self.kit.device
            self.drain()
            if self.queue.stopped:
                return
            self._repeat(until=share * done / len(script))
        self._repeat(until=share)

    def leave(self) -> None:
        self._until_answered(lambda: self.sign_out(anyway=True))

    def _until_answered(self, call: Any) -> None:
        failed = 0
        while True:
            try:
                call()
            except NoReply as lost:
                failed += 1
                if failed > 100:
                    raise
                self._wait(lost.wait or self.backoff(failed))
            else:
                return

    def _repeat(self, *, until: float) -> None:
        """Send again what was sent before, by whomever; the newest of it may be under way at this very moment."""
        while self.sends < until:
            with self.journal.lock:
                among = self.journal.sent[-RECENT:] if self.dice.random() < 0.5 else self.journal.sent
                session, body = self.dice.choice(among)
            path = BATCH
            if self.dice.random() < 0.2:
                # Alone, and through the other door: the first of a batch waits for none of the others.
                whole = json.loads(body)
                path, body = SINGLE, json.dumps(whole["items"][0] | {"device_time": whole["device_time"]}).encode()
            headers = {"Authorization": f"Token {session}", "Content-Type": "application/json", "Connection": "close"}
            try:
                status, answered, text = self.exchange("POST", path, body, headers)
            except NoReply:
                continue
            if status in (429, 503):
                self._wait(float(answered.get("retry-after", "1")))
            elif status != 200:
                with self.journal.lock:
                    self.journal.surprises.append(f"A repetition was answered {status}: {text.decode()[:300]}")
                return

    def exchange(self, method: str, path: str, raw: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """As every handheld's; what went and what came is written down."""
        if path not in (BATCH, SINGLE):
            return super().exchange(method, path, raw, headers)
        said = json.loads(raw)
        items = said["items"] if path == BATCH else [said]
        is_own, journal = headers["Authorization"] == f"Token {self.session}", self.journal
        self.sends += len(items)
        with journal.lock:
            journal.counted.update(requests=1, sends=len(items))
            if is_own and path == BATCH:
                journal.sent.append((self.session, raw))
        began = time.monotonic()
        try:
            status, answered, text = super().exchange(method, path, raw, headers)
        except NoReply:
            with journal.lock:
                journal.counted.update(no_reply=1)
                if is_own:
                    journal.in_doubt.update(
                        item["client_event_id"] for item in items if item["client_event_id"] not in journal.acknowledged
                    )
            raise
        with journal.lock:
            journal.milliseconds.append(1000 * (time.monotonic() - began))
            journal.counted.update({f"status {status}": 1})
            if status == 200:
                results = json.loads(text)["results"] if path == BATCH else [json.loads(text)]
                self._note(items, results)
        return status, answered, text

    def _note(self, items: list[dict[str, Any]], results: list[dict[str, Any]]) -> None:
        """Write the results of one reply into the journal, whose lock is held."""
        journal = self.journal
        for item, result in zip(items, results, strict=True):
            key, what = item["client_event_id"], result["result"]
            journal.results.update([what])
            if what in ("refused", "held", "blocked") or result["client_event_id"] != key or result["outcome"] not in ("applied", what):
                journal.surprises.append(f"{item['verb'] or 'scan'} of {item['code']} was {what}: {result['detail']}")
            if what != "blocked":
                if key in journal.in_doubt and key not in journal.acknowledged:
                    journal.counted.update({"committed in doubt": what == "duplicate"})
                journal.acknowledged.setdefault(key, result["outcome"])


def replay(site: str, kits: Sequence[Kit], plan: Plan, *, meanwhile: AbstractContextManager[Any] | None = None) -> Journal:
    """Let all clients work at the same time, and hand back what they know. `site` is the proxy's.

    `meanwhile` is open while they work, but not while they come and go.
    """
    journal = Journal()
    workers = [Worker(site, kit, plan, journal, number=number) for number, kit in enumerate(kits)]
    with ThreadPoolExecutor(len(workers)) as pool:

        def together(call: str) -> None:
            for worker, future in [(worker, pool.submit(getattr(worker, call))) for worker in workers]:
                try:
                    future.result()
                except (NoReply, Problem) as fault:
                    journal.surprises.append(f"Handheld {worker.kit.device} gave up: {fault}")

        together("arrive")
        began = time.monotonic()
        with meanwhile or nullcontext():
            together("work")
        journal.seconds = time.monotonic() - began
        together("leave")
    return journal
