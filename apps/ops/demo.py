"""The demo shop: people, customers, tools and orders of fixtures/demo.json, brought to where they are by the verbs that people use."""

from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Department, Membership, User
from apps.accounts.services import system_user
from apps.catalog.models import Customer, Product, Tool
from apps.catalog.services import confirm_tool
from apps.core.context import acting
from apps.notices.services import mark_all_read
from apps.ops.seeding import read_fixture
from apps.scanning.models import Badge, Device
from apps.scanning.services import devices
from apps.workorders import services as verbs
from apps.workorders.models import OrderLine, OrderMaterial, ReasonCode, Task, WorkOrder
from apps.workorders.states import OrderStatus, TaskStatus

SCRAP = (ReasonCode.SETUP, ReasonCode.SETUP, ReasonCode.REGISTER, ReasonCode.COLOUR, ReasonCode.CUT)


def people_of_the_demo() -> list[dict[str, Any]]:
    """Everybody of the demo, as the fixture has them: username, name, roles, departments, leads."""
    return read_fixture("demo")["people"]


@transaction.atomic
def seed_demo(password: str) -> Counter:
    """Make the demo shop on top of the presets. Makes nothing where there are orders already. Says what it made.

    People that exist keep their password and roles; customers and tools that exist stay as they are.
    """
    made: Counter = Counter()
    if WorkOrder.objects.exists():
        return made
    demo = read_fixture("demo")
    with acting(system_user()):
        people = _people(demo["people"], password, made)
        customers = _customers(demo["customers"], people, made)
        tools = _tools(demo["tools"], customers, people["planner"], made)
    story = Story(people, customers, tools)
    for row in demo["orders"]:
        if row["state"] == OrderStatus.SUBMITTED:
            story.everybody_reads()
        story.tell(row)
        made["orders"] += 1
    return made


@transaction.atomic
def seed_floor(pin: str) -> dict[str, str]:
    """Handhelds, and badges with `pin` for the demo's operators: the token of each new handheld by its name."""
    demo = read_fixture("demo")
    departments = {department.code: department for department in Department.objects.all()}
    people = {user.username: user for user in User.objects.filter(username__in=[row["username"] for row in demo["people"]])}
    gives, tokens = people["admin"], {}
    for row in demo["handhelds"]:
        if row["department"] in departments and not Device.objects.filter(name=row["name"]).exists():
            _device, tokens[row["name"]] = devices.register_device(row["name"], departments[row["department"]], by=gives)
    for row in demo["people"]:
        if "operator" in row["roles"] and not Badge.objects.live().filter(user=people[row["username"]]).exists():
            devices.issue_badge(people[row["username"]], by=gives, pin=pin)
    return tokens


def _people(rows: list[dict[str, Any]], password: str, made: Counter) -> dict[str, User]:
    departments = {department.code: department for department in Department.objects.all()}
    groups = {group.name: group for group in Group.objects.all()}
    present = {user.username: user for user in User.objects.all()}
    secret = make_password(password)
    for row in rows:
        if row["username"] in present:
            continue
        user = present[row["username"]] = User(username=row["username"], name=row["name"], is_staff=True, password=secret)
        user.save()
        user.groups.set(groups[role] for role in row["roles"])
        for code in row["departments"]:
            if code in departments:
                Membership.objects.create(user=user, department=departments[code], is_lead=row.get("leads", False))
        made["people"] += 1
    return present


def _customers(rows: list[dict[str, Any]], people: dict[str, User], made: Counter) -> dict[str, Customer]:
    present = {customer.code: customer for customer in Customer.objects.all()}
    for row in rows:
        if row["code"] not in present:
            customer = present[row["code"]] = Customer(**row | {"salesperson": people[row["salesperson"]]})
            customer.save()
            made["customers"] += 1
    return present


def _tools(rows: list[dict[str, Any]], customers: dict[str, Customer], confirms: User, made: Counter) -> dict[str, Tool]:
    """Tools by what they are called (HC-CARTON v1), confirmed unless the fixture says otherwise."""
    present = {str(tool): tool for tool in Tool.objects.all()}
    products = {product.code: product for product in Product.objects.all()}
    for row in rows:
        values = {name: value for name, value in row.items() if name not in ("products", "confirmed", "customer")}
        tool = Tool(customer=customers.get(row.get("customer", "")), **values)
        if str(tool) in present:
            continue
        tool.save()
        tool.products.set(products[code] for code in row["products"] if code in products)
        present[str(tool)] = confirm_tool(tool, by=confirms) if row.get("confirmed", True) else tool
        made["tools"] += 1
    return present


