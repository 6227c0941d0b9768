"""Every verb of Docket, ready to be tried: what it takes, who does it, and how what a failed try left is finished."""

import ast
import inspect
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from apps.accounts import people, second_factor
from apps.accounts.models import SecondFactor, User
from apps.accounts.services import revoke_token, system_user
from apps.catalog import services as catalog
from apps.catalog.models import Customer, Product, Tool, ToolKind
from apps.core import activation, jobs
from apps.core.context import signed
from apps.core.models import JobState
from apps.dispatch import services as dispatch
from apps.dispatch.models import DispatchRule, Strategy
from apps.imports import exports, working
from apps.imports import services as imports
from apps.imports.matching import propose
from apps.imports.models import ExportRun, ImportRun, SavedExport
from apps.imports.registry import KINDS
from apps.imports.tables import read_sheets
from apps.scanning.models import Badge, Device, OperatorSession, Scan
from apps.scanning.printing import reading
from apps.scanning.services import devices, inbox, link, scans
from apps.workorders import services as do
from apps.workorders.models import OrderMaterial, Task, WorkEvent, WorkOrder
from apps.workorders.services.rebuild import rebuild_totals
from tests import factories
from tests.accounts.test_signing_in import code_of as code_of_phone
from tests.architecture.source import sources
from tests.personas import again
from tests.scanning.sending import item
from tests.shop import Shop

WHY = "It has to be."


@dataclass(frozen=True)
class Case:
    """`verb(*make(shop), by=by, **values)`; a value that is a function is asked of the shop.

    A verb of several transactions has `finish`: what a person or a sweeper does after a failure. All others leave nothing.
    """

    verb: Callable
    by: str
    make: Callable[[Shop], Any]
    values: dict[str, Any] = field(default_factory=dict)
    what: str = ""
    finish: Callable[["Trial"], None] | None = None

    def __str__(self) -> str:
        return f"{name_of(self.verb)}{f' {self.what}' if self.what else ''}"

    @property
    def area(self) -> str:
        return name_of(self.verb).rpartition(".")[0]

    def prepare(self, shop: Shop) -> "Trial":
        """The rows that it takes."""
        made = self.make(shop)
        values = {name: value(shop) if inspect.isfunction(value) else value for name, value in self.values.items()}
        return Trial(self, shop.people.get(self.by) or system_user(), made if isinstance(made, tuple) else (made,), values)


@dataclass
class Trial:
    """A case with its rows in the tables."""

    case: Case
    by: User
    things: tuple
    values: dict[str, Any]
    begun: datetime = field(default_factory=timezone.now)

    def call(self) -> Callable[[], Any]:
        """The verb with people and things as a new request has them."""
        ContentType.objects.clear_cache()
        things, values = deepcopy((self.things, self.values))
        if "by" in inspect.signature(self.case.verb).parameters:
            values["by"] = again(self.by)
        return lambda: self.case.verb(*things, **values)

    def finish(self) -> None:
        self.case.finish(self)


def name_of(function: Callable) -> str:
    return f"{function.__module__.removeprefix('apps.')}.{function.__name__}"


def once_more(trial: Trial) -> None:
    """The same again, by somebody who saw no answer."""
    trial.call()()


# -- orders and tasks


def running(shop: Shop) -> Task:
    """A printing task on which something was reported before."""
    return do.report(shop.task_in("in_progress"), by=again(shop.people["operator"]), good=10)


def at_work(shop: Shop) -> Task:
    """One that is there already, or a new one: for verbs that are tried anew for each statement."""
    return Task.objects.filter(status="in_progress", step__process__code="PRT").first() or running(shop)


def ended(shop: Shop) -> Task:
    """The same, completed."""
    return Task.objects.filter(status="completed", step__process__code="PRT").first() or shop.task_in("completed")


def last_task(shop: Shop) -> Task:
    """The only task that is left of an order."""
    order = shop.approved()
    for task in Task.objects.filter(order=order).exclude(step__process__code="PACK").order_by("step__sequence", "pk"):
        shop.finish(task)
    return shop.started(shop.task(order, "PACK"))


def reported(shop: Shop) -> WorkEvent:
    return WorkEvent.objects.get(task=running(shop), verb="report")


def wrongly_totalled(shop: Shop) -> Task:
    task = running(shop)
    Task.objects.filter(pk=task.pk).update(good=999)
    return task


def revised(shop: Shop) -> WorkOrder:
    order = shop.draft()
    order.run_quantity, order.instructions = 2000, "Varnish on both sides."
    return order


