"""Order files: what each row becomes, or what it is told."""

import datetime as dt

import pytest

from apps.imports.models import ImportState
from apps.imports.services import apply_import, plan_import, totals
from apps.workorders.models import WorkOrder
from apps.workorders.states import Priority
from tests.imports.samples import (
    MESSY_ERRORS,
    MESSY_NOTES,
    MESSY_ORDERS,
    MESSY_READ,
    errors,
    make_reference_people_and_processes,
    options,
    sample,
    workbook,
)

pytestmark = pytest.mark.django_db
HEADER = ["External no.", "Customer", "Product code", "Quantity", "Due date", "Priority", "Printing", "Colours", "Notes"]


@pytest.fixture
def catalogue(shop, supervisor):
    make_reference_people_and_processes()
    apply_import(plan_import("catalogue", sample("catalogue.xlsx"), by=supervisor), by=supervisor)
    return shop


def plan(uploaded, by, **changes):
    return plan_import("orders", uploaded, by=by, options=options() | changes)


def row(external="PO-1", product="LEAFLET", quantity=100, due=dt.date(2026, 12, 1), priority=None, printing=None, colours=None, notes=None):
    return [external, "Sunrise", product, quantity, due, priority, printing, colours, notes]


def remarks(run, level):
    return [(one["row"], one["column"], one["message"]) for one in run.problems if one["level"] == level]


def test_every_row_of_the_messy_file_comes_out_as_expected(catalogue, supervisor):
    run = plan(sample("orders-messy.xlsx"), supervisor)
    assert run.state == ImportState.FAULTY
    assert errors(run) == MESSY_ERRORS
    assert remarks(run, "read") == MESSY_READ
    assert remarks(run, "note") == MESSY_NOTES
    assert [(entry["row"], entry["label"]) for entry in run.plan] == MESSY_ORDERS


@pytest.mark.parametrize(
    ("name", "orders", "lines", "quantity"), [("orders-gbk.csv", 11, 16, 99_800), ("orders-semicolon.csv", 12, 12, 55_600)]
)
def test_the_text_files_go_in_cleanly(catalogue, supervisor, name, orders, lines, quantity):
    run = plan(sample(name), supervisor)
    assert errors(run) == []
    assert totals(run) == {"create": orders, "lines": lines, "quantity": quantity}
    assert apply_import(run, by=supervisor).orders.count() == orders


def test_an_order_carries_what_its_rows_say(catalogue, supervisor, maker):
    apply_import(plan(sample("orders-october.xlsx"), supervisor, maker=maker.pk), by=supervisor)
    order = WorkOrder.objects.get(external_number="PO-26100")
    assert (order.customer.name, order.maker, order.created_by, order.status) == ("海川医药", maker, supervisor, "draft")
    assert (order.order_date, order.due_date, order.priority) == (dt.date(2026, 11, 21), dt.date(2026, 11, 29), Priority.URGENT)
    assert (order.printing_type, order.process_colours, order.spot_colours) == ("front", "CMYK", "528C")
    assert order.instructions == "包装盒: 加急，先出2000"
    assert [(line.product.code, line.quantity, line.unit) for line in order.lines.all()] == [
        ("CARDS", 500, "box"),
        ("MAILER", 500, "piece"),
        ("CARTON", 500, "piece"),
    ]
    assert order.run_quantity == 500
    assert order.steps.count() > 0
    assert order.tasks.filter(status="draft").count() == order.tasks.count() > 0


def test_rows_that_disagree_are_settled_and_told(shop, supervisor):
    rows = [
        row(product="LEAFLET", priority="low", printing="front", colours="CMYK", due=dt.date(2026, 12, 9), notes="first"),
        row(product="POSTER", priority="urgent", printing="自反", colours="CK", due=dt.date(2026, 12, 1), notes="second"),
    ]
    run = plan(workbook(HEADER, *rows), supervisor)
    assert sorted(remarks(run, "warning")) == [
        (2, "Colours", "The rows of this order disagree, and the first one counts: row 2: CMYK; row 3: CK."),
        (2, "Due date", "The rows of this order disagree, and the earliest counts: row 2: 2026-12-09; row 3: 2026-12-01."),
        (2, "Printing", "The rows of this order disagree, and the first one counts: row 2: front; row 3: work and turn."),
        (2, "Priority", "The rows of this order disagree, and the most urgent counts: row 2: low; row 3: urgent."),
    ]
    order = apply_import(run, by=supervisor).orders.get()
    assert (order.priority, order.due_date, order.instructions) == (Priority.URGENT, dt.date(2026, 12, 1), "leaflet: first\nposter: second")


