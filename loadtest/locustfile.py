"""People at work, by their real doors: the admin's pages with session and CSRF, the API with tokens, handhelds with badges.

Sign-ins and handhelds are those that `seed_load` makes. `loadtest/run.sh` says how to start it. A refusal that Docket is right to
give (somebody else was faster) is a row of its own in the report, and no failure; too many of them are, they would measure
nothing else. Whoever does not answer `X-Docket-Loadtest: yes` is not loaded.
"""

import json
import os
import random
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from itertools import cycle
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import gevent
from locust import FastHttpUser, between, events, tag, task
from locust.exception import StopUser

from apps.scanning.codes import Kind, encode

PASSWORD = "testpass123"  # noqa: S105  (of people that exist for load tests only)
DEPARTMENTS = ("cutting", "printing", "die_cutting", "packaging", "outsourcing")
PEOPLE = {
    "office": [f"load_sales_{n}" for n in range(1, 7)],
    "maker": ["test_maker", *(f"load_maker_{n}" for n in range(1, 12))],
    "supervisor": ["test_supervisor", *(f"load_lead_{code}" for code in DEPARTMENTS)],
    "operator": ["test_operator", *(f"load_{code}_{n}" for n in range(4, 7) for code in DEPARTMENTS)],
}
TURNS = {role: cycle(names) for role, names in PEOPLE.items()}
MOST_REFUSED = 0.2  # of the writes
ROW = re.compile(r"/(\d+)/change/")
PAGES = {"task": "/admin/workorders/task/{}/change/", "workorder": "/admin/workorders/workorder/{}/change/"}
HIDDEN = re.compile(r"<input[^>]*type=\"hidden\"[^>]*>")
ATTRIBUTE = re.compile(r"(name|value)=\"([^\"]*)\"")


def kits() -> Iterator[dict[str, str]]:
    """What handhelds sign in with, for ever round."""
    path = os.environ.get("DOCKET_LOAD_KITS", "")
    return cycle(json.loads(Path(path).read_text(encoding="utf-8"))) if path and Path(path).exists() else iter(())


KITS = kits()


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's forms, as a browser would send them."""
    fields = [dict(ATTRIBUTE.findall(found)) for found in HIDDEN.findall(page)]
    return {field["name"]: unescape(field.get("value", "")) for field in fields if "name" in field}


class Person(FastHttpUser):
    """Somebody with a browser: signed in to the admin with name and password."""

    abstract = True
    insecure = True  # a test copy's certificate is nobody's
    network_timeout = connection_timeout = 30.0
    role = ""

    def on_start(self) -> None:
        self.username, self.orders, self.jobs = next(TURNS[self.role]), [], []
        page = self.client.get("/admin/login/?next=/admin/", name="sign in").text or ""
        form = hidden(page) | {"username": self.username, "password": PASSWORD, "next": "/admin/"}
        with self.client.post(
            "/admin/login/?next=/admin/", data=form, headers=self.from_here("/admin/login/"), name="sign in", catch_response=True
        ) as answer:
            if "sessionid" not in {cookie.name for cookie in self.client.cookiejar}:
                answer.failure(f"{self.username} is not signed in ({answer.status_code})")
                raise StopUser

    def from_here(self, path: str) -> dict[str, str]:
        return {"Referer": f"{self.host}{path}"}

    def page(self, path: str, name: str = "") -> str:
        """One page, with what a person reads in it."""
        return self.client.get(path, name=name or path).text or ""

    def rows(self, path: str, name: str) -> list[int]:
        """The rows of a list, by their numbers."""
        return list(dict.fromkeys(int(found) for found in ROW.findall(self.page(path, name))))

    def press(self, kind: str, pk: int, verb: str, **values: Any) -> bool:
        """Open the dialog of a verb as the page does, fill it in, send it. False where Docket refused with a sentence."""
        path, name = f"/admin/workorders/{kind}/{pk}/{verb}/", f"{kind}: {verb}"
        headers = self.from_here(PAGES[kind].format(pk)) | {"HX-Request": "true"}
        with self.client.get(path, name=f"{name} (dialog)", headers=headers, catch_response=True) as answer:
            form = hidden(answer.text or "") | values
            if answer.status_code == 404:  # somebody was faster, and it went out of sight
                answer.success()
            if "once" not in form:
                return False
        with self.client.post(path, data=form, headers=headers, name=name, catch_response=True) as answer:
            if answer.status_code == 404 or (answer.status_code == 200 and not answer.headers.get("HX-Redirect")):
                answer.request_meta["name"] = f"{name} (refused)"
                answer.success()
            return bool(answer.headers.get("HX-Redirect"))

    @task(6)
    def home(self) -> None:
        """Home, in sight for a moment: it asks for news every 15 seconds."""
        seen = re.search(r"panels/\?seen=([\w-]+)", self.page("/admin/", "home"))
        for _time in range(random.randint(0, 2)):
            gevent.sleep(15)
            self.client.get(f"/admin/home/panels/?seen={seen[1] if seen else ''}", name="home: news")


