"""Upload, plan, correct, apply, stop, take back: what each does to every table, and what it refuses."""

import datetime as dt
import io
from collections import Counter
from datetime import timedelta

import openpyxl
import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone, translation

from apps.accounts.models import Membership
from apps.catalog.models import Customer, Product, Route
from apps.core.errors import InvalidInput, RuleError
from apps.core.jobs import run as run_job
from apps.imports import services, working
from apps.imports.badrows import as_workbook, read_back
from apps.imports.models import ImportRow, ImportRun, ImportState, RowAction
from apps.imports.registry import KINDS
from apps.notices.models import Notice
from apps.workorders import services as do
from apps.workorders.models import NumberSeries, OrderLine, Task, WorkEvent, WorkOrder
from apps.workorders.resources.orders import OrderResource
from tests import factories
from tests.imports.samples import errors, every_table, options, sample, workbook

pytestmark = pytest.mark.django_db
HEADER = ["外部单号", "客户", "产品编码", "数量", "交货日期"]
DUE = dt.date(2026, 12, 1)


def plan(uploaded, by, resource="orders", **changes):
    return services.plan_import(resource, uploaded, by=by, options=options() | changes)


def order_rows(*rows):
    return workbook(HEADER, *([*row, DUE] for row in rows))


def domain():
    """Every table, field by field, apart from history, events, notices and the queue.

    Three counters only ever grow, so that a paper with an order's number, an open form or a link never means something else:
    the numbers given out, the versions of rows, and keys.
    """
    kept = {}
    for label, _rows in every_table().items():
        model = next(one for one in _models() if one._meta.label == label)
        names = [field.attname for field in model._meta.concrete_fields if field.name not in {"version", "updated_at"}]
        kept[label] = sorted(map(str, model._base_manager.values_list(*names)))
    return kept


def _models():
    from django.apps import apps

    aside = {WorkEvent, Notice, ImportRun, ImportRow, NumberSeries}
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model not in aside and "istorical" not in model.__name__ and model._meta.app_label != "django_q"
    ]


@pytest.fixture(autouse=True)
def _look_at_domain_tables(monkeypatch):
    labels = {model._meta.label for model in _models()}
    whole = every_table

    def chosen(**kwargs):
        return {label: rows for label, rows in whole(**kwargs).items() if label in labels}

    monkeypatch.setattr("tests.imports.test_centre.every_table", chosen)


# -- the rows of a run


def test_every_row_is_kept_with_what_it_says_and_how_it_was_understood(catalogue, supervisor):
    run = plan(sample("orders-messy.xlsx"), supervisor)
    row = run.rows.get(number=22)
    assert (row.cells["quantity"], row.understood["quantity"], row.action) == ("1.5万", "15000", "create")
    row = run.rows.get(number=8)
    assert (row.cells["product"], row.action) == ("CARTONN", "error")
    (remark,) = [one for one in row.remarks if one["level"] == "error"]
    assert (remark["name"], remark["nearest"]) == ("product", "CARTON")
    assert run.rows.filter(action=RowAction.NONE).count() == 0


def test_the_good_rows_of_the_messy_file_go_in_and_the_others_stay_to_be_corrected(catalogue, supervisor):
    run = plan(sample("orders-messy.xlsx"), supervisor)
    told = dict(run.rows.values_list("number", "action"))
    assert {number for number, action in told.items() if action == "error"} == {8, 9, 12, 14, 15, 16, 17, 18, 19, 20, 25}
    assert {number for number, action in told.items() if action == "create"} == {10, 11, 22, 23, 24, 26, 27, 28, 29} & told.keys() - {
        number for number, action in told.items() if action == "held"
    }
    run = services.apply_import(run, by=supervisor, only_good=True)
    assert run.state == ImportState.PARTLY
    assert sorted(WorkOrder.objects.values_list("external_number", flat=True)) == [
        "PO-26103", "PO-26104", "PO-26112", "PO-26113", "PO-26115", "PO-26116",
    ]  # fmt: skip
    assert Notice.objects.filter(user=supervisor, kind="import_partly").count() == 1
    held = run.rows.filter(action="held")
    assert held.exists()
    assert not set(held.values_list("unit", flat=True)) & set(run.rows.filter(state="done").values_list("unit", flat=True))


