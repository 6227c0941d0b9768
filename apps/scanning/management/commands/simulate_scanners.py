from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.context import signed
from apps.scanning.simulation.handheld import Handheld, NoReply, Problem
from apps.scanning.simulation.proxy import CuttingProxy
from apps.scanning.simulation.shift import Plan, replay
from apps.scanning.simulation.stage import Stage, faults, figures, set_stage

TEST_LABELS = {"test", "training", "development", "staging", "demo"}
SHOWN = 20


def _between(kind: type, low: float, high: float) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = high + 1
        if not low <= value <= high:
            raise ArgumentTypeError(f"'{text}' is not a number from {low} to {high}.")
        return value

    return read


class Command(BaseCommand):
    help = (
        "Replay a shift of handhelds against a running TEST COPY: duplicates, delays, another order, replies cut between commit and "
        "client. Then check that everything counted exactly once. It makes its own people, handhelds and orders, and leaves them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        plan = Plan()
        parser.add_argument("--base", default="http://127.0.0.1:8000", help="The running site, on this same database. Nothing is started.")
        parser.add_argument("--clients", type=_between(int, 1, 64), default=plan.clients, help="Handhelds that work at the same time.")
        parser.add_argument("--scans", type=_between(int, 1, 100_000), default=plan.scans, help="Different scans, of all together.")
        parser.add_argument("--sends", type=_between(int, 1, 10_000_000), default=plan.sends, help="How often scans are sent, in all.")
        parser.add_argument("--cut", type=_between(float, 0, 0.9), default=plan.cut, help="The share of replies that never arrive.")
        parser.add_argument("--seed", type=int, default=plan.seed, help="The same seed gives the same shift.")
        parser.add_argument("--shift-hours", type=_between(float, 0, 12), default=8.0, help="How long the replayed shift was.")
        parser.add_argument("--yes-this-is-a-copy", action="store_true", help="For a copy that has no DOCKET_ENVIRONMENT which says so.")

    def handle(self, *args: Any, base: str, yes_this_is_a_copy: bool, **options: Any) -> None:
        if not yes_this_is_a_copy:
            _refuse_the_real_one()
        if not base.startswith(("http://", "https://")):
            raise CommandError(f"--base is '{base}'. Write the address of the site: http://127.0.0.1:8000")
        plan = Plan(options["clients"], options["scans"], options["sends"], options["cut"], options["seed"], options["shift_hours"])
        if plan.scans < 2 * plan.clients:
            raise CommandError(f"{plan.scans} scans are too few for {plan.clients} clients: give each at least two.")
        _refuse_silence(base)
        with signed(source="command"):
            stage = set_stage(plan)
        self._say_what_was_made(stage)
        _refuse_another_database(base, stage)
        with CuttingProxy(base, cut=plan.cut, seed=plan.seed) as proxy:
            journal = replay(proxy.site, stage.kits, plan)
        for what, much in figures(stage, plan, journal, proxy.cut):
            self.stdout.write(f"{what:26} {much}")
        wrong = list(faults(stage, journal))
        for sentence in wrong[:SHOWN]:
            self.stdout.write(self.style.ERROR(sentence))
        if wrong:
            raise CommandError(f"{len(wrong)} things are wrong. The seed was {plan.seed}.", returncode=1)
        self.stdout.write(self.style.SUCCESS("Everything counted once, and nothing is lost."))

    def _say_what_was_made(self, stage: Stage) -> None:
        made = ", ".join(f"{count} {what}" for what, count in stage.made.items() if count)
        self.stdout.write(f"Made and left in the tables: {made}.")
        self.stdout.write(f"Orders {', '.join(order.number for order in stage.orders)}; handhelds '{stage.devices[0].name}' and on.")


def _refuse_the_real_one() -> None:
    label = (settings.UNFOLD["ENVIRONMENT"] or [""])[0]
    if label.casefold() not in TEST_LABELS:
        says = f"says '{label}'" if label else "is not set"
        raise CommandError(
            "This replays a shift into the database: people, handhelds, orders and reports that nobody made. DOCKET_ENVIRONMENT "
            f"{says}, so this may be the shop's real one. Set it to one of {', '.join(sorted(TEST_LABELS))}, or say --yes-this-is-a-copy."
        )


def _refuse_silence(base: str) -> None:
    try:
        Handheld(base, "").exchange("GET", "/health/", b"", {})
    except NoReply as lost:
        raise CommandError(f"Nobody answers at {base}. Start the test copy's web server first. ({lost})") from lost


def _refuse_another_database(base: str, stage: Stage) -> None:
    """The site must know a handheld that was registered here just now; else it works on other tables, perhaps on the real ones."""
    handheld = Handheld(base, stage.kits[0].device_token)
    try:
        handheld.ask("GET", "/api/auth/me/", token=handheld.device_token)
    except Problem as problem:
        raise CommandError(f"The site at {base} does not use this database ({problem}). Nothing was sent to it.") from problem