def test_rows_without_a_number_are_orders_of_their_own(shop, supervisor):
    run = plan(workbook(HEADER, row(external=None), row(external=None)), supervisor)
    assert totals(run) == {"create": 2, "lines": 2, "quantity": 200}


def test_the_same_number_of_two_customers_makes_two_orders(shop, supervisor):
    rows = [row(), [*row()[:1], "MOON", *row()[2:]]]
    assert totals(plan(workbook(HEADER, *rows), supervisor))["create"] == 2


def test_an_order_without_a_due_date_is_a_draft_with_a_warning(shop, supervisor):
    run = plan(workbook(HEADER, row(due=None)), supervisor)
    assert remarks(run, "warning") == [(2, "Due date", "No due date: add one before the order is submitted.")]
    assert apply_import(run, by=supervisor).orders.get().due_date is None


def test_one_bad_row_keeps_its_whole_order_out_and_every_error_is_told_at_once(shop, supervisor):
    rows = [row(product="LEAFLET"), ["PO-1", "Nobody", "POSTR", "many", "someday", "soon", "sideways", "4+0", "ok"], row(external="PO-2")]
    run = plan(workbook(HEADER, *rows), supervisor)
    assert [(number, column) for number, column, _message in errors(run)] == [
        (3, "Customer"),
        (3, "Product code"),
        (3, "Quantity"),
        (3, "Due date"),
        (3, "Priority"),
        (3, "Printing"),
        (3, "Colours"),
    ]
    assert run.state == ImportState.FAULTY
    assert WorkOrder.objects.count() == 0


def test_a_product_name_that_is_not_the_codes_is_a_warning(shop, supervisor):
    run = plan(workbook([*HEADER, "Product name"], [*row(), "poster"]), supervisor)
    assert remarks(run, "warning") == [(2, "Product name", "The code LEAFLET is leaflet: the code counts.")]


def test_text_that_looks_like_a_formula_is_kept_as_text(shop, supervisor):
    run = plan(workbook(HEADER, row(notes="@SUM(1+1)"), row(external="PO-2", notes="'=1+1")), supervisor)
    orders = apply_import(run, by=supervisor).orders.order_by("pk")
    assert [order.instructions for order in orders] == ["@SUM(1+1)", "=1+1"]


def test_a_cancelled_order_can_come_again(shop, supervisor):
    from apps.workorders.services import cancel_order

    run = apply_import(plan(workbook(HEADER, row()), supervisor), by=supervisor)
    cancel_order(run.orders.get(), by=supervisor, reason="wrong file")
    assert errors(plan(workbook(HEADER, row()), supervisor)) == []


def test_a_column_may_give_the_order_date(shop, supervisor):
    rows = [[*HEADER, "下单日期"], [*row(due=dt.date(2026, 1, 20)), "2026/1/5"]]
    order = apply_import(plan(workbook(*rows), supervisor), by=supervisor).orders.get()
    assert (order.order_date, order.due_date) == (dt.date(2026, 1, 5), dt.date(2026, 1, 20))


def test_notes_that_are_too_long_together_are_told(shop, supervisor):
    products = ["LEAFLET", "POSTER", "CARTON"]
    rows = [[*row(product=product)[:-1], "x" * 1000] for product in products]
    run = plan(workbook(HEADER, *rows), supervisor)
    assert errors(run) == []
    rows = [[*row(product="LEAFLET")[:-1], "x" * 1001]]
    assert errors(plan(workbook(HEADER, *rows), supervisor)) == [
        (2, "Notes", "The text has 1001 characters; at most 1000 fit. Shorten it.")
    ]


def test_planning_asks_the_same_few_questions_for_rows_that_are_read(shop, supervisor, django_assert_max_num_queries):
    """Customers and products are looked up once, not row by row: rows that fail cost nothing."""
    many = [row(external=f"PO-{number}", product="NOPE") for number in range(300)]
    with django_assert_max_num_queries(30 + 3 * 300 + 12 * 20):  # a savepoint for each row, and a few questions for each part of the work
        assert len(errors(plan(workbook(HEADER, *many), supervisor))) == 300