def test_the_same_file_again_is_recognised(catalogue, supervisor):
    first = services.apply_import(plan(sample("orders-semicolon.csv"), supervisor), by=supervisor)
    again = plan(sample("orders-semicolon.csv"), supervisor)
    assert again.problems[0]["message"].startswith(f"You uploaded this very file before: import {first.pk} of ")
    assert not any("very file" in one["message"] for one in plan(sample("orders-gbk.csv"), supervisor).problems)


# -- apply


def test_a_change_by_somebody_else_is_a_conflict_and_stays(shop, supervisor):
    rows = [["Code", "Name", "Phone"], ["SUN", "Sunrise", "2"], ["MOON", "Moonlight", "3"]]
    run = plan(workbook(*rows), supervisor, "customers")
    mine = Customer.objects.get(code="SUN")
    mine.phone = "77"
    mine.save()
    run = services.apply_import(run, by=supervisor)
    assert run.state == ImportState.PARTLY
    assert (Customer.objects.get(code="SUN").phone, Customer.objects.get(code="MOON").phone) == ("77", "3")
    ((row, _column, told),) = errors(run)
    assert (row, "phone: 77 → 2" in told) == (2, True)
    assert run.rows.get(number=2).action == "conflict"


def test_a_change_elsewhere_in_the_row_is_a_conflict_too(shop, supervisor):
    run = plan(workbook(["Code", "Name", "Phone"], ["SUN", "Sunrise", "2"]), supervisor, "customers")
    mine = Customer.objects.get(code="SUN")
    mine.address = "Moved"
    mine.save()
    services.apply_import(run, by=supervisor)
    assert Customer.objects.get(code="SUN").phone == ""


def test_a_code_that_was_added_meanwhile_is_a_conflict(shop, supervisor):
    run = plan(workbook(["Code", "Name"], ["NEW", "Newcomer"]), supervisor, "customers")
    Customer.objects.create(code="NEW", name="Somebody else's")
    run = services.apply_import(run, by=supervisor)
    assert (run.state, Customer.objects.get(code="NEW").name) == (ImportState.FAULTY, "Somebody else's")


def test_a_job_goes_on_where_the_time_was_up_and_applies_each_order_once(catalogue, supervisor, monkeypatch):
    monkeypatch.setattr(working, "CHUNK_UNITS", 2)
    run = plan(sample("orders-semicolon.csv"), supervisor)
    run = services.apply_import(run, by=supervisor, seconds=0)
    assert (run.state, run.is_working) == (ImportState.APPLYING, True)
    done = WorkOrder.objects.count()
    assert 0 < done < 12
    assert working.left_behind() == [run.pk]
    while working.left_behind():
        run_job("imports.work", run.pk)
    run.refresh_from_db()
    assert (run.state, WorkOrder.objects.count(), OrderLine.objects.count()) == (ImportState.APPLIED, 12, 12)
    assert Notice.objects.filter(kind="import_applied", user=supervisor).count() == 2  # the catalogue's and this one


def test_a_run_that_was_killed_holds_no_half_order_and_is_found_by_the_sweep(catalogue, supervisor, monkeypatch):
    monkeypatch.setattr(working, "CHUNK_UNITS", 2)
    run = plan(sample("orders-gbk.csv"), supervisor)

    class Killed(BaseException):
        pass

    steps = iter(range(100))

    def die(_run):
        if next(steps) == 3:
            raise Killed

    with pytest.raises(Killed):
        services.apply_import(run, by=supervisor, told=die)
    whole = Counter(run.rows.values_list("cells__external_number", flat=True))
    written = {order.external_number: order.lines.count() for order in WorkOrder.objects.all()}
    assert 0 < len(written) < 11
    assert all(whole[number] == count for number, count in written.items())
    # Whoever was killed with -9 still holds the run for a while.
    ImportRun.objects.filter(pk=run.pk).update(lease="gone", lease_until=timezone.now() + timedelta(seconds=50))
    assert run_job("imports.sweep") == 0
    run_job("imports.work", run.pk)
    assert WorkOrder.objects.count() == len(written)
    ImportRun.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert run_job("imports.sweep") == 1
    run_job("imports.work", run.pk)
    run.refresh_from_db()
    assert (run.state, WorkOrder.objects.count(), OrderLine.objects.count()) == (ImportState.APPLIED, 11, 16)


