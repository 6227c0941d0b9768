"""A shop of any size for load tests: people, products with confirmed tools, and orders in every state.

This is the one place beside workorders/transitions.py that writes a status: it writes whole finished lives, order, ledger and
decisions together, so that they agree as the verbs would have left them (check_integrity says so). It writes no history.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from operator import add
from random import Random
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import Department, Membership, User
from apps.accounts.roles import Role
from apps.accounts.services import system_user
from apps.catalog.models import Customer, Process, Product, Route, Tool, ToolKind
from apps.core.context import acting
from apps.dispatch.models import DispatchDecision, DispatchRule
from apps.ops.bulk import Sheet, stored
from apps.workorders.generation import TaskPlan, plan_tasks, usual_after
from apps.workorders.models import NumberSeries, OrderLine, OrderMaterial, Step, Task, WorkEvent, WorkOrder
from apps.workorders.states import OrderStatus, StepStatus, TaskStatus

PASSWORD = "testpass123"  # noqa: S105  (of people that exist for load tests only)
PREFIX = "LOAD-"
USERNAME = "load_"  # of everybody but the three that have a name of their own
CHUNK = 250  # orders to a transaction
PRODUCTS = 120
CUSTOMERS = 60
MAKERS = 12
OPERATORS = 6  # of each department
ROUTES = (
    "CTP CUT PRT TRIM PACK",
    "CTP CUT PRT LAM_M TRIM PACK",
    "CTP CUT PRT UV GLUE TRIM PACK",
    "CTP CUT PRT LAM_M STAPLE TRIM PACK",
    "CTP CUT PRT VAN DIE BOX PACK",
    "CTP CUT PRT LAM_M FOIL_G DIE BOX PACK",
)
# The first orders have every state once; then chance gives each its share.
SHARE_OF_STATES = {
    OrderStatus.COMPLETED: 50,
    OrderStatus.IN_PROGRESS: 18,
    OrderStatus.APPROVED: 9,
    OrderStatus.SUBMITTED: 5,
    OrderStatus.DRAFT: 6,
    OrderStatus.REJECTED: 2,
    OrderStatus.ON_HOLD: 3,
    OrderStatus.CANCELLED: 7,
}
BEFORE_APPROVAL = {OrderStatus.DRAFT, OrderStatus.SUBMITTED, OrderStatus.REJECTED}


@dataclass
class Goods:
    """A product as the loader needs it: its tools, and its steps with those that come before each."""

    product: Product
    tools: list[Tool]
    steps: list[tuple[Process, set[int]]]


@dataclass
class Shop:
    """Who and what the orders are made of."""

    makers: list[User] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    goods: list[Goods] = field(default_factory=list)
    rules: dict[int, DispatchRule] = field(default_factory=dict)  # by process
    operators: dict[int, list[User]] = field(default_factory=dict)  # by department


@transaction.atomic
def make_shop() -> Shop:
    """The people, customers, products and tools of the load, made where they are missing. Needs the presets."""
    shop = Shop()
    with acting(system_user()):
        _people(shop)
        _catalogue(shop)
        able = set(Process.departments.through.objects.values_list("process", "department"))
        rules = DispatchRule.objects.filter(is_active=True, department__is_active=True).select_related("process", "department")
        for rule in rules.order_by("priority", "-pk"):
            if (rule.process_id, rule.department_id) in able:
                shop.rules[rule.process_id] = rule
    return shop


def _people(shop: Shop) -> None:
    groups = {group.name: group for group in Group.objects.filter(name__in=Role.values)}
    workshops = list(Department.objects.active().filter(processes__isnull=False).distinct())
    secret = make_password(PASSWORD)

    def person(username: str, role: str, departments: Sequence[Department] = (), *, is_lead: bool = False) -> User:
        user = User.objects.filter(username=username).first()
        if user is None:
            user = User(username=username, name=username.replace("_", " ").title(), is_staff=True, password=secret)
            user.save()
            user.groups.set([groups[role]])
            for department in departments:
                Membership.objects.create(user=user, department=department, is_lead=is_lead)
        return user

    shop.makers = [person("test_maker", Role.MAKER)] + [person(f"{USERNAME}maker_{n}", Role.MAKER) for n in range(1, MAKERS)]
    led = list(Department.objects.filter(code__in=["production", "design"]))
    person("test_supervisor", Role.SUPERVISOR, led, is_lead=True)
    everywhere = person("test_operator", Role.OPERATOR, workshops)
    for department in workshops:
        people = [person(f"{USERNAME}{department.code}_{n}", Role.OPERATOR, [department]) for n in range(1, OPERATORS + 1)]
        shop.operators[department.pk] = [*people, everywhere]
        person(f"{USERNAME}lead_{department.code}", Role.SUPERVISOR, [department], is_lead=True)
    sellers = [person(f"{USERNAME}sales_{n}", Role.SALESPERSON) for n in range(1, 7)]
    for n in range(1, CUSTOMERS + 1):
        values = {"name": f"Load customer {n}", "salesperson": sellers[n % len(sellers)]}
        shop.customers.append(Customer.objects.get_or_create(code=f"LOAD-C{n:03}", defaults=values)[0])


def _catalogue(shop: Shop) -> None:
    """Products with a route and a confirmed tool of each kind that it needs. A site's missing process is left out of the routes."""
    processes = {process.code: process for process in Process.objects.all()}
    present = {tool.code: tool for tool in Tool.objects.filter(code__startswith=PREFIX)}
    confirmed = {"confirmed_at": timezone.now(), "confirmed_by": system_user()}
    for n in range(1, PRODUCTS + 1):
        codes = [code for code in ROUTES[n % len(ROUTES)].split() if code in processes]
        steps = [processes[code] for code in codes]
        route, made = Route.objects.get_or_create(code=f"LOAD-R{n % len(ROUTES)}", defaults={"name": " > ".join(codes)})
        if made:
            for position, process in enumerate(steps, 1):
                route.steps.create(process=process, position=10 * position)
        product, _made = Product.objects.get_or_create(code=f"LOAD-P{n:03}", defaults={"name": f"Load product {n}", "route": route})
        tools = []
        for kind in dict.fromkeys([ToolKind.ARTWORK, *(process.needs_tool for process in steps if process.needs_tool)]):
            code = f"LOAD-{kind}-{n:03}"
            if code not in present:
                present[code] = Tool.objects.create(kind=kind, code=code, **confirmed)
                present[code].products.add(product)
            tools.append(present[code])
        shop.goods.append(Goods(product, tools, [(process, usual_after(steps, index)) for index, process in enumerate(steps)]))


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    orders: int
    tasks: int
    events: int
    rows: int


