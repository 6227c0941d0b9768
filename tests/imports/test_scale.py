"""Many rows: queries grow with the chunks, not with the rows, and one bad order takes no other with it."""

import csv
import datetime as dt
import gc
import io
import re
from itertools import groupby

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.urls import reverse

from apps.imports import admin, services, staging, working
from apps.imports.files import sheets_of
from apps.imports.matching import propose
from apps.imports.models import ImportRun, ImportState
from apps.imports.registry import KINDS
from apps.workorders import services as do
from apps.workorders.models import NumberSeries, OrderLine, Step, Task, WorkEvent, WorkOrder
from tests.imports.samples import errors, options, workbook
from tests.personas import client_of
from tests.queries import count_queries

pytestmark = pytest.mark.django_db
HEADER = ["External no.", "Customer", "Product code", "Quantity", "Due date"]
DUE = dt.date(2026, 12, 1)


@pytest.fixture(autouse=True)
def _chunks_by_count(monkeypatch):
    """How long a transaction takes on this machine is nothing that a test counts on."""
    monkeypatch.setattr(working, "CHUNK_SECONDS", 10_000)


def order_file(orders, *, name="orders.csv"):
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(HEADER)
    for number in range(orders):
        writer.writerow([f"PO-{number}", "Sunrise", "LEAFLET", 10 + number, DUE])
        if number % 4 == 0:
            writer.writerow([f"PO-{number}", "Sunrise", "POSTER", 5, DUE])
    return SimpleUploadedFile(name, stream.getvalue().encode())


def taken_in(by, orders):
    return services.take_in("orders", order_file(orders), by=by, options=options())


def statements(counted):
    """How many statements ran: one that SQLite's limit cuts into several counts once."""
    return len(list(groupby(sql[:60] for sql in counted)))


def test_one_chunk_costs_the_same_for_5_orders_and_for_50(shop, supervisor, monkeypatch):
    monkeypatch.setattr(working, "FIRST_UNITS", 60)
    shop.draft("leaflet")  # the series of numbers is there
    counts = []
    for orders in (5, 50):
        run = taken_in(supervisor, orders)
        with count_queries() as planning:
            working.work(run.pk)
        run.refresh_from_db()
        assert (run.state, errors(run)) == (ImportState.PLANNED, [])
        with count_queries() as applying:
            run = services.apply_import(run, by=supervisor)
        assert (run.state, run.orders.count()) == (ImportState.APPLIED, orders)
        counts.append((statements(planning), statements(applying)))
        WorkOrder.objects.update(external_number="")
    assert counts[0] == counts[1]
    assert counts[0][0] < 40 < counts[0][1] < 75


def test_queries_grow_with_chunks_and_not_with_rows(shop, supervisor, monkeypatch):
    monkeypatch.setattr(working, "CHUNK_UNITS", 40)
    monkeypatch.setattr(working, "FIRST_UNITS", 40)
    counts = {}
    for orders in (40, 160):
        run = taken_in(supervisor, orders)
        with count_queries() as counted:
            working.work(run.pk)
            services.apply_import(run, by=supervisor)
        counts[orders] = statements(counted)
        WorkOrder.objects.update(external_number="")
    per_chunk = 100
    assert counts[160] <= counts[40] + 3 * per_chunk


def test_orders_named_by_their_own_numbers_are_compared_at_the_cost_of_a_chunk(shop, supervisor, monkeypatch):
    monkeypatch.setattr(working, "FIRST_UNITS", 60)
    counts = []
    for orders in (5, 50):
        services.apply_import(services.plan_import("orders", order_file(orders), by=supervisor, options=options()), by=supervisor)
        WorkOrder.objects.update(external_number="")
        numbers = WorkOrder.objects.order_by("-pk").values_list("number", flat=True)[:orders]
        lines = OrderLine.objects.filter(order__number__in=list(numbers)).values_list("order__number", "product__code", "quantity")
        rows = [",".join(map(str, (number, "Sunrise", product, quantity))) for number, product, quantity in lines.order_by("pk")]
        content = "\n".join(["Order number,Customer,Product code,Quantity", *rows, ""]).encode()
        run = services.take_in("orders", SimpleUploadedFile("numbers.csv", content), by=supervisor, options=options())
        with count_queries() as planning:
            working.work(run.pk)
        run.refresh_from_db()
        assert (run.state, errors(run), services.totals(run)["same"]) == (ImportState.PLANNED, [], orders)
        counts.append(statements(planning))
    assert counts[0] == counts[1]
    assert counts[0] < 45