class Office(Person):
    """A salesperson: the customers' orders, approvals, what is late."""

    role, weight, wait_time = "office", 18, between(4, 15)

    @task(10)
    def list_orders(self) -> None:
        self.orders = self.rows("/admin/workorders/workorder/", "orders")

    @task(8)
    def read_order(self) -> None:
        if not self.orders:
            self.list_orders()
        if self.orders:
            self.page(PAGES["workorder"].format(random.choice(self.orders)), "order")

    @task(5)
    def waiting_orders(self) -> None:
        waiting = self.rows("/admin/workorders/workorder/?waiting=yes", "orders: waiting for me")
        if waiting and random.random() < 0.3:
            self.press("workorder", random.choice(waiting), "approve", comment="")

    @task(3)
    def late_orders(self) -> None:
        self.page("/admin/workorders/workorder/?late=yes", "orders: late")

    @task(4)
    def search_order(self) -> None:
        self.page(f"/admin/workorders/workorder/?q=LOAD-{random.randint(1, 27000):07}", "orders: search a number")

    @task(2)
    def search_customer(self) -> None:
        self.page(f"/admin/workorders/workorder/?q=Load+customer+{random.randint(1, 60)}", "orders: search a customer")

    @task(3)
    def find_anything(self) -> None:
        self.page(f"/admin/search/?s=LOAD-{random.randint(1, 2700):06}", "search everywhere")


class Maker(Person):
    """Who writes the orders: copies one, changes it, hands it over."""

    role, weight, wait_time = "maker", 15, between(5, 20)

    @task(8)
    def my_orders(self) -> None:
        self.orders = self.rows("/admin/workorders/workorder/", "orders")

    @task(6)
    def read_order(self) -> None:
        if not self.orders:
            self.my_orders()
        if self.orders:
            self.page(PAGES["workorder"].format(random.choice(self.orders)), "order")

    @task(3)
    def blank_order(self) -> None:
        self.page("/admin/workorders/workorder/add/", "order: blank form")

    @task(2)
    def copy_order(self) -> None:
        """A new order like an old one, handed over where it is whole."""
        if not self.orders:
            self.my_orders()
        if not self.orders or not self.press("workorder", random.choice(self.orders), "copy"):
            return
        self.my_orders()
        gevent.sleep(random.uniform(2, 6))
        if self.orders:
            self.press("workorder", self.orders[0], "submit")

    @task(3)
    def drafts(self) -> None:
        self.page("/admin/workorders/workorder/?status__exact=draft", "orders: drafts")

    @task(2)
    def products(self) -> None:
        self.page("/admin/catalog/product/", "products")


class Supervisor(Person):
    """The board of a department: what runs, what is late, who does what."""

    role, weight, wait_time = "supervisor", 12, between(4, 12)

    @task(10)
    def board(self) -> None:
        self.jobs = self.rows("/admin/workorders/task/?open=yes", "tasks: open")

    @task(5)
    def late(self) -> None:
        self.jobs = self.rows("/admin/workorders/task/?late=yes", "tasks: late")

    @task(4)
    def queue(self) -> None:
        self.jobs = self.rows("/admin/workorders/task/?status__exact=pending", "tasks: in the queue")

    @task(6)
    def read_task(self) -> None:
        if not self.jobs:
            self.board()
        if self.jobs:
            self.page(PAGES["task"].format(random.choice(self.jobs)), "task")

    @task(2)
    def assign(self) -> None:
        """Somebody of the department gets a task of the queue."""
        self.queue()
        if not self.jobs:
            return
        pk = random.choice(self.jobs)
        people = re.search(r"name=\"operator\".*?</select>", self.page(f"/admin/workorders/task/{pk}/assign/", "task: assign (look)"), re.S)
        choices = re.findall(r"<option value=\"(\d+)\"", people[0]) if people else []
        if choices:
            self.press("task", pk, "assign", operator=random.choice(choices), reason="load")

    @task(3)
    def search_task(self) -> None:
        self.page(f"/admin/workorders/task/?q=LOAD-{random.randint(1, 27000):07}", "tasks: search a number")

    @task(2)
    def orders_late(self) -> None:
        self.page("/admin/workorders/workorder/?late=yes", "orders: late")

    @task(1)
    def late_scans(self) -> None:
        self.page("/admin/scanning/scan/", "scans")