def two_orders(shop: Shop) -> list[do.NewOrder]:
    return [do.NewOrder(shop.unsaved(), shop.lines("carton"), [shop.paper()]) for _number in range(2)]


def imported_order(shop: Shop) -> WorkOrder:
    run = imports.apply_import(planned(shop), by=again(shop.people["planner"]))
    with signed(import_run=run.pk):
        return shop.draft(by="supervisor", materials=[])


def taking_turns(shop: Shop) -> WorkOrder:
    """An order that waits for dispatch to people who take turns."""
    rules = DispatchRule.objects.filter(process=shop.processes["PRT"], department=shop.departments["printing"])
    rules.update(strategy=Strategy.ROUND_ROBIN)
    return shop.approved(dispatched=False)


# -- people, handhelds, scans


def person(shop: Shop, *roles: str) -> User:
    """Somebody new, in printing."""
    user = factories.UserFactory(username=f"new_{User.objects.count()}")
    user.groups.add(*Group.objects.filter(name__in=roles))
    factories.MembershipFactory(user=user, department=shop.departments["printing"])
    return user


def badge(shop: Shop) -> Badge:
    return devices.issue_badge(person(shop), by=again(shop.people["administrator"]), pin="2468")[0]


def handheld(shop: Shop) -> Device:
    name = f"Handheld {Device.objects.count()}"
    return devices.register_device(name, shop.departments["printing"], by=again(shop.people["administrator"]))[0]


def session(shop: Shop) -> OperatorSession:
    return devices.badge_in(handheld(shop), devices.code_of(badge(shop)), "2468")[0]


def held(shop: Shop) -> Scan:
    """A scan that came after its task was completed."""
    sent = item(shop.task_in("completed"), "report", quantity=40)
    return Scan.objects.get(pk=scans.record_scan(sent, by=again(shop.people["operator"])).scan_id)


def left(shop: Shop) -> datetime:
    """The moment after a crash left a scan received."""
    sent, now = item(at_work(shop), "report", quantity=3), timezone.now()
    factories.ScanFactory(
        user=shop.people["operator"], client_event_id=sent["client_event_id"], code=sent["code"], verb="report", quantity=3, raw=sent,
        received_at=now, happened_at=now,
    )  # fmt: skip
    return now + timedelta(microseconds=1)


def phone(shop: Shop) -> tuple[User, str]:
    """Somebody who is setting up a second factor, and the code of the moment."""
    user = person(shop, "administrator")
    second_factor.begin(user)
    return user, code_of_phone(user)


def enrolled(shop: Shop) -> User:
    user = person(shop, "administrator")
    factories.SecondFactorFactory(user=user)
    return user


def recovering(shop: Shop) -> tuple[SecondFactor, str]:
    user = enrolled(shop)
    code = second_factor.new_recovery_codes(user)[0]
    return SecondFactor.objects.get(user=user), code


# -- imports: two customers, whose codes no other run has


def file(shop: Shop, *names: str) -> Any:
    serial = ImportRun.objects.count()
    rows = [(f"I{serial}-{number}", name and f"{name} {serial}") for number, name in enumerate(names or ("Alder", "Birch"))]
    text = "\n".join(f"{code},{name}" for code, name in [("code", "name"), *rows])
    return SimpleUploadedFile(f"customers-{serial}.csv", text.encode())


def planned(shop: Shop, *names: str) -> ImportRun:
    return imports.plan_import("customers", file(shop, *names), by=again(shop.people["planner"]))


def imported(shop: Shop) -> ImportRun:
    return imports.apply_import(planned(shop), by=again(shop.people["planner"]))


def faulty(shop: Shop) -> tuple[ImportRun, dict]:
    run = planned(shop, "Cedar", "")
    return run, {run.rows.bad().get().pk: {"name": "Dogwood"}}


def with_one_left_out(shop: Shop) -> ImportRun:
    run, corrections = faulty(shop)
    blank = {pk: dict.fromkeys(KINDS["customers"].resources[0].columns(), "") for pk in corrections}
    return imports.correct_rows(run, blank, by=again(shop.people["planner"]))


def matches(shop: Shop) -> list:
    return propose(KINDS["customers"], read_sheets(file(shop, "Alder").read(), None))


def unmatched(shop: Shop) -> tuple[ImportRun, list]:
    proposed = matches(shop)
    return imports.plan_import("customers", file(shop, "Alder"), by=again(shop.people["planner"]), ask=imports.Ask.ALWAYS), proposed


