"""What a simulated shift needs in the tables, made by the verbs that people use, and what must be true of the tables afterwards."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from io import StringIO
from typing import Any

from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db.models import Count, Sum
from django.utils import timezone

from apps.accounts.models import Department, Membership, User
from apps.accounts.roles import Role
from apps.accounts.services import sync_roles, system_user
from apps.catalog.models import Customer, Process, Product, TaskRule
from apps.core.context import acting
from apps.dispatch.models import DispatchRule
from apps.scanning.codes import Kind, encode
from apps.scanning.models import Badge, Device, Outcome, Scan
from apps.scanning.services.devices import issue_badge, new_pin, register_device
from apps.scanning.simulation.shift import PLANNED, Journal, Kit, Plan
from apps.workorders import services as verbs
from apps.workorders.models import OrderLine, Task, WorkEvent, WorkOrder

CODE = "simulation"
LINES = 12  # of one order: each is a task, and the tasks of an order go to different clients
CHUNK = 500  # ids to one query
# username -> role; the operators come on top, one for each client
OFFICE = {
    "simulation_maker": Role.MAKER,
    "simulation_seller": Role.SALESPERSON,
    "simulation_lead": Role.SUPERVISOR,
    "simulation_admin": Role.ADMINISTRATOR,
}


@dataclass
class Stage:
    """What was made for one replay."""

    kits: list[Kit]
    devices: list[Device]
    orders: list[WorkOrder]
    made: Counter = field(default_factory=Counter)


def set_stage(plan: Plan) -> Stage:
    """Make handhelds and orders for one replay, and people, a department and a process for all replays, where they are missing."""
    made: Counter = Counter()
    sync_roles()
    system = system_user()
    with acting(system):
        department = _own(Department, made, code=CODE, defaults={"name": "Simulation", "name_zh": "模拟"})
        process = _own(
            Process, made, code="SIMULATE", defaults={"name": "simulated work", "name_zh": "模拟工序", "task_rule": TaskRule.PER_LINE}
        )
        process.departments.add(department)
        _own(DispatchRule, made, process=process, department=department, defaults={"priority": 100})
        product = _own(Product, made, code="SIMULATION", defaults={"name": "Simulated product"})
        office = {name: _person(name, role, department, made) for name, role in OFFICE.items()}
        customer = _own(Customer, made, code="SIMULATION", defaults={"name": "Simulation", "salesperson": office["simulation_seller"]})
        operators = [_person(f"simulation_{number}", Role.OPERATOR, department, made) for number in range(1, plan.clients + 1)]
    lanes = [plan.lanes_of(client) for client in range(plan.clients)]
    orders = _orders(sum(lanes), customer, product, office, made)
    tasks = _dealt([encode(Kind.TASK, pk) for pk in _task_keys(orders)], lanes)
    kits, devices = [], []
    stamp = timezone.now().strftime("%Y%m%d-%H%M%S-%f")
    for number, operator in enumerate(operators, 1):
        device, token = register_device(f"Simulation {stamp} {number}", department, by=office["simulation_admin"])
        made["handhelds"] += 1
        devices.append(device)
        badge, pin = _badge(operator, by=office["simulation_admin"])
        kits.append(Kit(device.pk, token, encode(Kind.BADGE, badge.pk), pin, tuple(tasks[number - 1])))
    return Stage(kits, devices, orders, made)


def _own(model: Any, made: Counter, *, defaults: dict[str, Any], **key: Any) -> Any:
    row, created = model.objects.get_or_create(**key, defaults=defaults)
    made[str(model._meta.verbose_name_plural)] += created
    return row


def _person(name: str, role: str, department: Department, made: Counter) -> User:
    """Somebody who signs in with a badge only: without a password, and not in the office."""
    user, created = User.objects.get_or_create(username=name, defaults={"name": name.replace("_", " ").title(), "password": "!"})
    if created:
        user.groups.add(Group.objects.get(name=role))
        if role in (Role.OPERATOR, Role.SUPERVISOR):
            Membership.objects.create(user=user, department=department, is_lead=role == Role.SUPERVISOR)
        made["people"] += 1
    return user


def _badge(user: User, *, by: Any) -> tuple[Badge, str]:
    """The person's badge with a PIN that is known here: a new one, or a new PIN for the one there is."""
    badge = Badge.objects.live().filter(user=user).first()
    return (badge, new_pin(badge, by=by)) if badge else issue_badge(user, by=by)


def _orders(tasks: int, customer: Customer, product: Product, office: dict[str, User], made: Counter) -> list[WorkOrder]:
    """Approved and dispatched orders that have so many tasks together, each of PLANNED pieces."""
    orders = []
    for first in range(0, tasks, LINES):
        lines = [OrderLine(product=product, quantity=PLANNED) for _line in range(min(LINES, tasks - first))]
        order = WorkOrder(customer=customer, due_date=timezone.localdate() + timedelta(days=7), run_quantity=PLANNED, steps_text="SIMULATE")
        order = verbs.create_order(order, lines=lines, by=office["simulation_maker"])
        order = verbs.submit_order(order, by=office["simulation_maker"])
        order = verbs.approve_order(order, by=office["simulation_seller"])
        verbs.dispatch_order(order, by=system_user())
        orders.append(order)
        made.update(orders=1, tasks=len(lines))
    return orders