class Operator(Person):
    """At a machine, with the task's page on a phone."""

    role, weight, wait_time = "operator", 25, between(5, 20)

    @task(8)
    def mine(self) -> None:
        self.jobs = self.rows("/admin/workorders/task/?mine=yes", "tasks: mine")

    @task(4)
    def claimable(self) -> None:
        waiting = self.rows("/admin/workorders/task/?claimable=yes", "tasks: to claim")
        if waiting and random.random() < 0.4:
            self.press("task", random.choice(waiting), "claim")

    @task(10)
    def work(self) -> None:
        """Open a task of mine, and do the next thing with it that its page offers."""
        if not self.jobs:
            self.mine()
        if not self.jobs:
            return
        pk = random.choice(self.jobs)
        page = self.page(PAGES["task"].format(pk), "task")
        offered = set(re.findall(rf"/task/{pk}/(\w+)/", page))
        if "report" in offered:
            self.press("task", pk, "report", quantity=str(random.randint(1, 5)))
        elif "resume" in offered:
            self.press("task", pk, "resume")
        elif "start" in offered:
            self.press("task", pk, "start", reason="")

    @task(2)
    def pause(self) -> None:
        running = self.rows("/admin/workorders/task/?mine=yes&status__exact=in_progress", "tasks: mine, running")
        if running:
            self.press("task", random.choice(running), "pause", reason_code="break", reason="")


class Scanner(FastHttpUser):
    """A handheld with a badge: reads its tasks, scans. Every scan has an id of its own, and they go to many tasks."""

    insecure = True
    network_timeout = connection_timeout = 30.0
    weight, wait_time = 30, between(3, 10)

    def on_start(self) -> None:
        kit = next(KITS, None)
        if kit is None:
            raise StopUser("DOCKET_LOAD_KITS names no file of seed_load --kits.")
        self.session, self.waiting = "", []
        said = self.ask("POST", "/api/auth/badge/", "badge in", kit["device_token"], {"badge": kit["badge"], "pin": kit["pin"]})
        if not said:
            raise StopUser
        self.session = said["token"]

    def ask(self, method: str, path: str, name: str, token: str = "", body: Any = None) -> Any:
        """One request of the API; what it said, or nothing where it failed or was refused."""
        headers = {"Authorization": f"Token {token or self.session}", "Accept": "application/json"}
        with self.client.request(method, path, name=name, headers=headers, json=body, catch_response=True) as answer:
            if answer.status_code == 409:  # somebody was faster, or the order is on hold: the sentence says so, and that is an answer
                answer.request_meta["name"] = f"{name} (refused)"
                answer.success()
                return None
            if answer.status_code != 200:
                answer.failure(f"{answer.status_code}: {(answer.text or '')[:200]}")
                return None
            return json.loads(answer.text or "null")

    def scan(self, pk: int, verb: str, **values: Any) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat()
        return {"client_event_id": str(uuid.uuid4()), "code": encode(Kind.TASK, pk), "verb": verb, "captured_at": now} | values

    def next_scan(self, row: dict[str, Any]) -> dict[str, Any]:
        """What a person would do next with this task."""
        left = row["planned"] - row["good"]
        if row["status"] == "in_progress" and left > 3:
            return self.scan(row["id"], "report", quantity=random.randint(1, 3))
        if row["status"] == "in_progress":
            return self.scan(row["id"], "pause", reason_code="waiting")
        return self.scan(row["id"], "")

    def send(self, path: str, name: str, body: dict[str, Any]) -> None:
        said = self.ask("POST", path, name, body=body | {"device_time": datetime.now(UTC).isoformat()})
        if said is None:
            return
        results = said.get("results", [said])
        told = {one["task"]["id"]: one["task"] for one in results if one.get("task")}
        self.waiting = [row | told.get(row["id"], {}) for row in self.waiting]
        for one in results:
            what = {"request_type": "POST", "response_time": 0, "response_length": 0, "exception": None}
            if one["result"] == "duplicate":
                events.request.fire(**what | {"name": name, "exception": ValueError("a new scan was taken for an old one")})

    @task(6)
    def my_tasks(self) -> None:
        said = self.ask("GET", "/api/tasks/?assigned_operator=me&status=assigned,in_progress,paused", "handheld: my tasks")
        self.waiting = [row for row in said["results"] if row["moves"]] if said else []

    @task(14)
    def scan_one(self) -> None:
        if not self.waiting:
            self.my_tasks()
        if self.waiting:
            self.send("/api/scans/", "scan", self.next_scan(random.choice(self.waiting)))

    @task(5)
    def send_batch(self) -> None:
        """What waited while the network was away."""
        if not self.waiting:
            self.my_tasks()
        chosen = random.sample(self.waiting, min(len(self.waiting), random.randint(2, 6)))
        if chosen:
            self.send("/api/scans/batch/", "scans: batch", {"items": [self.next_scan(row) for row in chosen]})

    @task(5)
    def look_up(self) -> None:
        """Scan a paper to see what it is."""
        if self.waiting:
            self.ask("GET", f"/api/scans/resolve/?code={encode(Kind.TASK, random.choice(self.waiting)['id'])}", "handheld: look up")

    @task(3)
    def queue(self) -> None:
        self.ask("GET", "/api/tasks/?claimable=true&ordering=-priority,due_date", "handheld: queue")

    @tag("floor")
    @task(1)
    def floor_page(self) -> None:
        self.client.get("/floor/", name="floor page")


