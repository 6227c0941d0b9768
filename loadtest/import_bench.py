"""How fast orders come in from a file, beside plain django-import-export and bare `bulk_create`, in one run.

    python loadtest/import_bench.py [--rows 20000] [--steps 4] [--profile]

Uses the database server of DATABASE_URL (without one: SQLite in the folder of temporary files) and the settings of the
environment, but a database of its own, which it makes and removes. It prints rows of the file per
second, by the clock, for

- `ours`: the plan and the apply of the import centre: orders, lines, steps, tasks, history and events, every rule checked;
- `plain`: a ModelResource of django-import-export on the same file, which saves an order, a line, and the steps and tasks of the
  product's route with their history for each row, one after the other, and no events; as it comes, in one transaction, its dry run
  and then the import;
- `bare`: `bulk_create` of the very rows that ours wrote, of all the same tables, with nothing checked, read or worked out.

While ours is applied, another process reports a piece on a running task five times a second, and its waits are printed.
"""

import argparse
import cProfile
import csv
import datetime as dt
import io
import multiprocessing
import os
import pstats
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
SCRATCH = f"docket_import_bench_{os.getpid()}"
HEADER = ["External no.", "Customer", "Product code", "Quantity", "Due date", "Priority", "Printing", "Colours", "Notes"]
CUSTOMERS, PRODUCTS, CHUNK = 100, 300, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the file (every fourth order has two)")
    parser.add_argument("--steps", type=int, default=4, help="steps of each product's route; each makes a task")
    parser.add_argument("--plain-rows", type=int, default=2_000, help="rows of the file that plain import-export gets")
    parser.add_argument("--only-ours", action="store_true", help="leave the others out")
    parser.add_argument("--profile", action="store_true", help="say where our time goes")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DEBUG", "true")
        os.environ.setdefault("DJANGO_SECRET_KEY", "import-bench-import-bench-import-bench-import-bench")
        os.environ["DOCKET_VAR_DIR"] = folder
        import django

        django.setup()
        from django.conf import settings
        from django.db import connection

        settings.DEBUG = False  # or every query would be remembered
        is_sqlite = connection.vendor == "sqlite"
        connection.settings_dict["TEST"]["NAME"] = str(Path(folder, "bench.sqlite3")) if is_sqlite else SCRATCH
        before = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            measure(asked)
        finally:
            connection.creation.destroy_test_db(before, verbosity=0)


def measure(asked: argparse.Namespace) -> None:
    from django.db import connection

    owner, maker = people()
    catalogue(asked.steps)
    text = order_file(asked.rows)
    print(f"{connection.vendor}, {asked.rows:,} rows, {len(text) / 1e6:.1f} MB, {asked.steps} steps for each product")
    profile = cProfile.Profile() if asked.profile else None
    with Memory() as memory:
        planned, applied = ours(text, owner, maker, profile)
    tell("ours, plan", asked.rows, planned)
    tell("ours, apply", asked.rows, applied)
    print(f"{'peak memory':24}{memory.own:10,.0f} MB   {memory.all:,.0f} MB with what is mapped of files: programs, and SQLite's database")
    if profile:
        pstats.Stats(profile).sort_stats("cumtime").print_stats("apps/|simple_history|bulk_create|sleep|commit", 60)
    if asked.only_ours:
        return
    rows, bare = bare_inserts()
    tell(f"bare, {rows:,} rows", asked.rows, bare)
    few = min(asked.rows, asked.plain_rows)
    dry, wet = plain("".join(text.splitlines(keepends=True)[: few + 1]))
    tell("plain, dry run", few, dry)
    tell("plain, import", few, wet)
    share = asked.rows / few
    print(f"plan:  {share * dry / planned:6.1f} × plain's dry run")
    print(f"apply: {share * wet / applied:6.1f} × plain, {bare / applied:6.2f} × bare")


def tell(what: str, rows: int, seconds: float) -> None:
    print(f"{what:24}{rows / seconds:10,.0f} rows/s{seconds:10.1f} s", flush=True)


def people() -> tuple[Any, Any]:
    from django.contrib.auth.models import Group

    from apps.accounts.models import User
    from apps.accounts.roles import Role

    owner = User.objects.create(username="bench-owner", is_superuser=True, is_staff=True)
    maker = User.objects.create(username="bench-maker")
    maker.groups.add(Group.objects.get_or_create(name=Role.MAKER)[0])
    return owner, maker