class Loader:
    """Writes lives of orders, `CHUNK` to a transaction; its memory does not grow with their number."""

    def __init__(self, shop: Shop, seed: int) -> None:
        self.shop, self.chance = shop, Random(seed)  # noqa: S311  (numbers of a load test, no secrets)
        self.now, self.system = timezone.now(), system_user().pk
        models = (WorkOrder, OrderLine, OrderMaterial, Step, Task, WorkEvent, DispatchDecision)
        self.orders, self.lines, self.materials, self.steps, self.tasks, self.events, self.decisions = map(Sheet, models)
        self.order_tools, self.links = Sheet(WorkOrder.tools.through), Sheet(Step.predecessors.through)
        self.sheets = [
            self.orders,
            self.lines,
            self.materials,
            self.order_tools,
            self.steps,
            self.links,
            self.tasks,
            self.events,
            self.decisions,
        ]
        self.done = Progress(0, 0, 0, 0)

    def run(self, orders: int = 0, tasks: int = 0, events: int = 0) -> Iterator[Progress]:
        """Write so many orders, or orders until there are so many tasks, or events. Says after each chunk how far it is."""
        while self.done.orders < orders or self._lacks(tasks, events):
            count = min(CHUNK, orders - self.done.orders) if orders else CHUNK
            with transaction.atomic():
                serial = self._numbers(count)
                for number in range(serial + 1, serial + count + 1):
                    if not orders and not self._lacks(tasks, events):
                        break
                    Life(self, number).tell()
                made = [len(sheet.rows) for sheet in (self.orders, self.tasks, self.events)]
                made.append(sum(sheet.write() for sheet in self.sheets))
            self.done = Progress(*map(add, astuple(self.done), made))
            yield self.done
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

    def _lacks(self, tasks: int, events: int) -> bool:
        """Whether there are fewer, with those that wait to be written."""
        return self.done.tasks + len(self.tasks.rows) < tasks or self.done.events + len(self.events.rows) < events

    def _numbers(self, count: int) -> int:
        """Take `count` numbers of the load's own series; the last one before them. Locks the series."""
        NumberSeries.objects.get_or_create(prefix=PREFIX)
        NumberSeries.objects.filter(prefix=PREFIX).update(last=F("last") + count)
        return NumberSeries.objects.get(prefix=PREFIX).last - count