# -- what may be loaded, and what is good enough


def says_it_may(host: str) -> bool:
    """Whether the site answers as a copy for load tests does."""
    import ssl
    import urllib.request

    unchecked = ssl._create_unverified_context()  # noqa: S323  (a test copy's certificate is nobody's)
    try:
        with urllib.request.urlopen(f"{host.rstrip('/')}/health/", timeout=10, context=unchecked) as answer:  # noqa: S310
            return answer.headers.get("X-Docket-Loadtest") == "yes"
    except (OSError, ValueError):
        return False


@events.init.add_listener
def refuse_others(environment: Any, **kwargs: Any) -> None:
    if not says_it_may(environment.host or ""):
        print(f"{environment.host} does not say X-Docket-Loadtest: yes. Only a copy with DOCKET_LOADTEST=true is loaded.", file=sys.stderr)
        sys.exit(2)


def missed(stats: Any) -> list[str]:
    """The targets that were not reached, in words. Milliseconds of all requests together; DOCKET_LOAD_AVG, _P95, _ERRORS set others."""
    total = stats.total
    writes = [entry for (name, method), entry in stats.entries.items() if method == "POST"]
    refused = sum(entry.num_requests for entry in writes if entry.name.endswith("(refused)"))
    figures = {
        "DOCKET_LOAD_AVG": (total.avg_response_time, 150, "ms on average"),
        "DOCKET_LOAD_P95": (total.get_response_time_percentile(0.95) or 0, 400, "ms for 95 of 100"),
        "DOCKET_LOAD_ERRORS": (total.num_failures, 0, "errors"),
    }
    wrong = [
        f"{had:.0f} {what}, at most {limit:.0f}"
        for name, (had, default, what) in figures.items()
        if had > (limit := float(os.environ.get(name, default)))
    ]
    if not total.num_requests:
        wrong.append("nothing was asked at all")
    if refused > MOST_REFUSED * sum(entry.num_requests for entry in writes):
        wrong.append(f"{refused} writes were refused: most of the load did nothing")
    return wrong


@events.quitting.add_listener
def judge(environment: Any, **kwargs: Any) -> None:
    wrong = missed(environment.stats)
    total = environment.stats.total
    print(
        f"{total.num_requests} requests, {total.total_rps:.1f}/s, {total.num_failures} errors, {total.avg_response_time:.0f} ms on "
        f"average, p50 {total.get_response_time_percentile(0.5)} ms, p95 {total.get_response_time_percentile(0.95)} ms"
    )
    print("The targets are met." if not wrong else "Missed: " + "; ".join(wrong))
    environment.process_exit_code = 1 if wrong else 0