def interrupted(shop: Shop) -> ImportRun:
    run = planned(shop)
    ImportRun.objects.filter(pk=run.pk).update(state="applying")
    return run


def forgotten(row: ImportRun | ExportRun) -> tuple:
    type(row).objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=100))
    return ()


def go_on(trial: Trial) -> None:
    """What the sweeper does when the lease of a run is over; and what a person does whose click did nothing."""
    run = trial.things[0]
    ImportRun.objects.exclude(lease_until=None).update(lease_until=timezone.now() - timedelta(seconds=1))
    for pk in working.left_behind():
        working.work(pk)
    if ImportRun.objects.get(pk=run.pk).state == run.state:
        once_more(trial)


def plan_on(trial: Trial) -> None:
    """The same for a file: what was taken in is planned, what was not is sent again."""
    ImportRun.objects.exclude(lease_until=None).update(lease_until=timezone.now() - timedelta(seconds=1))
    for pk in working.left_behind():
        working.work(pk)
    if not ImportRun.objects.filter(file_name=trial.things[1].name).exists():
        once_more(trial)


def export(shop: Shop) -> ExportRun:
    return exports.claim(factories.ExportRunFactory(owner=shop.people["planner"]).pk)


def due_export(shop: Shop) -> SavedExport:
    """Of somebody who waits for no other."""
    return factories.SavedExportFactory(owner=person(shop, "planner"), every="day", next_at=timezone.now())


def of(name: str) -> Callable[[Shop], User]:
    return lambda shop: shop.people[name]


def on_catalogue(shop: Shop) -> Product:
    """A product that nothing points to."""
    return factories.ProductFactory(route=None)


def new_rule(shop: Shop) -> DispatchRule:
    return DispatchRule(process=shop.processes["VAN"], department=shop.departments["cutting"])


def newcomer(shop: Shop) -> User:
    return User(username="novice", name="Novice")