def test_stopping_keeps_what_is_in_and_can_be_gone_on_with(catalogue, supervisor, monkeypatch):
    monkeypatch.setattr(working, "CHUNK_UNITS", 2)
    run = plan(sample("orders-semicolon.csv"), supervisor)
    run = services.apply_import(run, by=supervisor, seconds=0)
    with pytest.raises(RuleError) as refusal:
        services.apply_import(run, by=supervisor)
    assert refusal.value.code == "working"
    run = services.stop(run, by=supervisor)
    assert (run.state, run.stopped_because) == (ImportState.STOPPED, "Supervisor stopped it.")
    run_job("imports.work", run.pk)
    done = WorkOrder.objects.count()
    assert 0 < done < 12
    with pytest.raises(RuleError, match="Nothing is being done"):
        services.stop(run, by=supervisor)
    run = services.apply_import(run, by=supervisor)
    assert (run.state, WorkOrder.objects.count()) == (ImportState.APPLIED, 12)


def test_who_loses_the_right_in_the_middle_stops(catalogue, supervisor, monkeypatch):
    monkeypatch.setattr(working, "CHUNK_UNITS", 2)
    run = services.apply_import(plan(sample("orders-semicolon.csv"), supervisor), by=supervisor, seconds=0)
    supervisor.groups.clear()
    done = WorkOrder.objects.count()
    run_job("imports.work", run.pk)
    run.refresh_from_db()
    assert (run.state, WorkOrder.objects.count()) == (ImportState.STOPPED, done)
    assert run.stopped_because == "You may not import this any more. Ask a supervisor or a planner."


# -- correct


def test_a_corrected_cell_is_planned_again_with_all_of_its_order_and_nothing_else(catalogue, supervisor):
    run = plan(order_rows(["A", "Sunrise", "LEAFLETT", 10], ["A", "Sunrise", "POSTER", 5], ["B", "Sunrise", "POSTER", 7]), supervisor)
    assert list(run.rows.values_list("action", flat=True)) == ["error", "held", "create"]
    untouched = ImportRow.objects.filter(run=run, number=4).values().get()
    services.correct_rows(run, {run.rows.get(number=2).pk: {"product": "LEAFLET"}}, by=supervisor)
    assert (run.state, errors(run)) == (ImportState.PLANNED, [])
    assert list(run.rows.values_list("action", "is_corrected")) == [("create", True), ("create", False), ("create", False)]
    assert ImportRow.objects.filter(run=run, number=4).values().get() == untouched
    services.apply_import(run, by=supervisor)
    assert WorkOrder.objects.get(external_number="A").lines.count() == 2


def test_a_corrected_number_moves_a_row_to_another_order(catalogue, supervisor):
    run = plan(order_rows(["A", "Sunrise", "LEAFLET", 10], ["B", "Sunrise", "POSTER", 5]), supervisor)
    services.correct_rows(run, {run.rows.get(number=3).pk: {"external_number": "A"}}, by=supervisor)
    assert [(entry["row"], entry["counts"]) for entry in run.plan] == [(2, {"lines": 2, "quantity": 15})]
    services.correct_rows(run, {run.rows.get(number=3).pk: {"external_number": "C"}}, by=supervisor)
    assert [(entry["row"], entry["counts"]["lines"]) for entry in run.plan] == [(2, 1), (3, 1)]


