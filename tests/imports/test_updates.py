"""Rows of orders that are there already: what they change, what they may not, and the way back."""

import datetime as dt

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.catalog.models import Route
from apps.imports import services
from apps.imports.models import ImportState
from apps.workorders import services as do
from apps.workorders.models import OrderLine, Task, WorkEvent, WorkOrder
from tests.imports.samples import errors, options, workbook
from tests.personas import client_of

pytestmark = pytest.mark.django_db
HEADER = ["External no.", "Customer", "Product code", "Quantity", "Due date", "Priority", "Notes"]
FIRST, LATER = dt.date(2026, 12, 1), dt.date(2026, 12, 9)


def plan(by, *rows):
    return services.plan_import("orders", workbook(HEADER, *rows), by=by, options=options())


def imported(by, *rows):
    return services.apply_import(plan(by, *rows), by=by)


def row(product="LEAFLET", quantity=10, due=FIRST, priority=None, notes=None, external="PO-1"):
    return [external, "Sunrise", product, quantity, due, priority, notes]


def values(order):
    """What an import may change of an order, and of what follows from it."""
    fields = (
        "priority",
        "order_date",
        "due_date",
        "instructions",
        "run_quantity",
        "printing_type",
        "process_colours",
        "spot_colours",
        "status",
    )
    lines = sorted(order.lines.values_list("product", "quantity", "unit", "specification", "notes"))
    tasks = sorted(order.tasks.values_list("step__process", "planned", "unit", "due_date", "priority", "instructions"))
    return WorkOrder.objects.values_list(*fields).get(pk=order.pk), lines, tasks


def test_a_draft_is_changed_as_the_plan_says_cell_by_cell_and_put_back(shop, supervisor):
    imported(supervisor, row(notes="as ever"), row("POSTER", 5))
    order = WorkOrder.objects.get()
    before, version = values(order), order.version
    changed = [row(quantity=11, due=LATER, priority="urgent"), row("CARTON", 7, due=None)]
    run = plan(supervisor, *changed)
    (entry,) = run.plan
    assert (entry["action"], entry["name"], run.rows.first().seen) == ("update", "", version)
    assert entry["details"] == [
        "priority: normal → urgent", "due date: 2026-12-01 → 2026-12-09", "LEAFLET quantity: 10 → 11", "CARTON: – → 7", "POSTER: 5 → –",
    ]  # fmt: skip
    assert [one["message"] for one in run.problems if one["level"] == "warning" and one["column"] == "Product code"] == [
        f"POSTER stands in order {order.number}, but in no row of it here: its line is taken out."
    ]
    assert values(order) == before

    run = services.apply_import(run, by=supervisor)
    fresh = WorkOrder.objects.get()
    assert (run.state, fresh.version, fresh.due_date, fresh.priority) == (ImportState.APPLIED, version + 1, LATER, 4)
    assert (run.plan[0]["name"], run.plan[0]["address"]) == (order.number, f"workorders.workorder:{order.pk}")
    assert fresh.instructions == "leaflet: as ever"
    assert dict(fresh.lines.values_list("product__code", "quantity")) == {"LEAFLET": 11, "CARTON": 7}
    event = WorkEvent.objects.get(verb="revise")
    assert (event.source, event.actor, event.import_run, event.import_row) == ("import", supervisor, run, 2)
    assert fresh.history.first().history_change_reason == f"import {run.pk}, row 2"
    assert services.totals(plan(supervisor, *changed)) == {"same": 1, "lines": 2, "quantity": 18}

    run = services.revert_import(run, by=supervisor)
    assert (run.state, values(order)) == (ImportState.REVERTED, before)


def test_whoever_changed_the_order_after_the_plan_is_not_overwritten(shop, supervisor):
    imported(supervisor, row())
    run = plan(supervisor, row(quantity=11), row(external="PO-2"))
    order = WorkOrder.objects.get(external_number="PO-1")
    order.instructions = "mine"
    do.revise_order(order, by=supervisor)
    run = services.apply_import(run, by=supervisor)
    assert (run.state, run.rows_done) == (ImportState.PARTLY, 1)
    assert OrderLine.objects.get(order=order).quantity == 10
    assert [(number, told.startswith("This changed after the plan was made")) for number, _column, told in errors(run)] == [(2, True)]
    run = services.plan_again(run, by=supervisor)
    assert services.apply_import(run, by=supervisor).state == ImportState.APPLIED
    order.refresh_from_db()
    assert (order.instructions, order.lines.get().quantity) == ("mine", 11)