class Life:
    """One order from its draft to where it is now, told in the order of time: the last event of each thing is its status."""

    def __init__(self, loader: Loader, serial: int) -> None:
        self.loader, self.chance, self.shop = loader, loader.chance, loader.shop
        states = list(SHARE_OF_STATES)
        self.state = states[serial - 1] if serial <= len(states) else self.chance.choices(states, list(SHARE_OF_STATES.values()))[0]
        self.number = f"{PREFIX}{serial:07}"
        age = self.chance.uniform(8, 200) if self.state in (OrderStatus.COMPLETED, OrderStatus.CANCELLED) else self.chance.uniform(1, 12)
        self.clock: datetime = loader.now - timedelta(days=age)
        self.pace = timedelta(days=age / 120)
        self.maker = self.shop.makers[serial % len(self.shop.makers)]
        self.customer = self.shop.customers[serial % len(self.shop.customers)]
        self.seller = self.customer.salesperson_id
        self.goods = self.chance.choice(self.shop.goods)

    def tell(self) -> None:
        runs = self.chance.randint(2, 200) * 100
        self.order = WorkOrder(run_quantity=runs, allowance=runs // 25)
        self.draft: dict[str, Any] = {
            "number": self.number,
            "customer_id": self.customer.pk,
            "maker_id": self.maker.pk,
            "created_by_id": self.maker.pk,
            "status": self.state,
            "order_date": stored(self.clock.date()),
            "created_at": stored(self.clock),
            "updated_at": stored(self.clock),
            "due_date": stored(self.clock.date() + timedelta(days=self.chance.randint(4, 20))),
            "priority": self.chance.choice([1, 2, 2, 2, 3, 4]),
            "run_quantity": runs,
            "allowance": self.order.allowance,
            "printing_type": "front",
            "process_colours": "CMYK",
            "external_number": f"X{self.number}",
        }
        self.pk = self.order.pk = self.loader.orders.add()
        row = self.loader.orders.rows[-1]
        self._event("create", "", OrderStatus.DRAFT, by=self.maker.pk)
        self._parts()
        self._move()
        for name, value in self.draft.items():
            row[self.loader.orders.position[name]] = value

    def _tick(self) -> Any:
        """The next moment of this life, as the driver wants it."""
        self.clock = min(self.clock + self.pace * self.chance.random(), self.loader.now)
        return stored(self.clock)

    def _event(self, verb: str, before: str, after: str, *, by: int, at: Any = None, **values: Any) -> Any:
        """One event of the ledger. Says when it was."""
        at = at or self._tick()
        self.loader.events.add(
            order_id=self.pk,
            order_number=self.number,
            verb=verb,
            from_status=before,
            to_status=after,
            actor_id=by,
            source="command",
            request_id="seed_load",
            at=at,
            **values,
        )
        return at

    def _parts(self) -> None:
        """Line, material, tools, steps and draft tasks, as generation plans them."""
        loader, product = self.loader, self.goods.product
        line = OrderLine(product=product, quantity=self.order.run_quantity, unit=product.unit)
        line.pk = loader.lines.add(order_id=self.pk, product_id=product.pk, quantity=line.quantity, unit=product.unit)
        sheets = self.order.planned_runs // 4
        material = OrderMaterial(name="157 g", amount=sheets, unit="sheet", needs_cutting=True)
        received = {"received_at": stored(self.clock), "received_by_id": self.maker.pk} if self.state not in BEFORE_APPROVAL else {}
        material.pk = loader.materials.add(order_id=self.pk, name="157 g", size="889x1194", amount=sheets, needs_cutting=True, **received)
        for tool in self.goods.tools:
            loader.order_tools.add(workorder_id=self.pk, tool_id=tool.pk)
        self.plan: list[LoadedStep] = []
        for index, (process, after) in enumerate(self.goods.steps):
            plans = plan_tasks(self.order, process, [line], [material], self.goods.tools)[0]
            pk = loader.steps.add(
                order_id=self.pk,
                process_id=process.pk,
                sequence=10 * (index + 1),
                stage=process.stage,
                planned=sum(plan.planned for plan in plans),
            )
            step = LoadedStep(self, process, pk, loader.steps.rows[-1])
            for other in after:
                loader.links.add(from_step_id=pk, to_step_id=self.plan[other].pk)
            step.tasks = [LoadedTask(step, plan) for plan in plans]
            self.plan.append(step)

    def _move(self) -> None:
        """From the draft to the order's state."""
        if self.state == OrderStatus.DRAFT:
            return
        if self.state == OrderStatus.CANCELLED and self.chance.random() < 0.3:
            self._cancel(OrderStatus.DRAFT)
            return
        at = self._event("submit", OrderStatus.DRAFT, OrderStatus.SUBMITTED, by=self.maker.pk)
        self.draft |= {"submitted_by_id": self.maker.pk, "submitted_at": at}
        if self.state == OrderStatus.REJECTED:
            self._event("reject", OrderStatus.SUBMITTED, OrderStatus.REJECTED, by=self.seller, reason="The date cannot be kept.")
        if self.state in BEFORE_APPROVAL:
            return
        at = self._event("approve", OrderStatus.SUBMITTED, OrderStatus.APPROVED, by=self.seller)
        self.draft |= {"approved_by_id": self.seller, "approved_at": at}
        self.begun = False
        for step in self.plan:
            for task in step.tasks:
                task.dispatch()
        if self.state != OrderStatus.APPROVED:
            self._produce()
        now = OrderStatus.IN_PROGRESS if self.begun else OrderStatus.APPROVED
        if self.state == OrderStatus.COMPLETED:
            self.draft["completed_at"] = self._event("complete", now, self.state, by=self.last_operator)
        elif self.state == OrderStatus.ON_HOLD:
            self.draft["status_before_hold"] = now
            self._event("hold", now, self.state, by=self.seller, reason="The customer wants a change.")
        elif self.state == OrderStatus.CANCELLED:
            self._cancel(now)

    def _produce(self) -> None:
        """Complete every step, or those before a chosen one, of which a part is done."""
        until = len(self.plan) if self.state == OrderStatus.COMPLETED else self.chance.randrange(1, len(self.plan))
        for step in self.plan[:until]:
            for task in step.tasks:
                task.complete()
            step.move("complete", StepStatus.COMPLETED, by=self.last_operator)
        if until < len(self.plan):
            self.plan[until].tasks[0].do_part()

    def report(self, operator: int) -> None:
        """The first report of an order begins it."""
        self.last_operator = operator
        if not self.begun:
            self.begun = True
            self._event("begin", OrderStatus.APPROVED, OrderStatus.IN_PROGRESS, by=operator)

    def _cancel(self, before: str) -> None:
        by = self.maker.pk
        for step in self.plan:
            for task in step.tasks:
                if task.status != TaskStatus.COMPLETED:
                    task.move("cancel", TaskStatus.CANCELLED, by=by)
        for step in self.plan:
            if step.status != StepStatus.COMPLETED:
                done = any(task.status == TaskStatus.COMPLETED for task in step.tasks)
                step.move("complete" if done else "skip", StepStatus.COMPLETED if done else StepStatus.SKIPPED, by=by)
        self._event("cancel", before, OrderStatus.CANCELLED, by=by, reason="No longer wanted.")


class LoadedStep:
    """One step of a life."""

    def __init__(self, life: Life, process: Process, pk: int, row: list[Any]) -> None:
        self.life, self.process, self.pk, self.row = life, process, pk, row
        self.status: str = StepStatus.WAITING
        self.tasks: list[LoadedTask] = []

    def move(self, verb: str, to: str, *, by: int) -> None:
        self.life._event(verb, self.status, to, by=by, step_id=self.pk)
        self.status = self.row[self.life.loader.steps.position["status"]] = to


class LoadedTask:
    """One task of a life. Its row is changed as it moves, before it is written."""

    def __init__(self, step: LoadedStep, plan: TaskPlan) -> None:
        self.step, self.life, self.plan = step, step.life, plan
        self.chance, self.sheet = step.life.chance, step.life.loader.tasks
        self.rule = step.life.shop.rules.get(step.process.pk)
        self.status: str = TaskStatus.DRAFT
        self.version, self.good, self.scrap = 1, 0, 0
        self.operator: int | None = None
        draft = step.life.draft
        self.pk = self.sheet.add(
            order_id=step.life.pk,
            step_id=step.pk,
            source_key=plan.key,
            line_id=plan.line_id,
            material_id=plan.material_id,
            tool_id=plan.tool_id,
            department_id=self.rule.department_id if self.rule else None,
            priority=draft["priority"],
            due_date=draft["due_date"],
            planned=plan.planned,
            unit=plan.unit,
            created_at=draft["created_at"],
            updated_at=draft["created_at"],
        )
        self.row = self.sheet.rows[-1]

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            self.row[self.sheet.position[name]] = value

    def move(self, verb: str, to: str, *, by: int, good: int = 0, scrap: int = 0, **values: Any) -> Any:
        """One event of the task and what it leaves on its row. Says when it was."""
        reason = {"reason_code": "setup"} if scrap else {}
        at = self.life._event(
            verb,
            self.status,
            to if to != self.status else "",
            by=by,
            step_id=self.step.pk,
            task_id=self.pk,
            good=good,
            scrap=scrap,
            **reason,
        )
        self.status, self.version = to, self.version + 1
        self.good, self.scrap = self.good + good, self.scrap + scrap
        self._set(status=to, version=self.version, good=self.good, scrap=self.scrap, operator_id=self.operator, updated_at=at, **values)
        return at

    def dispatch(self) -> None:
        """Queued by the approval, then sent to the department of the best rule, and by its strategy to a person."""
        system = self.life.loader.system
        self.move("queue", TaskStatus.PENDING, by=self.life.seller)
        people = self._people()
        reasons: list[list[Any]] = []
        if self.rule and self.rule.strategy != "queue" and people:
            self.operator = self.chance.choice(people).pk
            reasons = [["round_robin", {"operator": str(next(one for one in people if one.pk == self.operator))}]]
        elif self.rule:
            reasons = [["queue", {}]]
        at = self.move("dispatch", TaskStatus.ASSIGNED if self.operator else TaskStatus.PENDING, by=system)
        self._set(dispatched_at=at)
        self._decide([_rule_reason(self.rule) if self.rule else ["none", {"process": self.step.process.name}], *reasons], at=at)

    def _people(self) -> list[User]:
        return self.life.shop.operators.get(self.rule.department_id, []) if self.rule else []

    def _decide(self, reasons: list[Any], *, at: Any) -> None:
        department = self.rule.department if self.rule else None
        told = [{"kind": "department", "id": department.pk, "name": department.name, "load": 0, "verdict": "chosen"}] if department else []
        self.life.loader.decisions.add(
            task_id=self.pk,
            task_version=self.version,
            department_id=department.pk if department else None,
            operator_id=self.operator,
            rule_id=self.rule.pk if self.rule else None,
            candidates=json.dumps(told),
            reasons=json.dumps(reasons),
            made_at=at,
        )

    def _start(self) -> int:
        """Claimed, where nobody has it yet, and started."""
        if self.operator is None:
            people = self._people() or next(iter(self.life.shop.operators.values()))
            worker = self.chance.choice(people)
            self.operator = worker.pk
            at = self.move("claim", TaskStatus.ASSIGNED, by=worker.pk)
            self._decide([["claimed", {"actor": str(worker)}]], at=at)
        at = self.move("start", TaskStatus.IN_PROGRESS, by=self.operator)
        self._set(started_at=at)
        if self.step.status == StepStatus.WAITING:
            self.step.move("begin", StepStatus.IN_PROGRESS, by=self.operator)
        return self.operator

    def complete(self) -> None:
        operator = self._start()
        total = self.plan.planned if self.plan.planned < 50 else self.plan.planned * self.chance.randint(100, 104) // 100
        first = total // 2 if total > 1000 else 0
        if first:
            self.move("report", TaskStatus.IN_PROGRESS, by=operator, good=first, scrap=self.chance.choice([0, 0, total // 200]))
            self.life.report(operator)
        at = self.move("complete", TaskStatus.COMPLETED, by=operator, good=total - first, scrap=self.chance.choice([0, 0, total // 300]))
        self._set(completed_at=at)
        self.life.report(operator)

    def do_part(self) -> None:
        """Begun, and reported in part; sometimes interrupted."""
        operator = self._start()
        part = self.plan.planned * self.chance.randint(10, 90) // 100
        if part:
            self.move("report", TaskStatus.IN_PROGRESS, by=operator, good=part, scrap=part // 150)
            self.life.report(operator)
        if self.chance.random() < 0.15:
            self.move("pause", TaskStatus.PAUSED, by=operator)


def _rule_reason(rule: DispatchRule) -> list[Any]:
    names = {"process": rule.process.name, "process_zh": rule.process.name_zh, "department": rule.department.name}
    return ["rule", names | {"department_zh": rule.department.name_zh, "priority": rule.priority}]


def seed_load(*, orders: int = 0, tasks: int = 0, events: int = 0, seed: int = 1, tell: Callable[[Progress], None]) -> Progress:
    """Make the shop and so many orders, or orders with so many tasks or events in all; `tell` hears after every chunk."""
    loader = Loader(make_shop(), seed)
    for progress in loader.run(orders, tasks, events):
        tell(progress)
    return loader.done