def test_the_rest_of_a_run_goes_in_after_its_correction(catalogue, supervisor):
    run = plan(order_rows(["A", "Sunrise", "LEAFLETT", 10], ["B", "Sunrise", "POSTER", 5]), supervisor)
    run = services.apply_import(run, by=supervisor, only_good=True)
    services.correct_rows(run, {run.rows.get(number=2).pk: {"product": "LEAFLET"}}, by=supervisor)
    assert run.state == ImportState.PARTLY
    run = services.apply_import(run, by=supervisor)
    assert (run.state, run.rows_done, WorkOrder.objects.filter(import_run=run).count()) == (ImportState.APPLIED, 2, 2)


@pytest.mark.parametrize(
    ("cells", "told"),
    [({"status": "completed"}, "There is no column status."), ({"#row": "1"}, "There is no column #row."),
     ({"product": "x" * 5001}, "A cell holds at most 5000 characters. Shorten it.")],
)  # fmt: skip
def test_no_other_column_is_written_by_a_correction(catalogue, supervisor, cells, told):
    run = plan(order_rows(["A", "Sunrise", "LEAFLETT", 10]), supervisor)
    with pytest.raises(InvalidInput, match=told):
        services.correct_rows(run, {run.rows.get().pk: cells}, by=supervisor)
    assert run.rows.get().cells["product"] == "LEAFLETT"


def test_rows_of_another_run_and_imported_rows_are_not_corrected(catalogue, supervisor):
    run = plan(order_rows(["A", "Sunrise", "LEAFLETT", 10], ["B", "Sunrise", "POSTER", 5]), supervisor)
    other = plan(order_rows(["C", "Sunrise", "LEAFLETT", 10]), supervisor)
    run = services.apply_import(run, by=supervisor, only_good=True)
    for pk in (other.rows.get().pk, run.rows.get(number=3).pk):
        with pytest.raises(RuleError) as refusal:
            services.correct_rows(run, {pk: {"product": "LEAFLET"}}, by=supervisor)
        assert refusal.value.code == "foreign_row"


def test_the_wrong_rows_go_out_with_reasons_and_come_back_corrected(catalogue, supervisor):
    run = plan(sample("orders-messy.xlsx"), supervisor)
    book = openpyxl.load_workbook(as_workbook(run, KINDS["orders"]))
    sheet = book.active
    header = [cell.value for cell in sheet[1]]
    assert (header[0], header[-1]) == (f"Row of import {run.pk}", "Why it is not imported")
    rows = {row[0].value: row for row in sheet.iter_rows(min_row=2)}
    assert rows.keys() == set(run.rows.bad().values_list("number", flat=True))
    assert rows[8][-1].value == "Product code: CARTONN is no known product code: did you mean CARTON?"
    assert not [cell for row in sheet.iter_rows() for cell in row if cell.data_type == "f"]
    rows[8][header.index("Product code")].value = "CARTON"
    rows[9][header.index("Quantity")].value = 200
    stream = io.BytesIO()
    book.save(stream)
    found = read_back(run, KINDS["orders"], SimpleUploadedFile("rows.xlsx", stream.getvalue()))
    numbers = dict(run.rows.values_list("pk", "number"))
    assert {numbers[pk]: cells for pk, cells in found.items()} == {8: {"product": "CARTON"}, 9: {"quantity": 200}}
    services.correct_rows(run, found, by=supervisor)
    assert {8, 9}.isdisjoint(row for row, _column, _told in errors(run))


def test_rows_that_come_back_with_a_foreign_number_or_without_any_are_refused(catalogue, supervisor):
    run = plan(order_rows(["A", "Sunrise", "LEAFLETT", 10]), supervisor)
    kind = KINDS["orders"]
    with pytest.raises(InvalidInput, match="Row 77 of the file is no row of this import"):
        read_back(run, kind, workbook([f"Row of import {run.pk}", "Product code"], [77, "LEAFLET"]))
    with pytest.raises(InvalidInput, match="Row x of the file"):
        read_back(run, kind, workbook([f"导入 {run.pk} 的行", "产品编码"], ["x", "LEAFLET"]))
    with pytest.raises(InvalidInput, match="This file has no rows of this import"):
        read_back(run, kind, workbook(["Product code"], ["LEAFLET"]))
    with pytest.raises(InvalidInput, match="Nothing was changed in this file"):
        read_back(run, kind, workbook([f"Row of import {run.pk}", "Product code"], [2, "LEAFLETT"]))


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_rows_of_one_import_are_not_taken_for_those_of_another(catalogue, supervisor, language):
    """Row 2 is a row of both."""
    theirs, ours = (plan(order_rows([name, "Sunrise", "LEAFLETT", 10]), supervisor) for name in ("A", "B"))
    kind = KINDS["orders"]
    with translation.override(language):
        book = as_workbook(theirs, kind).read()
    with pytest.raises(InvalidInput, match=f"These are the rows of import {theirs.pk}. Upload the file there."):
        read_back(ours, kind, SimpleUploadedFile("rows.xlsx", book))