def test_taking_a_file_in_costs_a_few_queries_for_each_batch(shop, supervisor, monkeypatch):
    monkeypatch.setattr(staging, "BATCH", 20)
    counts = []
    for orders in (16, 80):
        with count_queries() as counted:
            run = taken_in(supervisor, orders)
        counts.append(statements(counted))
        assert run.rows.leading().count() == orders
    assert counts[1] <= counts[0] + 4 * 12


def test_many_at_once_are_the_same_as_one_by_one(shop, supervisor, monkeypatch):
    """Orders, parts, steps, tasks, tools, history and events: field by field, apart from keys, numbers and times."""

    def everything():
        aside = {
            "id", "history_id", "history_date", "created_at", "updated_at", "at", "number", "order_number", "source_key", "transaction",
            "request_id", "import_run_id", "history_change_reason",
        }  # fmt: skip
        found = {}
        for model in (WorkOrder, OrderLine, Step, Task, WorkEvent):
            for one in (model, *([model.history.model] if hasattr(model, "history") else [])):
                keys = {f.attname for f in one._meta.fields if f.is_relation and f.related_model in (WorkOrder, OrderLine, Step, Task)}
                names = [f.attname for f in one._meta.fields if f.attname not in aside | keys]
                found[one.__name__] = sorted(map(str, one.objects.values(*names)))
        found["tools"] = sorted(WorkOrder.tools.through.objects.values_list("tool", flat=True))
        found["told tools"] = sorted(WorkOrder.history.model.tools.model.objects.values_list("tool", flat=True))
        found["links"] = Step.predecessors.through.objects.count()
        found["reasons"] = sorted(one.history.first().history_change_reason.partition(",")[2] for one in OrderLine.objects.all())
        return found

    together = {}
    for units in (1, 60):
        monkeypatch.setattr(working, "CHUNK_UNITS", units)
        monkeypatch.setattr(working, "FIRST_UNITS", units)
        run = taken_in(supervisor, 8)
        working.work(run.pk)
        run = services.apply_import(run, by=supervisor)
        together[units] = everything()
        numbers = list(WorkOrder.objects.order_by("pk").values_list("number", flat=True))
        assert numbers == sorted(set(numbers))
        services.revert_import(run, by=supervisor)
        for model in (WorkOrder, OrderLine, Step, Task):
            model.history.all().delete()
        WorkOrder.history.model.tools.model.objects.all().delete()
        aside = WorkEvent.objects.values_list("pk", flat=True)
        together[f"{units} events"] = len(aside)
    ours, alone = dict(together[60]), dict(together[1])
    assert len(ours.pop("WorkEvent")) == 2 * 8 + 8  # those of the first import stay
    assert len(alone.pop("WorkEvent")) == 8
    assert ours == alone


def test_an_order_that_the_database_refuses_takes_no_other_with_it(shop, supervisor, monkeypatch):
    """The set is halved until the order at fault stands alone."""
    run = taken_in(supervisor, 20)
    working.work(run.pk)
    line = OrderLine._meta.get_field("quantity")
    whole = type(line).get_prep_value

    def refused(self, value):  # what a validator lets pass and a constraint does not
        found = whole(self, value)
        return 0 if self is line and found == 17 else found

    monkeypatch.setattr(type(line), "get_prep_value", refused)
    run = services.apply_import(run, by=supervisor)
    assert (run.state, WorkOrder.objects.count()) == (ImportState.PARTLY, 19)
    assert not WorkOrder.objects.filter(external_number="PO-7").exists()
    ((_row, _column, told),) = errors(run)
    assert "It would now be: it does not go with what is there already." in told
    numbers = WorkOrder.objects.order_by("pk").values_list("number", flat=True)
    assert len(set(numbers)) == 19
    assert run.rows.get(name=numbers[8]).label.startswith("PO-9")


