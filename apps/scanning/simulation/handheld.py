"""A handheld as project/docs/handhelds.md asks for one: the reference client. Standard library only, so that it reads as an example.

The queue outlives the client: give a new Handheld the queue of the old one, as a restarted device would read its own storage.
"""

import json
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from random import Random
from typing import Any
from urllib.parse import quote, urlsplit

MOST_IN_A_BATCH = 200
SHIFT = timedelta(hours=12)
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds
TIMEOUT = 30.0  # seconds without a byte


class NoReply(Exception):
    """Nobody answered, or the site said to come back: the same ids are to be sent again. `wait` is what Retry-After asked, in seconds."""

    def __init__(self, what: str, wait: float = 0) -> None:
        super().__init__(what)
        self.wait = wait


class Problem(Exception):
    """A refusal (`application/problem+json`) of the request as a whole."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body.get('code')}: {body.get('detail')}")
        self.http_status, self.code, self.detail = status, body.get("code", ""), body.get("detail", "")


class SignInAgain(Problem):
    """401: the session is over. What waits stays, for the same person."""


class StillWaiting(Exception):
    """Signing out now would leave scans on the handheld that nobody else can send. `count` says how many."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} scans are not sent yet.")
        self.count = count


@dataclass
class Capture:
    """One scan as it was captured. `item` is what is sent, the same each time; `user` is whose session it belongs to."""

    user: int
    captured_at: datetime
    item: dict[str, Any]

    @property
    def key(self) -> str:
        return self.item["client_event_id"]


@dataclass
class Queue:
    """What a handheld keeps through a restart: the waiting scans in the order of capture, and the lanes that wait for a person's look."""

    waiting: list[Capture] = field(default_factory=list)
    stopped: dict[str, str] = field(default_factory=dict)  # lane -> the sentence that a person has to read
    last_seq: int = 0
    may_be_old: bool = False  # somebody said to send what is older than a shift


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