class Story:
    """Tells the fixture's orders. The same fixture gives the same numbers every time."""

    def __init__(self, people: dict[str, User], customers: dict[str, Customer], tools: dict[str, Tool]) -> None:
        self.people, self.customers, self.tools = people, customers, tools
        self.products = {product.code: product for product in Product.objects.all()}
        self.chance = Random(26)  # noqa: S311  (believable numbers, no secrets)
        self.today = timezone.localdate()
        members = Membership.objects.filter(user__groups__name="operator", user__username__in=people).select_related("user", "department")
        self.operators: dict[str, list[User]] = {}
        for member in members.order_by("pk"):
            self.operators.setdefault(member.department.code, []).append(people[member.user.username])

    def everybody_reads(self) -> None:
        for user in self.people.values():
            mark_all_read(user)

    def tell(self, row: dict[str, Any]) -> WorkOrder:
        """Bring one order to the state that its row says. Every move is made, and signed, by somebody whose move it is."""
        maker = self.people[row.get("maker", "maker")]
        if "copy_of" in row:
            return verbs.copy_order(WorkOrder.objects.get(external_number=row["copy_of"]), by=maker)
        order, state = self._create(row, maker), row["state"]
        if state == OrderStatus.DRAFT:
            return order
        order = verbs.submit_order(order, by=maker)
        if state == OrderStatus.SUBMITTED:
            return order
        decides = order.customer.salesperson if order.customer.salesperson not in (None, maker) else self.people["supervisor"]
        if state == OrderStatus.REJECTED:
            return verbs.reject_order(order, by=decides, reason=row["reason"])
        order = verbs.approve_order(order, by=decides)
        verbs.dispatch_order(order, by=system_user())
        if row.get("missing") != "material":
            for material in order.materials.all():
                verbs.receive_material(material, by=maker)
        self._supervise(order, row)
        if state == OrderStatus.COMPLETED or "now" in row:
            self._work(order, row)
        if state == OrderStatus.ON_HOLD:
            verbs.hold_order(order, by=decides, reason=row["reason"])
        if state == OrderStatus.CANCELLED:
            verbs.cancel_order(order, by=decides, reason=row["reason"])
        return order

    def _supervise(self, order: WorkOrder, row: dict[str, Any]) -> None:
        """What the lead of production arranges by hand: work given outside, tasks split, the order shown to somebody."""
        lead = self.people["supervisor"]
        tasks = {task.step.process.code: task for task in order.tasks.select_related("step__process")}
        for code, reason in row.get("outside", {}).items():
            outside = Department.objects.get(code="outsourcing")
            verbs.assign_task(tasks[code], by=lead, department=outside, reason=reason)
        for code, quantities in row.get("split", {}).items():
            verbs.split_task(tasks[code], by=lead, quantities=quantities, reason="分两班做")
        if "share" in row:
            verbs.share(order, by=lead, user=self.people[row["share"]], expires_at=timezone.now() + timedelta(days=7))

    def _create(self, row: dict[str, Any], maker: User) -> WorkOrder:
        order = WorkOrder(
            customer=self.customers[row["customer"]],
            external_number=row["external"],
            maker=maker,
            order_date=self.today + timedelta(days=row["ordered"]),
            due_date=None if row["due"] is None else self.today + timedelta(days=row["due"]),
            priority=row.get("priority", 2),
            run_quantity=row["runs"],
            allowance=row["allowance"],
            ups=row["ups"],
            printing_type=row["printing"],
            process_colours=row["colours"],
            spot_colours=row.get("spots", ""),
            instructions=row.get("instructions", ""),
        )
        lines = [OrderLine(product=self.products[code], quantity=quantity) for code, quantity in row["lines"]]
        papers = [OrderMaterial(name=name, size=size, amount=amount, needs_cutting=True) for name, size, amount in row["papers"]]
        tools = [self.tools[name] for name in row.get("tools", [])]
        return verbs.create_order(order, lines=lines, materials=papers, tools=tools, by=maker)

    def _work(self, order: WorkOrder, row: dict[str, Any]) -> None:
        """Complete every step before the one where the order is now, and do a part of that one."""
        tasks = Task.objects.filter(order=order).select_related("step__process", "department").order_by("step__sequence", "pk")
        at_it = False
        for task in tasks:
            if task.step.process.code == row.get("now"):
                if not at_it:
                    self._do_part(task, row)
                at_it = True
            elif at_it:
                return
            else:
                self._complete(task, row)

    def _start(self, task: Task) -> tuple[Task, User]:
        """The task, started: by who has it, or by somebody of its department to whom its lead gave it or who claims it."""
        task.refresh_from_db()
        department = task.department.code
        worker = task.operator or self.chance.choice(self.operators[department])
        if task.status == TaskStatus.PENDING and self.chance.random() < 0.25:
            task = verbs.assign_task(task, by=self.people[f"lead_{department}"], operator=worker)
        return verbs.start_task(task, by=worker), worker

    def _scrap(self, good: int, rate: float | None = None) -> dict[str, Any]:
        scrap = round(good * (rate if rate is not None else self.chance.choice([0, 0.004, 0.008, 0.015])))
        return {"good": good, "scrap": scrap, "reason_code": self.chance.choice(SCRAP) if scrap else ""}

    def _complete(self, task: Task, row: dict[str, Any]) -> None:
        """Report the task in one or two parts and complete it, over or under plan where the row says so."""
        task, worker = self._start(task)
        total = task.planned
        if task.planned >= 50 and task.step.stage != "prepare":
            total = round(task.planned * row.get("good", 1))
        first = total * self.chance.randint(30, 70) // 100
        if total >= 100:
            task = verbs.report(task, by=worker, **self._scrap(first))
        reason = row["reason"] if total < task.planned else ""
        verbs.complete_task(task, by=worker, **self._scrap(total - task.good), reason=reason)

    def _do_part(self, task: Task, row: dict[str, Any]) -> None:
        task, worker = self._start(task)
        part = round(task.planned * row.get("part", 0))
        if part:
            task = verbs.report(task, by=worker, **self._scrap(part * 2 // 3, row.get("scrap")))
            if "correct" in row:
                mistake = task.events.filter(verb="report").latest("pk")
                verbs.reverse_event(mistake, by=self.people["supervisor"], reason=row["correct"])
                task.refresh_from_db()
            task = verbs.report(task, by=worker, **self._scrap(part - task.good, row.get("scrap")))
        if "pause" in row:
            verbs.pause_task(task, by=worker, reason_code=row["pause"], reason=row.get("reason", ""))