def test_what_was_changed_since_the_import_keeps_the_newer_values(shop, supervisor):
    imported(supervisor, row())
    run = imported(supervisor, row(quantity=11))
    order = WorkOrder.objects.get()
    order.instructions = "mine"
    do.revise_order(order, by=supervisor)
    run = services.revert_import(run, by=supervisor)
    assert [one.kept_because for one in run.rows.exclude(kept_because="")] == ["PO-1 · Sunrise was changed after the import."]
    assert OrderLine.objects.get().quantity == 11


def test_an_order_in_production_and_one_of_somebody_else_stay_and_say_why(shop, supervisor, maker, salesperson, monkeypatch):
    imported(supervisor, row(), row(external="PO-2"))
    first, second = WorkOrder.objects.order_by("pk")
    WorkOrder.objects.filter(pk=first.pk).update(status="approved")
    run = plan(supervisor, row(quantity=11), row(quantity=11, external="PO-2"))
    ((number, column, told),) = errors(run)
    assert (number, column) == (2, "External no.")
    assert told == (
        f"PO-1 of this customer was entered already, as order {first.number}, with something else: LEAFLET quantity: 10 → 11. "
        f"Order {first.number} is approved, and its values stay as they are. Cancel it, and change a copy of it."
    )
    assert services.totals(run) == {"update": 1, "lines": 1, "quantity": 11}
    assert services.totals(plan(supervisor, row())) == {"same": 1, "lines": 1, "quantity": 10}
    services.apply_import(run, by=supervisor, only_good=True)
    assert (first.lines.get().quantity, second.lines.get().quantity) == (10, 11)


def test_what_the_verb_would_refuse_is_told_by_the_plan_and_nothing_is_kept(shop, supervisor):
    imported(supervisor, row())
    order = WorkOrder.objects.get()
    Task.objects.filter(pk=order.tasks.first().pk).update(good=3)
    before = values(order)
    assert [told for _row, _column, told in errors(plan(supervisor, row(quantity=11)))] == [
        f"Order {order.number} has tasks that were begun; its steps stay as they are."
    ]
    assert values(order) == before


def test_an_order_with_two_lines_of_one_product_is_left_to_its_page(shop, supervisor):
    imported(supervisor, row())
    order = WorkOrder.objects.get()
    line = order.lines.get()
    do.revise_order(order, lines=[line, OrderLine(product=line.product, quantity=3)], by=supervisor)
    ((_row, _column, told),) = errors(plan(supervisor, row(quantity=11)))
    assert told.endswith("It has several lines of one product: change it on its own page.")
    unchanged = plan(supervisor, row(), row(quantity=3))
    assert (errors(unchanged), services.totals(unchanged)) == ([], {"same": 1, "lines": 2, "quantity": 13})


cells = st.tuples(
    st.sampled_from(["LEAFLET", "POSTER", "CARTON"]), st.integers(1, 5000), st.sampled_from([None, FIRST, LATER]),
    st.sampled_from([None, "low", "urgent"]), st.sampled_from([None, "gloss", "matt"]),
)  # fmt: skip
orders = st.lists(cells, min_size=1, max_size=3, unique_by=lambda one: one[0])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=orders, new=orders)
def test_whatever_changes_is_the_same_after_it_and_as_before_after_it_is_taken_back(shop, supervisor, old, new):
    WorkOrder.objects.filter(external_number="PO-1").update(external_number="")
    imported(supervisor, *(row(*one) for one in old))
    order = WorkOrder.objects.get(external_number="PO-1")
    before = values(order)
    run = imported(supervisor, *(row(*one) for one in new))
    assert run.state == ImportState.APPLIED
    assert set(services.totals(plan(supervisor, *(row(*one) for one in new)))) == {"same", "lines", "quantity"}
    assert services.revert_import(run, by=supervisor).state == ImportState.REVERTED
    assert values(order) == before