class Handheld:
    """Speaks to one site with its device's token. Not for several threads at once: a handheld sends one batch after the other."""

    def __init__(
        self,
        site: str,
        device_token: str,
        *,
        queue: Queue | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: Callable[[float], None] = pause,
        first_wait: float = FIRST_WAIT,
        chance: Random | None = None,
    ) -> None:
        self.site, self.device_token = urlsplit(site), device_token
        self.queue = queue or Queue()
        self.clock, self._wait, self._first_wait = clock, wait, first_wait
        self._chance = chance or Random()  # noqa: S311  (jitter)
        self.session, self.user = "", 0
        self._batch_size = MOST_IN_A_BATCH

    def badge_in(self, badge: str, pin: str) -> dict[str, Any]:
        """Sign a person in. Returns who it is. Raises Problem 401 (wrong) or NoReply (locked: its wait says for how long)."""
        answer = self.ask("POST", "/api/auth/badge/", {"badge": badge, "pin": pin}, token=self.device_token)
        self.session, self.user = answer["token"], answer["user"]["id"]
        return answer["user"]

    def sign_out(self, *, anyway: bool = False) -> None:
        """End the session here and on the site. Raises StillWaiting while something of this person's waits, unless it is `anyway`."""
        own = [one for one in self.queue.waiting if one.user == self.user]
        if own and not anyway:
            raise StillWaiting(len(own))
        if self.session:
            with suppress(SignInAgain):  # it was over already
                self.ask("POST", "/api/auth/logout/", {}, token=self.session)
        self.session, self.user = "", 0

    def resolve(self, code: str) -> dict[str, Any]:
        """What a code stands for, and what may be done with it now."""
        return self.ask("GET", f"/api/scans/resolve/?code={quote(code)}", token=self.session or self.device_token)

    def capture(self, code: str, verb: str = "", *, lane: str = "", **values: Any) -> Capture:
        """Put a scan in the queue. Its key is made here, once; sending it any number of times counts once.

        `values` are quantity, scrap, reason, counter. The lane is the code's own, unless one is given.
        """
        now = self.clock()
        self.queue.last_seq += 1
        item = {
            "client_event_id": str(uuid.uuid4()),
            "code": code,
            "verb": verb,
            "captured_at": now.isoformat(),
            "lane": lane or code,
            "seq": self.queue.last_seq,
        } | values
        capture = Capture(self.user, now, item)
        self.queue.waiting.append(capture)
        return capture

    def old(self) -> list[Capture]:
        """What waits since before this shift. It goes only after somebody looked and said `send_old`."""
        return [one for one in self.queue.waiting if self.clock() - one.captured_at > SHIFT]

    def send_old(self) -> None:
        self.queue.may_be_old = True

    def looked_at(self, lane: str) -> None:
        """A person read why the lane stopped; what waits behind may go on."""
        self.queue.stopped.pop(lane, None)

    def ready(self) -> list[Capture]:
        """What may be sent now: the signed-in person's own, of lanes that go on, of this shift; in the order of capture."""
        old = set() if self.queue.may_be_old else {one.key for one in self.old()}
        own = [one for one in self.queue.waiting if one.user == self.user and one.item["lane"] not in self.queue.stopped]
        return [one for one in own if one.key not in old] if self.session else []

    def send(self) -> list[dict[str, Any]]:
        """Send one batch, once, and settle its results. Raises NoReply (send again), SignInAgain, or Problem."""
        batch = self.ready()[: self._batch_size]
        if not batch:
            return []
        body = {"device_time": self.clock().isoformat(), "items": [one.item for one in batch]}
        try:
            answer = self.ask("POST", "/api/scans/batch/", body, token=self.session)
        except Problem as problem:
            if problem.http_status == 413 and len(batch) > 1:
                self._batch_size = len(batch) // 2
                raise NoReply("The batch was too large.", wait=0.001) from problem
            raise
        for result in answer["results"]:
            self._settle(result)
        if not self.old():
            self.queue.may_be_old = False
        return answer["results"]

    def _settle(self, result: dict[str, Any]) -> None:
        """Counted or held: drop it. Refused: drop it and stop its lane. Blocked: keep it, it is looked at again."""
        if result["result"] == "blocked":
            return
        key = result["client_event_id"]
        settled = next((one for one in self.queue.waiting if one.key == key), None)
        if settled is None:
            return
        self.queue.waiting.remove(settled)
        # A duplicate of a refused one: its first answer was lost, and nobody has seen the refusal yet.
        if result["outcome"] == "refused":
            self.queue.stopped[settled.item["lane"]] = result["detail"]

    def drain(self, *, tries: int = 100) -> list[dict[str, Any]]:
        """Send until nothing is ready, with growing pauses where nobody answers. Raises the last NoReply after so many tries in a row."""
        results, failed = [], 0
        while self.ready():
            try:
                results += self.send()
                failed = 0
            except NoReply as lost:
                failed += 1
                if failed >= tries:
                    raise
                self._wait(lost.wait or self.backoff(failed))
        return results

    def backoff(self, failed: int) -> float:
        """Seconds before the next try after `failed` in a row: 1, 2, 4 … 60, each with up to half of it more or less by chance."""
        return min(self._first_wait * 2 ** min(failed - 1, 10), LONGEST_WAIT) * self._chance.uniform(0.5, 1.5)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, token: str) -> Any:
        """One request and its answer, read. Raises NoReply, SignInAgain or Problem."""
        headers = {"Authorization": f"Token {token}", "Accept": "application/json", "Connection": "close"}
        raw = b""
        if body is not None:
            raw, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        status, answered, text = self.exchange(method, path, raw, headers)
        if status in (429, 503) or status >= 500:
            after = answered.get("retry-after", "")
            raise NoReply(f"{status} from {path}", wait=float(after) if after.isdecimal() else 0)
        said = json.loads(text) if text else None
        if status == 401 and token == self.session:
            self.session = ""
            raise SignInAgain(status, said)
        if status >= 400:
            raise Problem(status, said)
        return said

    def exchange(self, method: str, path: str, raw: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own: (status, headers in lower case, body). Raises NoReply where it breaks."""
        connection = (HTTPSConnection if self.site.scheme == "https" else HTTPConnection)(
            self.site.hostname or "", self.site.port, timeout=TIMEOUT
        )
        try:
            connection.request(method, f"{self.site.path.rstrip('/')}{path}", body=raw or None, headers=headers)
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        except (OSError, HTTPException) as fault:
            raise NoReply(f"{path}: {fault!r}") from fault
        finally:
            connection.close()