def catalogue(steps: int) -> None:
    from apps.catalog.models import Customer, Process, Product, Route, RouteStep

    Customer.objects.bulk_create(Customer(code=f"BC{number}", name=f"Bench customer {number}") for number in range(CUSTOMERS))
    route = None
    if steps:
        processes = Process.objects.bulk_create(Process(code=f"BP{number}", name=f"bench {number}") for number in range(steps))
        route = Route.objects.create(code="bench", name="bench")
        RouteStep.objects.bulk_create(RouteStep(route=route, process=one, position=10 * place) for place, one in enumerate(processes, 1))
    Product.objects.bulk_create(Product(code=f"BX{number}", name=f"bench product {number}", route=route) for number in range(PRODUCTS))


def order_file(rows: int) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(HEADER)
    order = part = 0
    for number in range(rows):
        if part == 0:
            order += 1
            part = 2 if order % 4 == 0 else 1
        part -= 1
        due = dt.date(2031, 1, 1) + dt.timedelta(days=order % 300)
        product = (7 * order + part) % PRODUCTS
        writer.writerow([
            f"PO-{order:07}", f"Bench customer {order % CUSTOMERS}", f"BX{product}", 100 + number % 5000, due.isoformat(),
            ("normal", "high", "")[order % 3], ("front", "none")[order % 2], "CMYK+528C", f"note {order % 50}",
        ])  # fmt: skip
    return stream.getvalue()


def ours(text: str, owner: Any, maker: Any, profile: cProfile.Profile | None) -> tuple[float, float]:
    from django.core.files.uploadedfile import SimpleUploadedFile

    from apps.imports import services

    options = {"maker": maker.pk, "order_date": "2030-12-01"}
    steps = Steps()
    if profile:
        profile.enable()
    began = time.perf_counter()
    run = services.take_in("orders", SimpleUploadedFile("bench.csv", text.encode()), by=owner, options=options)
    print(f"{'  of it, taking in':24}{'':17}{time.perf_counter() - began:10.1f} s")
    steps.begin()
    services.work(run.pk, told=steps)
    planned = time.perf_counter() - began
    steps.told("plan")
    run.refresh_from_db()
    if run.state != "planned":
        raise SystemExit(f"The plan is {run.state}: {run.problems[:3]}")
    with Reports(running_task(owner, maker).pk, owner.pk):
        began = time.perf_counter()
        steps.begin()
        run = services.apply_import(run, by=owner, told=steps)
        applied = time.perf_counter() - began
    steps.told("apply")
    if profile:
        profile.disable()
    if run.state != "applied":
        raise SystemExit(f"The import is {run.state}: {run.problems[:3]}")
    return planned, applied


def running_task(owner: Any, maker: Any) -> Any:
    """Somebody works on it all the while."""
    from apps.accounts.models import Department
    from apps.catalog.models import Customer, Process, Product
    from apps.workorders.models import OrderLine, Task, WorkOrder
    from apps.workorders.services import create_order

    process = Process.objects.get_or_create(code="BENCH", defaults={"name": "bench"})[0]
    line = OrderLine(product=Product.objects.first(), quantity=1_000_000)
    order = create_order(WorkOrder(customer=Customer.objects.first(), maker=maker, steps_text=process.code), lines=[line], by=owner)
    WorkOrder.objects.filter(pk=order.pk).update(status="in_progress")
    order.steps.update(status="in_progress")
    department = Department.objects.get_or_create(code="bench", defaults={"name": "bench"})[0]
    order.tasks.update(status="in_progress", operator=owner, department=department)
    return Task.objects.get(order=order)