def exported(client, language, form="xlsx"):
    client.cookies["django_language"] = language
    answer = client.get(reverse("admin:workorders_workorder_export"), {"format": form})
    return SimpleUploadedFile(f"orders.{form}", b"".join(answer.streaming_content))


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_exported_orders_come_in_again_as_all_the_same_with_and_without_an_external_number(shop, supervisor, language, form):
    for one in ("draft", "approved", "completed", "cancelled"):
        shop.order_in(one)
    shop.draft(
        "leaflet",
        "poster",
        external_number="PO-7",
        priority=4,
        printing_type="front",
        process_colours="CMK",
        spot_colours="528C",
        instructions="Fold twice.\nPack by 50.",
    )
    number = WorkOrder.objects.visible_to(supervisor).count()
    run = services.plan_import("orders", exported(client_of(supervisor), language, form), by=supervisor, options=options())
    assert (errors(run), services.totals(run)["same"]) == ([], number)
    assert "create" not in services.totals(run)


BY_NUMBER = ["Order number", *HEADER]


def plan_by_number(by, *rows):
    return services.plan_import("orders", workbook(BY_NUMBER, *rows), by=by, options=options())


def test_an_order_is_changed_by_its_own_number_and_put_back(shop, supervisor):
    order = shop.draft("leaflet", "poster")
    before = values(order)
    run = plan_by_number(
        supervisor, [order.number, *row("LEAFLET", 7, due=None, external=None)], [order.number, *row("POSTER", 1000, None, external=None)]
    )
    assert (errors(run), [one["action"] for one in run.plan]) == ([], ["update"])
    run = services.apply_import(run, by=supervisor)
    assert (run.state, WorkOrder.objects.count()) == (ImportState.APPLIED, 1)
    assert order.lines.get(product__code="LEAFLET").quantity == 7
    assert services.revert_import(run, by=supervisor).state == ImportState.REVERTED
    assert values(order) == before


def test_a_number_that_is_unknown_or_out_of_reach_is_an_error_and_no_new_order(shop, supervisor):
    route = Route.objects.create(code="R", name="of nobody")
    far = shop.draft("leaflet", customer=shop.other_customer, by="other_maker", materials=[], route=route)
    assert not WorkOrder.objects.visible_to(supervisor).filter(pk=far.pk).exists()
    rows = [[number, "", "Moonlight", "LEAFLET", 1, LATER, None, None] for number in (far.number, "W-0")]
    run = plan_by_number(supervisor, *rows, [None, *row(external=None)])
    said = [message for _row, _column, message in errors(run)]
    assert [one.replace(far.number, "N").replace("W-0", "N") for one in said] == [
        "There is no order N among those that you see. Clear the cell for a new order, or correct the number."
    ] * 2
    assert [one.action for one in run.rows.all()] == ["error", "error", "create"]


def test_a_column_of_numbers_that_says_no_more_is_not_taken_for_orders_of_ours(shop, supervisor):
    run = services.plan_import("orders", workbook(["Number", *HEADER], [1, *row()], [2, *row("POSTER")]), by=supervisor, options=options())
    assert (errors(run), services.totals(run)["create"]) == ([], 1)
    assert any("Columns that are not read: Number" in one["message"] for one in run.problems)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (["PO-2", "Sunrise"], "has another external number."),
        (["PO-1", "Moonlight"], "is not of this customer."),
        (["PO-1", "Sunrise"], "is there with something else: LEAFLET quantity: 1000 → 5. Order"),
    ],
)
def test_a_number_stands_for_one_order_and_its_rows_say_no_other(shop, supervisor, cells, told):
    order = shop.approved("leaflet", external_number="PO-1")
    run = plan_by_number(supervisor, [order.number, *cells, "LEAFLET", 5, None, None, None])
    assert told in " ".join(message for _row, _column, message in errors(run))
    assert [one.action for one in run.rows.all()] == ["error"]