def test_a_bad_order_of_many_is_its_own_refusal(shop, maker):
    drafts = [do.NewOrder(shop.unsaved(), shop.lines("leaflet")) for _number in range(3)]
    drafts[1].lines[0].quantity = 0
    drafts[2].order.steps_text = "NOPE"
    do.check_orders(drafts, by=maker)
    assert [str(one.refusal or "").partition(".")[0] for one in drafts] == [
        "", "Ensure this value is greater than or equal to 1", "There is no active process NOPE",
    ]  # fmt: skip
    assert not WorkOrder.objects.exists()
    with pytest.raises(type(drafts[1].refusal)):
        do.create_orders(drafts, by=maker)
    assert not WorkOrder.objects.exists()
    assert not NumberSeries.objects.exists()
    assert len(do.create_orders(drafts[:1], by=maker)) == 1


def test_numbers_are_taken_as_a_block_and_pass_over_those_that_are_there(shop, maker):
    first = shop.draft("leaflet")
    prefix, serial = first.number[:-1], int(first.number[-1])
    WorkOrder.objects.filter(pk=first.pk).update(number=f"{prefix}{serial + 2}")
    made = do.create_orders([do.NewOrder(shop.unsaved(), shop.lines("leaflet")) for _number in range(3)], by=maker)
    assert [order.number for order in made] == [f"{prefix}{serial + step}" for step in (1, 3, 4)]


def scattered(name):
    """Two orders, whose lines stand far apart."""
    rows = [f"PO-{number % 2},Sunrise,{product},{number + 1}" for number, product in enumerate(["LEAFLET", "LEAFLET", "POSTER", "POSTER"])]
    rows[2:2] = [f"PO-{number},Sunrise,LEAFLET,1" for number in range(2, 9)]
    return SimpleUploadedFile(name, "\n".join(["External no.,Customer,Product code,Quantity", *rows]).encode())


def planned(run):
    return [(row.number, row.unit, row.action, row.label, row.counts) for row in run.rows.order_by("number")]


def test_a_long_file_is_read_by_a_job_which_goes_on_where_one_was_killed(shop, supervisor, monkeypatch):
    whole = services.plan_import("orders", scattered("whole.csv"), by=supervisor, options=options())
    monkeypatch.setattr(services, "READ_AT_ONCE", 10)
    monkeypatch.setattr(staging, "BATCH", 4)
    run = services.plan_import("orders", scattered("long.csv"), by=supervisor, options=options(), seconds=services.AT_ONCE)
    assert (run.state, run.rows.count(), run.steps_total) == (ImportState.READING, 0, 11)
    client, page = client_of(supervisor), reverse("admin:imports_importrun_change", args=[run.pk])
    assert 'id="progress"' in client.get(page).content.decode()
    for verb in (services.apply_import, services.plan_again, services.stop):
        with pytest.raises(services.RuleError, match="being read"):
            verb(run, by=supervisor)
    kept = []
    while ImportRun.objects.get(pk=run.pk).state == ImportState.READING:
        assert working.left_behind() == [run.pk]  # as after a kill: nobody has it
        working.work(run.pk, seconds=0)
        kept.append(run.rows.count())
    assert kept == [4, 8, 11]
    working.work(run.pk)
    run.refresh_from_db()
    assert (run.state, run.rows_total) == (ImportState.PLANNED, 11)
    assert planned(run) == planned(whole)
    assert [number for number, unit, *_others in planned(run) if unit == 2] == [2, 11]


def test_columns_that_were_matched_by_hand_are_read_by_a_job_too(shop, supervisor, monkeypatch):
    monkeypatch.setattr(services, "READ_AT_ONCE", 1)
    content = "A,B,C,D\nPO-1,Sunrise,LEAFLET,100\nPO-2,Sunrise,POSTER,200\n"
    file = SimpleUploadedFile("strange.csv", content.encode())
    run = services.plan_import("orders", file, by=supervisor, options=options(), ask=services.Ask.NEEDED, seconds=services.AT_ONCE)
    assert run.state == ImportState.MATCHING
    matches = propose(KINDS["orders"], sheets_of(run))
    for one, column in zip(matches[0].columns, ["external_number", "customer", "product", "quantity"], strict=True):
        one["column"] = column
    run = services.match_columns(run, matches, by=supervisor, seconds=services.AT_ONCE)
    assert run.state == ImportState.READING
    working.work(run.pk)
    run.refresh_from_db()
    assert run.state == ImportState.PLANNED
    assert [row.label for row in run.rows.order_by("number")] == ["PO-1 · Sunrise", "PO-2 · Sunrise"]