CASES = [
    # orders
    Case(do.create_order, "maker", Shop.unsaved, {"lines": lambda shop: shop.lines("leaflet"), "materials": lambda shop: [shop.paper()]}),
    Case(do.create_orders, "maker", two_orders),
    Case(do.copy_order, "maker", Shop.draft),
    Case(do.revise_order, "maker", revised, {"lines": lambda shop: shop.lines("poster"), "materials": lambda shop: [shop.paper(amount=7)]}),
    Case(do.delete_order, "maker", Shop.draft),
    Case(do.withdraw_order, "supervisor", imported_order, {"imported": lambda shop: ImportRun.objects.latest("pk").pk}),
    Case(do.submit_order, "maker", Shop.draft),
    Case(do.approve_order, "salesperson", Shop.submitted),
    Case(do.reject_order, "salesperson", Shop.submitted, {"reason": WHY}),
    Case(do.hold_order, "supervisor", lambda shop: running(shop).order, {"reason": WHY}),
    Case(do.resume_order, "supervisor", lambda shop: shop.order_in("on_hold")),
    Case(do.cancel_order, "supervisor", lambda shop: running(shop).order, {"reason": WHY}),
    Case(do.reopen_order, "supervisor", lambda shop: shop.order_in("completed"), {"reason": WHY}),
    Case(do.receive_material, "maker", lambda shop: OrderMaterial.objects.get(order=shop.approved(received=False))),
    Case(do.dispatch_order, "", taking_turns),
    Case(do.dispatch_task, "supervisor", lambda shop: shop.task(taking_turns(shop), "PRT")),
    # tasks
    Case(do.claim_task, "operator", lambda shop: shop.task_in("pending")),
    Case(do.release_task, "operator", lambda shop: shop.task_in("assigned")),
    Case(do.start_task, "operator", lambda shop: shop.task_in("pending")),
    Case(do.pause_task, "operator", running),
    Case(do.resume_task, "operator", lambda shop: shop.task_in("paused")),
    Case(do.assign_task, "supervisor", running, {"operator": of("second_operator"), "reason": WHY}),
    Case(do.cancel_task, "supervisor", running, {"reason": WHY}),
    Case(do.split_task, "supervisor", running, {"quantities": [200, 300]}),
    Case(do.report, "operator", lambda shop: shop.task_in("in_progress"), {"good": 1100, "scrap": 3, "reason_code": "setup"}),
    Case(do.complete_task, "packaging_operator", last_task, {"good": 1000}, "the last of an order"),
    Case(do.undo_last, "operator", running),
    Case(do.reverse_event, "supervisor", reported, {"reason": WHY}),
    Case(rebuild_totals, "", wrongly_totalled),
    Case(do.share, "supervisor", running, {"user": of("stranger"), "level": "work"}),
    Case(do.unshare, "supervisor", lambda shop: do.share(running(shop), by=again(shop.people["supervisor"]), user=shop.people["stranger"])),
    # scans
    Case(scans.record_scan, "operator", lambda shop: item(at_work(shop), "report", quantity=5), finish=once_more),
    Case(scans.record_scan, "operator", lambda shop: item(ended(shop), "report", quantity=5), {}, "late", once_more),
    Case(
        scans.record_batch, "operator",
        lambda shop: ([item(at_work(shop), "report", quantity=5), item(ended(shop), "report", quantity=5), item("none", "report")], None),
        finish=once_more,
    ),
    Case(scans.sweep, "", left, finish=once_more),
    Case(inbox.apply_scan, "supervisor", held, {"reason": WHY}),
    Case(inbox.correct_scan, "supervisor", held, {"good": 30, "scrap": 1, "reason": WHY}),
    Case(inbox.dismiss_scan, "supervisor", held, {"reason": WHY}),
    Case(inbox.enter_scan, "supervisor", running, {"person": of("operator"), "verb": "report", "good": 4, "reason": WHY}),
    Case(link.link_code, "supervisor", lambda shop: shop.approved(), {"code": "PO-4711"}),
    Case(link.unlink_code, "supervisor", lambda shop: link.link_code(shop.approved(), by=again(shop.people["supervisor"]), code="PO-4712")),
    Case(reading.print_tickets, "supervisor", lambda shop: [shop.approved()], {"host": "https://docket.test"}),
    Case(reading.print_labels, "supervisor", lambda shop: [running(shop)], {"host": "https://docket.test", "sheet": "a4-3x8"}),
    # handhelds and badges
    Case(devices.register_device, "administrator", lambda shop: ("Press 2", shop.departments["printing"])),
    Case(devices.renew_token, "administrator", lambda shop: session(shop).device),
    Case(devices.revoke_device, "administrator", lambda shop: session(shop).device),
    Case(devices.issue_badge, "administrator", person),
    Case(devices.new_pin, "administrator", lambda shop: session(shop).badge),
    Case(devices.revoke_badge, "administrator", lambda shop: session(shop).badge),
    Case(devices.change_pin, "", lambda shop: (badge(shop).user, "2468", "8642"), finish=once_more),
    Case(devices.badge_in, "", lambda shop: (handheld(shop), devices.code_of(badge(shop)), "2468"), finish=once_more),
    Case(devices.end_session, "administrator", session),
    # imports and exports
    Case(imports.take_in, "planner", lambda shop: ("customers", file(shop))),
    Case(imports.plan_import, "planner", lambda shop: ("customers", file(shop, "Alder")), finish=plan_on),
    Case(imports.match_columns, "planner", unmatched, {"save_as": lambda shop: f"Sender {ImportRun.objects.count()}"}, finish=go_on),
    Case(imports.save_profile, "planner", lambda shop: (KINDS["customers"], "Other sender", matches(shop))),
    Case(imports.correct_rows, "planner", faulty, finish=go_on),
    Case(imports.take_in_left_out, "planner", with_one_left_out, finish=go_on),
    Case(imports.plan_again, "planner", lambda shop: planned(shop, "Alder"), finish=go_on),
    Case(imports.apply_import, "planner", planned, finish=go_on),
    Case(imports.stop, "planner", interrupted),
    Case(imports.revert_import, "planner", imported, finish=go_on),
    Case(imports.purge, "", lambda shop: forgotten(planned(shop)), finish=once_more),
    Case(exports.start, "planner", lambda shop: ("catalog.customer", "", "csv")),
    Case(exports.run_saved, "planner", lambda shop: factories.SavedExportFactory(owner=shop.people["planner"])),
    Case(exports.save, "planner", lambda shop: SavedExport(name="Daily", resource="catalog.customer", format="csv", every="day", hour=6)),
    Case(exports.start_due, "", lambda shop: due_export(shop) and (), finish=once_more),
    Case(exports.finish, "", lambda shop: (export(shop), ContentFile(b"code,name"))),
    Case(exports.fail, "", lambda shop: (export(shop), "The list is gone.")),
    # the catalogue and its rules
    Case(catalog.confirm_tool, "planner", lambda shop: factories.ToolFactory()),
    Case(catalog.save_customer, "planner", lambda shop: Customer(code="NEW", name="New")),
    Case(catalog.save_product, "planner", lambda shop: Product(code="CARD", name="Card"), {"route_codes": ["CTP", "PRT", "TRIM"]}),
    Case(catalog.save_tool, "planner", lambda shop: Tool(kind=ToolKind.DIE, code="D-1"), {"products": lambda shop: [on_catalogue(shop)]}),
    Case(catalog.remove, "planner", on_catalogue),
    Case(dispatch.save_rule, "planner", new_rule),
    Case(dispatch.remove_rule, "planner", lambda shop: factories.DispatchRuleFactory()),
    Case(activation.deactivate, "planner", lambda shop: factories.CustomerFactory()),
    Case(activation.activate, "planner", lambda shop: factories.CustomerFactory(is_active=False)),
    # accounts
    Case(people.save_person, "administrator", newcomer, {"roles": ["operator"], "places": {"cutting": False}}),
    Case(people.set_roles, "administrator", lambda shop: person(shop, "operator"), {"roles": ["maker", "planner"]}),
    Case(people.remove_person, "administrator", person),
    Case(people.deactivate_user, "administrator", person),
    Case(people.activate_user, "administrator", lambda shop: factories.UserFactory(is_active=False)),
    Case(people.sign_out_everywhere, "administrator", lambda shop: factories.AccessTokenFactory().user),
    Case(revoke_token, "administrator", lambda shop: factories.AccessTokenFactory()),
    Case(second_factor.enrol, "", phone, finish=once_more),
    Case(second_factor.new_recovery_codes, "", enrolled),
    Case(second_factor.check, "", recovering, finish=once_more),
    Case(second_factor.turn_off, "", enrolled),
    Case(second_factor.reset, "administrator", lambda shop: factories.OpenSessionFactory(user=enrolled(shop)).user),
    # the queue
    Case(jobs.retry, "superuser", lambda shop: factories.JobRunFactory(state=JobState.DEAD)),
]  # fmt: skip

