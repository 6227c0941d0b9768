"""A small but real print shop, and orders brought to each state by the verbs that people use."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from apps.accounts.models import Department, Membership, User
from apps.accounts.roles import Role
from apps.accounts.services import system_user
from apps.catalog.models import Customer, Process, Product, Route, RouteStep, Stage, TaskRule, Tool, ToolKind
from apps.core.context import signed
from apps.core.units import Unit
from apps.dispatch.models import DispatchRule
from apps.workorders import services as do
from apps.workorders.models import OrderLine, OrderMaterial, Task, WorkOrder
from apps.workorders.states import OrderStatus, TaskStatus
from tests.personas import make_people

DEPARTMENTS = {
    "design": None,
    "production": None,
    "logistics": None,
    "cutting": "production",
    "printing": "production",
    "outsourcing": "production",
    "die_cutting": "production",
    "packaging": "production",
}

PREPARE, PRINT, FINISH = Stage.PREPARE, Stage.PRINT, Stage.FINISH
# code, name, Chinese name, rule, needs, stage, set-up, minutes per 1,000, first department of the rules with its priority
PROCESSES = [
    ("CTP", "plate making", "制版", TaskRule.PER_TOOL, "", PREPARE, 20, 0, "design", 100),
    ("CUT", "stock cutting", "开料", TaskRule.PER_MATERIAL, "", PREPARE, 10, 5, "cutting", 90),
    ("PRT", "printing", "印刷", TaskRule.PER_ARTWORK, ToolKind.ARTWORK, PRINT, 30, 12, "printing", 90),
    ("VAN", "varnishing", "过油", TaskRule.SINGLE, "", FINISH, 15, 10, "printing", 90),
    ("LAM_M", "matt lamination", "覆哑膜", TaskRule.SINGLE, "", FINISH, 15, 10, "printing", 75),
    ("FOIL_G", "gold foil stamping", "烫金", TaskRule.PER_FOIL_PLATE, ToolKind.FOIL_PLATE, FINISH, 25, 20, "die_cutting", 90),
    ("EMB", "embossing", "压凸", TaskRule.PER_EMBOSSING_PLATE, ToolKind.EMBOSSING_PLATE, FINISH, 25, 20, "die_cutting", 90),
    ("DIE", "die cutting", "模切", TaskRule.PER_DIE, ToolKind.DIE, FINISH, 25, 15, "die_cutting", 90),
    ("TRIM", "final trimming", "切成品", TaskRule.SINGLE, "", FINISH, 10, 5, "cutting", 90),
    ("BOX", "box gluing", "粘盒", TaskRule.SINGLE, "", FINISH, 15, 20, "packaging", 90),
    ("PACK", "packing", "包装", TaskRule.PER_LINE, "", FINISH, 5, 15, "packaging", 90),
]
OUTSOURCED = {"CUT", "PRT", "VAN", "LAM_M", "FOIL_G", "EMB", "DIE", "BOX"}

# product -> (unit, steps)
PRODUCTS = {
    "leaflet": (Unit.COPY, "CTP CUT PRT PACK"),
    "poster": (Unit.SHEET, "CTP CUT PRT TRIM PACK"),
    "carton": (Unit.PIECE, "CTP CUT PRT LAM_M FOIL_G DIE BOX PACK"),
}


@dataclass
class Shop:
    """The shop's rows by their codes, and the verbs' shortcuts."""

    departments: dict[str, Department]
    people: dict[str, User]
    processes: dict[str, Process]
    products: dict[str, Product]
    customer: Customer  # Sunrise, of `salesperson`
    other_customer: Customer  # Moonlight, of `other_salesperson`
    tools: dict[str, Tool] = field(default_factory=dict)  # "leaflet" -> its confirmed artwork, "carton:die" -> ...

    def person(self, person: User | str | None, default: str) -> User:
        """`person` himself, by name, or the usual one."""
        return self.people[person] if isinstance(person, str) else person or self.people[default]

    def unsaved(self, **changes: Any) -> WorkOrder:
        """An order of Sunrise over 1,000 runs, due in a week, that nothing is missing for; not saved."""
        return WorkOrder(
            **{"customer": self.customer, "due_date": timezone.localdate() + timedelta(days=7), "run_quantity": 1000} | changes
        )

    def lines(self, *products: str | tuple[str, int]) -> list[OrderLine]:
        """Unsaved lines of 1,000, or as many as said."""
        pairs = [(one, 1000) if isinstance(one, str) else one for one in products]
        return [OrderLine(product=self.products[name], quantity=quantity) for name, quantity in pairs]

    def paper(self, **changes: Any) -> OrderMaterial:
        """Unsaved: 500 sheets that need cutting."""
        return OrderMaterial(
            **{"name": "Coated art 157 g", "size": "889x1194", "amount": 500, "unit": Unit.SHEET, "needs_cutting": True} | changes
        )

    def draft(
        self, *products: str | tuple[str, int], by: User | str | None = None, materials: Any = None, tools: Any = None, **changes: Any
    ) -> WorkOrder:
        """A draft by `maker`: one line of 1,000 leaflets, its paper, its confirmed artwork."""
        products = products or ("leaflet",)
        names = [one if isinstance(one, str) else one[0] for one in products]
        if tools is None:
            tools = [tool for key, tool in self.tools.items() if key.split(":")[0] in names]
        by = self.person(by, "maker")
        with signed(source="command"):
            return do.create_order(
                self.unsaved(**changes),
                lines=self.lines(*products),
                materials=[self.paper()] if materials is None else materials,
                tools=tools,
                by=by,
            )

    def submitted(self, *products: Any, by: User | str | None = None, **changes: Any) -> WorkOrder:
        return do.submit_order(self.draft(*products, by=by, **changes), by=self.person(by, "maker"))

    def approved(self, *products: Any, dispatched: bool = True, received: bool = True, **changes: Any) -> WorkOrder:
        """Submitted by `maker`, approved by the customer's salesperson, material received, dispatched (or waiting for it)."""
        order = self.submitted(*products, **changes)
        order = do.approve_order(order, by=order.customer.salesperson or self.people["supervisor"])
        if received:
            for material in order.materials.all():
                do.receive_material(material, by=self.people["maker"])
        if dispatched:
            do.dispatch_order(order, by=system_user())
        return WorkOrder.objects.get(pk=order.pk)

    def task(self, order: WorkOrder, process: str) -> Task:
        """The only task of that process."""
        return Task.objects.get(order=order, step__process__code=process)

    def ready_to_print(self, order: WorkOrder) -> Task:
        """Do what printing waits for (plates, stock) and hand back the (first) printing task."""
        for task in Task.objects.filter(order=order, step__stage=Stage.PREPARE).exclude(status__in=["completed", "cancelled"]):
            self.finish(task)
        return Task.objects.filter(order=order, step__process__code="PRT").order_by("pk")[0]

    def worker_of(self, task: Task) -> User:
        """Somebody of the task's department: made where it has no operator among the personas."""
        code = task.department.code
        name = {"printing": "operator", "outsourcing": "stranger"}.get(code, f"{code}_operator")
        if name not in self.people:
            user = User.objects.create(username=name, is_staff=True, password="!")
            user.groups.add(Group.objects.get(name=Role.OPERATOR))
            Membership.objects.create(user=user, department=task.department)
            self.people[name] = user
        return self.people[name]

    def started(self, task: Task, *, by: User | str | None = None) -> Task:
        """Claimed and started by `by`, or by who has it, or by an operator of its department."""
        task.refresh_from_db()
        return do.start_task(task, by=self.person(by, "") if by else task.operator or self.worker_of(task))

    def finish(self, task: Task, *, by: User | str | None = None) -> Task:
        """Start and complete the task as planned."""
        task.refresh_from_db()
        if task.status in {TaskStatus.PENDING, TaskStatus.ASSIGNED}:
            task = self.started(task, by=by)
        return do.complete_task(task, by=task.operator, good=task.planned - task.good)

    def finish_all(self, order: WorkOrder) -> WorkOrder:
        """Complete every open task of the order, step after step."""
        for task in Task.objects.filter(order=order).exclude(status__in=["completed", "cancelled"]).order_by("step__sequence", "pk"):
            self.finish(task)
        return WorkOrder.objects.get(pk=order.pk)

    def order_in(self, status: str, **changes: Any) -> WorkOrder:
        """An order in that status, brought there by the verbs of people who may use them."""
        seller = self.people["salesperson"]
        if status == OrderStatus.DRAFT:
            return self.draft(**changes)
        if status == OrderStatus.SUBMITTED:
            return self.submitted(**changes)
        if status == OrderStatus.REJECTED:
            return do.reject_order(self.submitted(**changes), by=seller, reason="The colours are missing.")
        order = self.approved(**changes)
        if status == OrderStatus.ON_HOLD:
            return do.hold_order(order, by=seller, reason="The customer thinks again.")
        if status == OrderStatus.CANCELLED:
            return do.cancel_order(order, by=seller, reason="The customer went away.")
        if status == OrderStatus.IN_PROGRESS:
            self.ready_to_print(order)
        elif status == OrderStatus.COMPLETED:
            return self.finish_all(order)
        return WorkOrder.objects.get(pk=order.pk)

    def task_in(self, status: str, *, by: User | str = "operator") -> Task:
        """A printing task in that status, worked on by `by`; its order runs."""
        if status == TaskStatus.DRAFT:
            return self.task(self.draft(), "PRT")
        task, by = self.ready_to_print(self.approved()), self.person(by, "operator")
        if status == TaskStatus.CANCELLED:
            return do.cancel_task(task, by=self.people["supervisor"], reason="Not needed.")
        if status == TaskStatus.ASSIGNED:
            return do.claim_task(task, by=by)
        if status in {TaskStatus.IN_PROGRESS, TaskStatus.PAUSED, TaskStatus.COMPLETED}:
            task = do.start_task(task, by=by)
        if status == TaskStatus.PAUSED:
            return do.pause_task(task, by=by)
        return do.complete_task(task, by=by, good=1000) if status == TaskStatus.COMPLETED else task