def test_a_row_is_left_out_by_emptying_its_cells_and_is_taken_in_again_as_it_stood(catalogue, supervisor):
    """The two rows of one product keep the whole order out, until one of them goes."""
    run = plan(order_rows(["A", "Sunrise", "LEAFLET", 10], ["A", "Sunrise", "LEAFLET", 20], ["A", "Sunrise", "CARTON", 5]), supervisor)
    assert errors(run) == [
        (3, "Product code", "LEAFLET stands in row 2 of the same order already. Leave one of the two out, or add the quantities.")
    ]
    book = openpyxl.load_workbook(as_workbook(run, KINDS["orders"]))
    for cell in list(book.active[3])[1:-1]:
        cell.value = None
    stream = io.BytesIO()
    book.save(stream)
    found = read_back(run, KINDS["orders"], SimpleUploadedFile("rows.xlsx", stream.getvalue()))
    run = services.correct_rows(run, found, by=supervisor)
    assert (run.state, errors(run), run.rows.left_out().get().number) == (ImportState.PLANNED, [], 3)
    run = services.take_in_left_out(run, by=supervisor)
    assert (run.state, len(errors(run))) == (ImportState.FAULTY, 1)
    run = services.correct_rows(run, {run.rows.get(number=2).pk: dict.fromkeys(OrderResource.columns(), "")}, by=supervisor)
    assert run.state == ImportState.PLANNED  # the first row was the order's lead
    run = services.apply_import(run, by=supervisor)
    order = WorkOrder.objects.get(external_number="A")
    assert (run.state, sorted(order.lines.values_list("quantity", flat=True))) == (ImportState.APPLIED, [5, 20])
    run = services.revert_import(run, by=supervisor)
    assert (run.state, WorkOrder.objects.filter(external_number="A").exists()) == (ImportState.REVERTED, False)


def test_what_is_left_out_of_a_run_that_is_partly_applied_ends_it(catalogue, supervisor):
    run = services.apply_import(
        plan(order_rows(["A", "Sunrise", "LEAFLET", 10], ["B", "Sunrise", "LEAFLETT", 5]), supervisor), by=supervisor, only_good=True
    )
    assert run.state == ImportState.PARTLY
    run = services.correct_rows(run, {run.rows.open().get().pk: dict.fromkeys(OrderResource.columns(), "")}, by=supervisor)
    assert (run.state, run.rows_done) == (ImportState.APPLIED, 1)


def test_not_all_rows_can_be_left_out(catalogue, supervisor):
    run = plan(order_rows(["A", "Sunrise", "LEAFLETT", 10]), supervisor)
    with pytest.raises(RuleError, match="All rows of this import would be left out"):
        services.correct_rows(run, {run.rows.get().pk: dict.fromkeys(OrderResource.columns(), "")}, by=supervisor)
    assert run.rows.open().count() == 1
    with pytest.raises(RuleError, match="No row of import"):
        services.take_in_left_out(run, by=supervisor)


