"""`python -m tests.chaos`: a whole installation of its own, killed in parts, checked against the journals of its clients.

    python -m tests.chaos --seconds 600                             # PostgreSQL, ten minutes: make chaos
    python -m tests.chaos --database sqlite --seconds 40 --seed 7   # the same rounds again

Starts a PostgreSQL of its own (or takes a SQLite file), gunicorn, the worker. In rounds: eight handhelds send scans, many times each,
with a tenth of the replies cut; orders are approved, whose tasks the worker has to dispatch; meanwhile a process is killed with -9
every second or two: one of gunicorn's, its master, the job worker, one of its processes, all of PostgreSQL. Whatever is gone is started
again, as systemd would. After each round it waits for quiet and checks I1-I10: the clients' journals against the tables, and
check_integrity. Exit code 1, and sentences, where something is lost, doubled or stuck.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from loadtest.parts import NotReady, Part, PostgreSQL, Web, Worker, manage, production, until

ORDERS = 6  # approved in each round
QUIET_WITHIN = 150  # seconds; sweepers come every minute
SENDS = 5  # of each scan


class Killer:
    """Kills parts while the block runs, and starts again what is gone, as a service manager does."""

    def __init__(self, parts: dict[str, Part], chance: random.Random) -> None:
        self.parts, self.chance, self.kills = parts, chance, Counter()
        self._over, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._over.wait(self.chance.uniform(0.5, 2.0)):
            self.mend()
            self._kill_one()

    def _kill_one(self) -> None:
        ways = {"gunicorn process": 6, "gunicorn master": 1, "worker": 1, "cluster process": 2}
        if "postgresql" in self.parts:
            ways["postgresql"] = 1
        way = self.chance.choices(list(ways), list(ways.values()))[0]
        with suppress(ProcessLookupError):
            if way == "gunicorn process":
                self._one_of(self.parts["web"].children())
            elif way == "gunicorn master":
                os.kill(self.parts["web"].process.pid, signal.SIGKILL)
            elif way == "worker":
                self.parts["worker"].kill()
            elif way == "cluster process":
                self._one_of(self._cluster())
            else:
                self.parts["postgresql"].kill()
            self.kills[way] += 1

    def _one_of(self, pids: list[int]) -> None:
        if not pids:
            raise ProcessLookupError
        os.kill(self.chance.choice(pids), signal.SIGKILL)

    def _cluster(self) -> list[int]:
        from apps.ops.processes import members, process

        found = [process(pid) for pid in self.parts["worker"].children()]
        return [one.pid for main in found if main for one in members(main.group)]

    def mend(self) -> None:
        """Start what is gone. One that cannot start yet is tried again next time."""
        for part in self.parts.values():
            if not part.is_running:
                with suppress(NotReady):
                    part.start()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()
        until(self._all_run, within=60, what="the parts after the kills")

    def _all_run(self) -> bool:
        self.mend()
        return all(part.is_running for part in self.parts.values())


def approve_some(stage: Any, chance: random.Random) -> list[int]:
    """Orders like those of the stage, approved: the worker has to dispatch their tasks."""
    from apps.accounts.models import User
    from apps.workorders import services as verbs

    maker, seller = (User.objects.get(username=f"simulation_{who}") for who in ("maker", "seller"))
    keys = []
    for _order in range(ORDERS):
        order = verbs.copy_order(chance.choice(stage.orders), by=maker)
        order.due_date = stage.orders[0].due_date
        order = verbs.revise_order(order, by=maker, version=order.version)
        keys.append(verbs.approve_order(verbs.submit_order(order, by=maker), by=seller).pk)
    return keys


def stuck(orders: list[int]) -> Iterator[str]:
    """Work that waits for somebody who should have come by now."""
    from django.db.models import Count
    from django_q.models import OrmQ

    from apps.core.models import JobRun, JobState
    from apps.dispatch.models import DispatchDecision
    from apps.scanning.models import Outcome, Scan
    from apps.workorders.models import Task

    tasks = Task.objects.filter(order__in=orders)
    waiting = {
        "tasks wait for their dispatch": tasks.filter(department=None).count() + Task.objects.needing_dispatch().count(),
        "scans are stored and not done": Scan.objects.filter(outcome=Outcome.RECEIVED).count(),
        "jobs wait in the queue": OrmQ.objects.count() if OrmQ.objects.count() > 5 else 0,
        "jobs are given up": JobRun.objects.filter(state=JobState.DEAD).count(),
    }
    yield from (f"{count} {what}." for what, count in waiting.items() if count)
    twice = DispatchDecision.objects.filter(task__in=tasks).values("task", "task_version").annotate(n=Count("pk")).filter(n__gt=1).count()
    if twice:
        yield f"{twice} tasks have two decisions for one version."


def round_of(number: int, parts: dict[str, Part], kills: Counter, *, seed: int, scans: int) -> list[str]:
    """One round. A sentence for everything that is wrong after it."""
    from django.db import connection

    from apps.core.context import signed
    from apps.scanning.simulation.proxy import CuttingProxy
    from apps.scanning.simulation.shift import Plan, replay
    from apps.scanning.simulation.stage import faults, set_stage

    chance = random.Random(f"{seed}:{number}")
    plan = Plan(scans=scans, sends=SENDS * scans, cut=0.1, seed=chance.randrange(10**6))
    with signed(source="command"):
        stage = set_stage(plan)
        orders = approve_some(stage, chance)
    connection.close()
    killer = Killer(parts, chance)
    with CuttingProxy(parts["web"].site, cut=plan.cut, seed=plan.seed) as proxy:
        journal = replay(proxy.site, stage.kits, plan, meanwhile=killer)
    kills.update(killer.kills)
    connection.close()
    with suppress(NotReady):
        until(lambda: not list(stuck(orders)), within=QUIET_WITHIN, what="quiet")
    wrong = [*faults(stage, journal), *stuck(orders)]
    connection.close()
    print(
        f"round {number}: {len(journal.captured)} scans sent {journal.counted['sends']} times in {journal.seconds:.0f} s, "
        f"{len(journal.in_doubt)} in doubt, {sum(killer.kills.values())} kills, {len(wrong)} wrong",
        flush=True,
    )
    return wrong


def run(words: argparse.Namespace) -> int:
    seed, kills, wrong = words.seed or random.randrange(1, 10**6), Counter(), []
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-")))
        folder.chmod(0o711)  # PostgreSQL's own user has to find its folder
        parts: dict[str, Part] = {}
        address = f"sqlite:///{folder}/docket.sqlite3"
        if words.database == "postgresql":
            server = parts["postgresql"] = PostgreSQL(folder / "postgresql")
            stack.callback(server.stop)
            server.start()
            address = server.url()
        more = {
            "DOCKET_HTTPS": "false",
            "GUNICORN_WORKERS": "3",
            "DOCKET_API_PER_MINUTE": "100000",
            "LOG_LEVEL": "WARNING",
            "LOG_FORMAT": "plain",
        }
        environment = production(folder, address, **more, DOCKET_BEHIND_PROXY="false", DOCKET_WORKER_STALE_SECONDS="15")
        manage(environment, "prepare")
        os.environ.clear()  # nothing of the caller decides what is read here
        os.environ.update(environment, DJANGO_SETTINGS_MODULE="project.settings")
        import django

        django.setup()
        for part in (Web(folder, environment), Worker(folder, environment)):
            parts[part.name] = part
            stack.callback(part.stop)
            part.start()
        number = 0
        while not number or time.monotonic() - began < words.seconds:
            number += 1
            wrong += round_of(number, parts, kills, seed=seed, scans=words.scans)
            if wrong:
                break
        for part in parts.values():
            if wrong:
                print(f"-- {part.log.name}\n{part.tail(40)}")
    print(f"{number} rounds, kills: {', '.join(f'{count} {what}' for what, count in sorted(kills.items()))}")
    print("\n".join(wrong[:20]) or "0 lost, 0 doubled, 0 stuck.")
    if wrong:
        print(f"{len(wrong)} things are wrong. Again: python -m tests.chaos --database {words.database} --seed {seed}")
    return 1 if wrong else 0


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    words.add_argument("--seconds", type=float, default=600, help="No round begins after so many; each ends.")
    words.add_argument("--scans", type=int, default=240, help="Of a round, by all handhelds together.")
    words.add_argument("--seed", type=int, default=0, help="The same seed kills and sends in the same order.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(words.parse_args())
    except NotReady as reason:
        print(reason, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