def _departments() -> dict[str, Department]:
    made: dict[str, Department] = {}
    for codes in ([c for c, above in DEPARTMENTS.items() if not above], [c for c, above in DEPARTMENTS.items() if above]):
        rows = [
            Department(
                code=code, name=code.replace("_", " "), parent=made.get(DEPARTMENTS[code] or ""), position=list(DEPARTMENTS).index(code)
            )
            for code in codes
        ]
        made |= {row.code: row for row in Department.objects.bulk_create(rows)}
    return made


def _processes(departments: dict[str, Department]) -> dict[str, Process]:
    rows = [
        Process(
            code=code,
            name=name,
            name_zh=zh,
            position=position,
            task_rule=rule,
            needs_tool=needs,
            stage=stage,
            setup_minutes=setup,
            minutes_per_1000=rate,
        )
        for position, (code, name, zh, rule, needs, stage, setup, rate, _first, _priority) in enumerate(PROCESSES, 1)
    ]
    processes = {row.code: row for row in Process.objects.bulk_create(rows)}
    can_do, rules = Process.departments.through, []
    pairs: set[tuple[str, str]] = set()
    for code, *_rest, first, priority in PROCESSES:
        places = {first: priority} | ({"outsourcing": 15} if code in OUTSOURCED else {}) | ({"production": 5} if code != "CTP" else {})
        pairs |= {(code, place) for place in places}
        rules += [DispatchRule(process=processes[code], department=departments[place], priority=p) for place, p in places.items()]
    can_do.objects.bulk_create(can_do(process=processes[code], department=departments[place]) for code, place in sorted(pairs))
    DispatchRule.objects.bulk_create(rules)
    return processes