def test_both_sheets_of_a_catalogue_come_back(reference, supervisor):
    book = openpyxl.Workbook()
    book.active.title = "客户"
    for row in (["编码", "名称", "业务员"], ["N1", "New", "sales_hh"]):
        book.active.append(row)
    sheet = book.create_sheet("产品")
    for row in (["编码", "名称", "工艺路线"], ["P1", "Product", "CTPP > PRT"]):
        sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    run = plan(SimpleUploadedFile("c.xlsx", stream.getvalue()), supervisor, "catalogue")
    assert len(errors(run)) == 2
    out = openpyxl.load_workbook(as_workbook(run, KINDS["catalogue"]))
    assert out.sheetnames == ["客户", "产品"]
    out["客户"]["D2"] = "sales_h"
    out["产品"]["D2"] = "CTP > PRT"
    stream = io.BytesIO()
    out.save(stream)
    found = read_back(run, KINDS["catalogue"], SimpleUploadedFile("rows.xlsx", stream.getvalue()))
    services.correct_rows(run, found, by=supervisor)
    assert (errors(run), run.state) == ([], ImportState.PLANNED)


# -- take back


@pytest.mark.parametrize("name", ["orders-october.xlsx", "orders-gbk.csv", "orders-semicolon.csv"])
def test_every_table_is_as_before_after_orders_are_taken_back(catalogue, supervisor, name):
    before = domain()
    run = services.apply_import(plan(sample(name), supervisor), by=supervisor)
    assert domain() != before
    run = services.revert_import(run, by=supervisor)
    assert (run.state, run.rows_done) == (ImportState.REVERTED, 0)
    assert domain() == before
    assert (
        WorkEvent.objects.filter(import_run=run, verb="delete").count() == WorkEvent.objects.filter(import_run=run, verb="create").count()
    )
    assert NumberSeries.objects.get().last > 0
    assert Notice.objects.filter(kind="import_reverted", user=supervisor).count() == 1


def test_every_table_is_as_before_after_a_catalogue_is_taken_back(reference, supervisor):
    Customer.objects.create(code="C001", name="Old name", phone="1", contact="x")
    route = Route.objects.get(code="route-poster")
    Product.objects.filter(code="POSTER").update(route=route, specification="old")
    before = domain()
    run = services.apply_import(plan(sample("catalogue.xlsx"), supervisor, "catalogue"), by=supervisor)
    assert Customer.objects.get(code="C001").name == "华彩包装有限公司"
    assert domain() != before
    run = services.revert_import(run, by=supervisor)
    assert [row.kept_because for row in run.rows.exclude(kept_because="")] == []
    assert run.state == ImportState.REVERTED
    assert domain() == before
    history = Customer.objects.get(code="C001").history.first()
    assert (history.source, history.history_change_reason) == ("import", f"import {run.pk}, row 2")


def test_what_was_worked_on_or_is_in_use_stays_and_says_why(catalogue, supervisor, maker):
    run = services.apply_import(
        plan(order_rows(*([f"PO-{n}", "Sunrise", "POSTER", 10] for n in range(5))), supervisor, maker=maker.pk), by=supervisor
    )
    orders = {order.external_number: order for order in WorkOrder.objects.all()}
    changed = orders["PO-1"]
    changed.instructions = "mine"
    do.revise_order(changed, by=maker)
    do.copy_order(orders["PO-2"], by=supervisor)
    factories.PrintoutFactory(order=orders["PO-3"], printed_by=supervisor)
    do.delete_order(orders["PO-4"], by=supervisor)
    run = services.revert_import(run, by=supervisor)
    assert run.state == ImportState.APPLIED
    why = {row.number: row.kept_because for row in run.rows.exclude(kept_because="")}
    assert why.keys() == {3, 4, 5, 6}
    assert why[3].startswith(f"Maker worked on order {changed.number} after the import, on ")
    copy = WorkOrder.objects.exclude(pk=orders["PO-2"].pk).get(copied_from=orders["PO-2"])
    assert why[4] == f"It is in use: work order {copy.number}."
    assert why[5].startswith("It is in use: printout")
    assert why[6] == f"Order {orders['PO-4'].number} is not there any more."
    assert not WorkOrder.objects.filter(external_number="PO-0").exists()
    assert set(WorkOrder.objects.filter(import_run=run).values_list("external_number", flat=True)) == {"PO-1", "PO-2", "PO-3"}
    assert Notice.objects.get(kind="import_kept").params["kept"] == 4