def _task_keys(orders: list[WorkOrder]) -> list[int]:
    return list(Task.objects.filter(order__in=orders).order_by("pk").values_list("pk", flat=True))


def _dealt(codes: list[str], lanes: list[int]) -> list[list[str]]:
    """The codes dealt like cards, so that every client has tasks of every order: they meet at the orders' locks."""
    hands: list[list[str]] = [[] for _client in lanes]
    while codes:
        for hand, size in zip(hands, lanes, strict=True):
            if codes and len(hand) < size:
                hand.append(codes.pop(0))
    return hands


def faults(stage: Stage, journal: Journal) -> Iterator[str]:
    """A sentence for everything that is not as it must be after a replay; nothing where all is well."""
    yield from journal.surprises
    yield from _lost(stage, journal)
    scans = Scan.objects.filter(device__in=stage.devices)
    wrong = scans.exclude(outcome=Outcome.APPLIED).values_list("outcome", "outcome_code").annotate(count=Count("pk"))
    yield from (f"{count} scans are {outcome} ({code})." for outcome, code, count in wrong.order_by("outcome", "outcome_code"))
    if scans.count() != len(journal.captured):
        yield f"{len(journal.captured)} scans were captured, but the table has {scans.count()}."
    if (counted := effects(stage)) != len(journal.captured):
        yield f"{len(journal.captured)} scans were captured, but {counted} had an effect."
    twice = _events(stage).filter(verb__in=("report", "complete")).values("scan_id").annotate(count=Count("pk")).filter(count__gt=1)
    yield from (f"Scan {row['scan_id']} counted {row['count']} times." for row in twice)
    yield from _wrong_totals(stage, journal)
    said = StringIO()
    try:
        call_command("check_integrity", stdout=said, no_color=True)
    except CommandError:
        yield "check_integrity: " + "; ".join(line for line in said.getvalue().splitlines() if ": ok (" not in line)


def _events(stage: Stage) -> Any:
    """What the stage's scans did to tasks."""
    scans = Scan.objects.filter(device__in=stage.devices)
    return WorkEvent.objects.filter(scan_id__in=scans.values("pk"), task__isnull=False)


def effects(stage: Stage) -> int:
    """How many scans moved a task or counted pieces, each counted as often as it did."""
    # Starting a queued task claims it first: one scan, two events.
    return _events(stage).exclude(verb="claim").count()


def _lost(stage: Stage, journal: Journal) -> Iterator[str]:
    """What a handheld was told is in the table, once, under this handheld."""
    told = list(journal.acknowledged)
    yield from (f"Scan {key} was never answered." for key in journal.captured if key not in journal.acknowledged)
    for start in range(0, len(told), CHUNK):
        keys = told[start : start + CHUNK]
        rows = Counter(
            (device, str(key)) for device, key in Scan.objects.filter(client_event_id__in=keys).values_list("device_id", "client_event_id")
        )
        yield from (
            f"Scan {key} was acknowledged, but is {rows[journal.device_of[key], key]} times in the table."
            for key in keys
            if rows[journal.device_of[key], key] != 1
        )


def _wrong_totals(stage: Stage, journal: Journal) -> Iterator[str]:
    """Each task has what was captured for it, and its ledger says the same."""
    wanted: dict[str, Counter] = {}
    for item in journal.captured.values():
        wanted.setdefault(item["code"], Counter()).update(good=item.get("quantity", 0), scrap=item.get("scrap", 0))
    tasks = Task.objects.filter(order__in=stage.orders).annotate(ledger_good=Sum("events__good"), ledger_scrap=Sum("events__scrap"))
    for task in tasks:
        code = encode(Kind.TASK, task.pk)
        sums = wanted.get(code, Counter())
        for has in ((task.good, task.scrap), (task.ledger_good or 0, task.ledger_scrap or 0)):
            if has != (sums["good"], sums["scrap"]):
                yield f"Task {task} has {has[0]} good and {has[1]} scrap; captured were {sums['good']} and {sums['scrap']}."


def figures(stage: Stage, plan: Plan, journal: Journal, cut: int) -> list[tuple[str, str]]:
    """The table of a replay: what, and how much."""
    requests = journal.counted["requests"]
    return [
        ("distinct scans", f"{len(journal.captured)}"),
        ("sends of them", f"{journal.counted['sends']} in {requests} requests from {plan.clients} clients"),
        ("replies cut", f"{cut} ({100 * cut / max(requests, 1):.1f} % of the requests)"),
        ("requests without reply", f"{journal.counted['no_reply']}"),
        ("scans in doubt", f"{len(journal.in_doubt)}"),
        ("of those counted already", f"{journal.counted['committed in doubt']}"),
        ("effects", f"{effects(stage)}"),
        ("answered as duplicate", f"{journal.results['duplicate']}"),
        ("one reply", f"p50 {journal.percentile(0.5):.0f} ms, p95 {journal.percentile(0.95):.0f} ms"),
        ("all of it", f"{journal.seconds:.1f} s, {journal.counted['sends'] / max(journal.seconds, 0.001):.0f} sends/s"),
    ]