def _products(processes: dict[str, Process]) -> dict[str, Product]:
    routes = Route.objects.bulk_create(Route(code=f"route-{name}", name=f"Route of the {name}") for name in PRODUCTS)
    steps: Iterable[RouteStep] = (
        RouteStep(route=route, process=processes[code], position=position)
        for route, (_unit, codes) in zip(routes, PRODUCTS.values(), strict=True)
        for position, code in enumerate(codes.split(), 1)
    )
    RouteStep.objects.bulk_create(steps)
    rows = Product.objects.bulk_create(
        Product(code=name.upper(), name=name, unit=unit, route=route)
        for route, (name, (unit, _codes)) in zip(routes, PRODUCTS.items(), strict=True)
    )
    return {row.name: row for row in rows}


def _tools(products: dict[str, Product], confirmed_by: User) -> dict[str, Tool]:
    wanted = {name: (ToolKind.ARTWORK, products[name]) for name in products} | {
        "carton:foil": (ToolKind.FOIL_PLATE, products["carton"]),
        "carton:die": (ToolKind.DIE, products["carton"]),
    }
    now = timezone.now()
    rows = Tool.objects.bulk_create(
        Tool(kind=kind, code=f"TOOL-{name}", confirmed_at=now, confirmed_by=confirmed_by) for name, (kind, _product) in wanted.items()
    )
    serves = Tool.products.through
    serves.objects.bulk_create(serves(tool=tool, product=product) for tool, (_kind, product) in zip(rows, wanted.values(), strict=True))
    return dict(zip(wanted, rows, strict=True))


def make_shop() -> Shop:
    """Write the whole shop in about 25 queries."""
    departments = _departments()
    people = make_people(departments)
    processes = _processes(departments)
    products = _products(processes)
    customer, other = Customer.objects.bulk_create(
        Customer(code=code, name=name, salesperson=people[seller])
        for code, name, seller in [("SUN", "Sunrise", "salesperson"), ("MOON", "Moonlight", "other_salesperson")]
    )
    return Shop(departments, people, processes, products, customer, other, _tools(products, people["planner"]))


@pytest.fixture
def shop(db: None) -> Shop:
    return make_shop()


@pytest.fixture
def draft_order(shop: Shop) -> WorkOrder:
    return shop.draft()


@pytest.fixture
def submitted_order(shop: Shop) -> WorkOrder:
    return shop.submitted()


@pytest.fixture
def approved_order(shop: Shop) -> WorkOrder:
    """Approved and dispatched: every task is pending in its department."""
    return shop.approved()


@pytest.fixture
def pending_task(shop: Shop, approved_order: WorkOrder) -> Task:
    """A printing task that the operators of printing may claim and start."""
    return shop.ready_to_print(approved_order)


@pytest.fixture
def running_task(shop: Shop, pending_task: Task) -> Task:
    """A printing task over 1,000 runs that `operator` has started."""
    return shop.started(pending_task, by="operator")


@pytest.fixture
def completed_order(shop: Shop) -> WorkOrder:
    return shop.finish_all(shop.approved())