class Reports:
    """Another process, with a connection of its own, that reports on a task while the block runs. Prints how long it had to wait."""

    PAUSE = 0.2  # seconds between two reports

    def __init__(self, task: int, by: int) -> None:
        fork = multiprocessing.get_context("fork")
        self.ended, (self.answers, self.told) = fork.Event(), fork.Pipe(duplex=False)
        self.process = fork.Process(target=self._report, args=(task, by))

    def _report(self, task: int, by: int) -> None:
        from apps.accounts.models import User
        from apps.workorders.models import Task
        from apps.workorders.services import report

        person, waits = User.objects.get(pk=by), []
        while not self.ended.wait(self.PAUSE):
            began = time.perf_counter()
            report(Task.objects.get(pk=task), by=person, good=1)
            waits.append(time.perf_counter() - began)
        self.told.send((waits, Task.objects.get(pk=task).good))

    def __enter__(self) -> None:
        from django.db import connection

        connection.close()  # no connection can be used by two processes
        self.process.start()
        self.told.close()  # or nobody would hear that the other one has died

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        waits, good = self.answers.recv()
        self.process.join()
        if good != len(waits):
            raise SystemExit(f"{len(waits)} reports of a piece came to {good}.")
        waits.sort()
        median, most = waits[len(waits) // 2], waits[int(len(waits) * 0.95)]
        print(f"{'  reports beside it':24}{len(waits):10,}   median {median:.2f} s, p95 {most:.2f} s, longest {waits[-1]:.2f} s")


class Memory:
    """The most memory of this process while the block runs, in MB, looked at twenty times a second: its `own` and `all`, which also
    counts the pages of files that are mapped. Those the system takes back when it needs them.
    """

    def __enter__(self) -> "Memory":
        self.own = self.all = 0.0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def _watch(self) -> None:
        while not self.ended.wait(0.05):
            told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            self.own = max(self.own, int(told["RssAnon"].split()[0]) / 1024)
            self.all = max(self.all, int(told["VmRSS"].split()[0]) / 1024)


class Steps:
    """How long the transactions of the work take: on SQLite, everybody else's writes wait for them."""

    def begin(self) -> None:
        self.last, self.taken = time.perf_counter(), []

    def __call__(self, _run: Any) -> None:
        now = time.perf_counter()
        self.taken.append(now - self.last)
        self.last = now

    def told(self, what: str) -> None:
        taken = sorted(self.taken)
        print(f"{f'  transactions of {what}':24}{len(taken):10,}   median {taken[len(taken) // 2]:.2f} s, longest {taken[-1]:.2f} s")


def bare_inserts() -> tuple[int, float]:
    """All rows that ours wrote, once more, table by table."""
    from django.db import transaction

    from apps.workorders.models import OrderLine, Step, Task, WorkEvent, WorkOrder

    models = [one for model in (WorkOrder, OrderLine, Step, Task) for one in (model, model.history.model)]
    models += [Step.predecessors.through, WorkEvent]
    total, seconds = 0, 0.0
    for model in models:
        last = model.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        for rows in chunks(model.objects.filter(pk__lte=last).order_by("pk"), model):
            began = time.perf_counter()
            with transaction.atomic():
                model.objects.bulk_create(rows)
            seconds += time.perf_counter() - began
            total += len(rows)
    return total, seconds


def chunks(found: Any, model: Any) -> Iterator[list[Any]]:
    """The rows as new ones: what has to be unique is changed."""
    after = 0
    while rows := list(found.filter(pk__gt=after)[:CHUNK]):
        after = rows[-1].pk
        for row in rows:
            row.pk, row._state.adding = None, True
            if model.__name__ == "WorkOrder":
                row.number += "b"
            elif model.__name__ == "Step":
                row.sequence += 5000
            elif model._meta.auto_created:
                row.from_step_id, row.to_step_id = row.to_step_id, row.from_step_id
        yield rows


def plain(text: str) -> tuple[float, float]:
    import tablib
    from import_export import fields, resources, widgets

    from apps.accounts.models import User
    from apps.catalog.models import Customer, Product
    from apps.workorders.models import OrderLine, Step, Task, WorkOrder

    maker = User.objects.get(username="bench-maker")

    class PlainOrders(resources.ModelResource):
        number = fields.Field("number", "Number")
        external_number = fields.Field("external_number", "External no.")
        customer = fields.Field("customer", "Customer", widget=widgets.ForeignKeyWidget(Customer, "name"))
        due_date = fields.Field("due_date", "Due date", widget=widgets.DateWidget())
        instructions = fields.Field("instructions", "Notes")

        class Meta:
            model = WorkOrder
            import_id_fields = ("number",)

        def before_save_instance(self, instance: Any, row: Any, **kwargs: Any) -> None:
            instance.created_by = instance.maker = maker

        def after_save_instance(self, instance: Any, row: Any, **kwargs: Any) -> None:
            product = Product.objects.get(code=row["Product code"])
            made = {"planned": int(row["Quantity"]), "order": instance}
            line = OrderLine.objects.create(order=instance, product=product, quantity=made["planned"], unit=product.unit)
            for place in product.route.steps.all() if product.route else ():
                step = Step.objects.create(process=place.process, sequence=place.position, stage=place.process.stage, **made)
                Task.objects.create(step=step, line=line, source_key=f"line:{line.pk}", unit=line.unit, **made)

    dataset = tablib.Dataset().load(text, format="csv")
    dataset.append_col([f"plain-{number}" for number in range(len(dataset))], header="Number")
    return timed(lambda: PlainOrders().import_data(dataset, dry_run=True, raise_errors=True)), timed(
        lambda: PlainOrders().import_data(dataset, dry_run=False, raise_errors=True)
    )


def timed(do: Callable[[], Any]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