# The other public functions that are told who acts, or that open a transaction.
WRITE_NOTHING = {
    "accounts.people.refuse_shutting_out",
    "core.depending.refuse_if_needed",
    "imports.exportable.download",
    "imports.exportable.rows_for",
    "imports.exports.download",
    "imports.forms.options_forms",
    "scanning.printing.reading.order_tasks",
    "scanning.printing.reading.print_badges",
    "scanning.services.finding.choose",
    "scanning.services.finding.find",
    "scanning.services.finding.resolve",
    "scanning.services.finding.resolved_json",
    "scanning.services.finding.see_task",
    "scanning.services.finding.task_json",
    "scanning.services.finding.verbs_on",
    "workorders.services.creation.check_choices",
    "workorders.services.creation.check_orders",
    "workorders.services.locking.lock_order",
    "workorders.services.locking.lock_task",
    "workorders.services.orders.refuse_unless_editable",
}
PARTS_OF_VERBS = {
    "core.context.acting",
    "core.idempotency.once",
    "core.throttle.take",
    "imports.staging.stage",
    "scanning.services.doing.do_scan",
    "workorders.services.dispatching.decide",
    "workorders.services.rollup.begin_order",
    "workorders.services.rollup.begin_step",
    "workorders.services.rollup.end_step",
    "workorders.services.rollup.roll_up",
    "workorders.services.rollup.roll_up_order",
    "workorders.transitions.record",
}
CALLERS_OF_VERBS = {
    "ops.backups.restoring.drill",
    "ops.demo.seed_demo",
    "ops.integrity.rebuild_all",
    "ops.load.make_shop",
    "ops.seeding.seed_presets",
    "scanning.printing.labels.badges_pdf",
    "scanning.printing.labels.labels_pdf",
    "scanning.printing.tickets.ticket_pdf",
}


def writers() -> Iterator[str]:
    """Every public function below the surfaces that is told who acts, or that opens a transaction."""
    for source in sources("apps"):
        if source.surface in ("admin", "api", "management") or {"simulation", "views"} & set(source.parts):
            continue
        for node in source.tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and (_is_told_who(node) or _opens_one(node)):
                yield ".".join([*source.parts[1:], node.name])


def _is_told_who(function: ast.FunctionDef) -> bool:
    return "by" in {argument.arg for argument in function.args.kwonlyargs}


def _opens_one(function: ast.FunctionDef) -> bool:
    called = {node.func for node in ast.walk(function) if isinstance(node, ast.Call)}
    return bool({getattr(one, "attr", getattr(one, "id", "")) for one in called} & {"acting", "atomic"})