def test_a_catalogue_that_orders_use_stays(catalogue, supervisor):
    orders = services.apply_import(plan(sample("orders-semicolon.csv"), supervisor), by=supervisor)
    run = ImportRun.objects.get(resource="catalogue")
    run = services.revert_import(run, by=supervisor)
    kept = {row.label for row in run.rows.exclude(kept_because="")}
    made = set(run.rows.filter(action="create").values_list("label", flat=True))
    used = {f"{line.product.code} · {line.product.name}" for line in OrderLine.objects.select_related("product")}
    assert used & made <= kept <= made
    assert all("It is in use: " in row.kept_because for row in run.rows.exclude(kept_because=""))
    services.revert_import(orders, by=supervisor)
    run = services.revert_import(run, by=supervisor)
    assert run.state == ImportState.REVERTED
    assert not Product.objects.filter(code="WINBOX").exists()


def test_a_customer_that_was_changed_since_keeps_the_newer_values(shop, supervisor):
    run = plan(workbook(["Code", "Name", "Phone"], ["SUN", "Sunrise", "2"], ["NEW", "New", "1"]), supervisor, "customers")
    run = services.apply_import(run, by=supervisor)
    mine = Customer.objects.get(code="SUN")
    mine.phone = "newer"
    mine.save()
    run = services.revert_import(run, by=supervisor)
    assert [row.kept_because for row in run.rows.exclude(kept_because="")] == ["SUN · Sunrise was changed after the import."]
    assert Customer.objects.get(code="SUN").phone == "newer"
    assert not Customer.objects.filter(code="NEW").exists()


def test_what_was_the_same_is_left_alone(shop, supervisor):
    run = services.apply_import(plan(workbook(["Code", "Name"], ["SUN", "Sunrise"]), supervisor, "customers"), by=supervisor)
    before = every_table()
    assert services.revert_import(run, by=supervisor).state == ImportState.REVERTED
    assert every_table() == before


def test_nothing_is_taken_back_twice_or_before_it_was_applied(catalogue, supervisor):
    run = plan(sample("orders-semicolon.csv"), supervisor)
    for _time in range(2):
        with pytest.raises(RuleError) as refusal:
            services.revert_import(run, by=supervisor)
        assert refusal.value.code == "nothing_done"
        if run.state == ImportState.PLANNED:
            run = services.revert_import(services.apply_import(run, by=supervisor), by=supervisor)
    for verb in (services.apply_import, services.plan_again):
        with pytest.raises(RuleError) as refusal:
            verb(run, by=supervisor)
        assert refusal.value.code == "reverted"


def test_a_stopped_taking_back_goes_on(catalogue, supervisor, monkeypatch):
    monkeypatch.setattr(working, "CHUNK_UNITS", 2)
    before = domain()
    run = services.apply_import(plan(sample("orders-semicolon.csv"), supervisor), by=supervisor)
    run = services.revert_import(run, by=supervisor, seconds=0)
    run = services.stop(run, by=supervisor)
    left = WorkOrder.objects.count()
    assert 0 < left < 12
    assert run.rows_done > 0
    assert services.revert_import(run, by=supervisor).state == ImportState.REVERTED
    assert domain() == before


# -- whose runs


def test_a_supervisor_sees_the_runs_of_his_departments_people_but_does_nothing_with_them(catalogue, supervisor, prepress_lead, planner):
    run = plan(sample("orders-semicolon.csv"), supervisor)
    seen = ImportRun.objects.filter(pk=run.pk)
    assert not seen.visible_to(prepress_lead).exists()
    Membership.objects.create(user=supervisor, department=catalogue.departments["design"])
    assert seen.visible_to(type(prepress_lead).objects.get(pk=prepress_lead.pk)).exists()
    for verb in (services.apply_import, services.revert_import, services.stop, services.plan_again):
        for other in (prepress_lead, planner):
            with pytest.raises(PermissionDenied):
                verb(run, by=other)
    assert WorkOrder.objects.count() == 0
    assert Task.objects.count() == 0