def test_who_cannot_import_any_more_is_told_after_the_file_was_read(shop, supervisor, monkeypatch):
    monkeypatch.setattr(services, "READ_AT_ONCE", 10)
    run = services.plan_import("orders", scattered("long.csv"), by=supervisor, options=options(), seconds=services.AT_ONCE)
    supervisor.groups.clear()
    working.work(run.pk)
    run.refresh_from_db()
    assert (run.state, run.stopped_because) == (ImportState.STOPPED, "You may not import this any more. Ask a supervisor or a planner.")


def test_a_file_that_cannot_be_kept_leaves_nothing(shop, supervisor, monkeypatch):
    class Killed(BaseException):
        pass

    def die(*_args, **_kwargs):
        raise Killed

    monkeypatch.setattr(staging, "_packed", die)
    with pytest.raises(Killed):
        taken_in(supervisor, 8)
    assert not ImportRun.objects.exists()


def test_the_page_of_a_run_shows_so_many_remarks_and_counts_them_all(shop, supervisor, monkeypatch):
    monkeypatch.setattr(admin, "REMARKS", 3)
    content = "External no.,Customer,Product code,Quantity\n" + "".join(f"PO-{n},Sunrise,LEAFLET,1\n" for n in range(9))
    file = SimpleUploadedFile("orders.csv", content.encode())
    run = services.plan_import("orders", file, by=supervisor, options=options())
    page = client_of(supervisor).get(reverse("admin:imports_importrun_change", args=[run.pk])).content.decode()
    assert page.count("No due date: add one before the order is submitted.") == 3
    assert re.search(r'Warnings <span class="docket-label docket-warning">9</span>', page)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the planner of PostgreSQL reads a small table whole, and is right")
def test_nothing_is_looked_for_among_all_orders_or_all_rows(shop, supervisor):
    run = taken_in(supervisor, 30)
    with count_queries() as counted:
        working.work(run.pk)
        run.refresh_from_db()
        services.apply_import(run, by=supervisor)
    asked = {"import_row_by_unit": '"unit" IN (', "order_by_external_number": '"external_number" IN ('}
    for index, condition in asked.items():
        found = [sql for sql in counted if sql.startswith("SELECT") and condition in sql]
        assert found
        for sql in found:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
                assert index in " ".join(row[-1] for row in cursor.fetchall()), sql


def test_garbage_is_looked_for_between_the_transactions_only(shop, supervisor):
    within, between = [], []

    def watch(execute, sql, params, many, context):
        if sql.startswith('INSERT INTO "imports_importrow"'):
            within.append(gc.isenabled())
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        run = taken_in(supervisor, 3)
        assert within == [False]  # kept
        working.work(run.pk, told=lambda _run: between.append(gc.isenabled()))
        assert within == [False, False]  # planned
        run.refresh_from_db()
        services.apply_import(run, by=supervisor, told=lambda _run: between.append(gc.isenabled()))
    assert within == [False] * 3
    assert between == [True, True]
    assert gc.isenabled()


@pytest.mark.once
def test_a_job_does_not_hold_the_file_of_the_database_in_memory(shop, supervisor, monkeypatch):
    def mapped() -> int:
        with connection.cursor() as cursor:
            return cursor.execute("PRAGMA mmap_size").fetchone()[0]

    seen = []
    usual, step = mapped(), working._step
    monkeypatch.setattr(working, "_step", lambda *given: seen.append(mapped()) or step(*given))
    run = services.plan_import("customers", workbook(["Code", "Name"], ["A", "B"]), by=supervisor)
    assert (run.state, set(seen), mapped()) == (ImportState.PLANNED, {0}, usual)
    assert usual > 0
