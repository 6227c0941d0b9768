"""Plan and apply through the services, with the files that really arrive."""

import datetime as dt
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone, translation

from apps.accounts.models import User
from apps.core.errors import InvalidInput, RuleError
from apps.core.jobs import run as run_job
from apps.imports import services
from apps.imports.models import ImportRow, ImportRun, ImportState
from apps.imports.registry import KINDS, kinds_for
from apps.notices.models import Notice
from apps.workorders.models import OrderLine, WorkEvent, WorkOrder
from tests.imports.samples import errors, every_table, options, sample, workbook

pytestmark = pytest.mark.django_db
HEADER = ["外部单号", "客户", "产品编码", "数量", "交货日期"]


def plan(uploaded, by, resource="orders"):
    return services.plan_import(resource, uploaded, by=by, options=options())


def test_a_plan_changes_no_table_but_its_own(catalogue, supervisor):
    before = every_table()
    run = plan(sample("orders-october.xlsx"), supervisor)
    assert run.state == ImportState.PLANNED
    assert every_table() == before


def test_the_october_file_makes_60_orders_with_76_lines(catalogue, supervisor):
    run = plan(sample("orders-october.xlsx"), supervisor)
    assert errors(run) == []
    assert (run.rows_total, run.rows_planned) == (76, 76)
    assert services.totals(run) == {"create": 60, "lines": 76, "quantity": 391_900}
    run = services.apply_import(run, by=supervisor)
    assert run.state == ImportState.APPLIED
    assert (WorkOrder.objects.count(), OrderLine.objects.count()) == (60, 76)
    assert WorkOrder.objects.filter(import_run=run).count() == 60
    assert [entry["name"] for entry in run.plan] == list(WorkOrder.objects.order_by("pk").values_list("number", flat=True))
    notice = Notice.objects.filter(user=supervisor, kind="import_applied").first()
    assert str(notice) == f"Import {run.pk} is applied. Rows imported: 76."


def test_every_change_is_signed_with_the_import_and_its_row(catalogue, supervisor):
    run = services.apply_import(plan(sample("orders-october.xlsx"), supervisor), by=supervisor)
    order = WorkOrder.objects.get(external_number="PO-26101")
    for row in (order.history.get(), *(line.history.get() for line in order.lines.all())):
        assert (row.source, row.history_user, row.history_change_reason) == ("import", supervisor, f"import {run.pk}, row 5")
    event = WorkEvent.objects.get(order=order)
    assert (event.source, event.actor, event.import_run, event.import_row, event.verb) == ("import", supervisor, run, 5, "create")


def test_applying_twice_says_so_and_does_nothing(catalogue, supervisor):
    run = services.apply_import(plan(sample("orders-semicolon.csv"), supervisor), by=supervisor)
    stale = ImportRun(pk=run.pk, resource=run.resource, state=ImportState.PLANNED, file=run.file, sha256=run.sha256, options=run.options)
    before = every_table(but=())
    for again in (run, stale):
        for only_good in (False, True):
            with pytest.raises(RuleError, match=f"Import {run.pk} was applied already") as refusal:
                services.apply_import(again, by=supervisor, only_good=only_good)
            assert refusal.value.code == "already_applied"
    assert every_table(but=()) == before


def test_the_same_orders_again_are_the_same_and_nothing_is_written(catalogue, supervisor):
    services.apply_import(plan(sample("orders-semicolon.csv"), supervisor), by=supervisor)
    run = plan(sample("orders-semicolon.csv"), supervisor)
    assert (errors(run), services.totals(run)) == ([], {"same": 12, "lines": 12, "quantity": 55_600})
    number = WorkOrder.objects.get(external_number="PO-26128").number
    before = every_table(but=(ImportRun, ImportRow, Notice))
    run = services.apply_import(run, by=supervisor)
    assert (run.state, run.plan[0]["name"]) == (ImportState.APPLIED, number)
    assert every_table(but=(ImportRun, ImportRow, Notice)) == before
    assert services.revert_import(run, by=supervisor).state == ImportState.REVERTED
    assert WorkOrder.objects.count() == 12


def test_an_order_out_of_sight_is_told_without_its_number(catalogue, supervisor, maker):
    catalogue.draft(external_number="PO-1")
    WorkOrder.objects.update(created_by=maker)
    from apps.workorders.models import Task

    Task.objects.update(department=None)
    run = plan(workbook(HEADER, ["PO-1", "Sunrise", "LEAFLET", 10, dt.date(2026, 12, 1)]), supervisor)
    assert [message for _row, _column, message in errors(run)] == ["PO-1 of this customer was entered already."]


def test_what_would_now_do_something_else_is_a_conflict_and_not_written(catalogue, supervisor):
    rows = [["PO-1", "Sunrise", "LEAFLET", 10, dt.date(2026, 12, 1)], ["PO-2", "Sunrise", "POSTER", 10, dt.date(2026, 12, 1)]]
    run = plan(workbook(HEADER, *rows), supervisor)
    product = catalogue.products["leaflet"]
    product.name = "flyer"
    product.save()
    run = services.apply_import(run, by=supervisor)
    assert (run.state, run.rows_done) == (ImportState.PARTLY, 1)
    assert WorkOrder.objects.get().external_number == "PO-2"
    ((row, column, told),) = errors(run)
    assert (row, column) == (2, "")
    assert told.startswith("This changed after the plan was made, and was not imported. It would now be: due 2026-12-01")
    assert "flyer" in told
    services.plan_again(run, by=supervisor)
    assert "flyer" in run.plan[0]["details"][1]
    assert services.apply_import(run, by=supervisor).state == ImportState.APPLIED
    assert WorkOrder.objects.count() == 2


def test_a_row_whose_product_is_gone_is_left_out_and_says_so(catalogue, supervisor):
    rows = [["PO-1", "Sunrise", "POSTER", 10, dt.date(2026, 12, 1)], ["PO-2", "Sunrise", "LEAFLET", 10, dt.date(2026, 12, 1)]]
    run = plan(workbook(HEADER, *rows), supervisor)
    product = catalogue.products["leaflet"]
    product.is_active = False
    product.save()
    run = services.apply_import(run, by=supervisor)
    assert [order.external_number for order in WorkOrder.objects.all()] == ["PO-1"]
    assert "LEAFLET is no known product code" in errors(run)[0][2]
    with pytest.raises(RuleError) as refusal:
        services.apply_import(run, by=supervisor)
    assert refusal.value.code == "has_errors"
    with pytest.raises(RuleError) as refusal:
        services.apply_import(run, by=supervisor, only_good=True)
    assert refusal.value.code == "nothing_good"


def test_the_plan_holds_in_another_language_too(catalogue, supervisor):
    with translation.override("zh-hans"):
        run = plan(sample("orders-semicolon.csv"), supervisor)
    with translation.override("en"):
        assert services.apply_import(run, by=supervisor).state == ImportState.APPLIED


def test_a_plan_is_applied_from_its_rows_whatever_became_of_the_file(catalogue, supervisor):
    run = plan(sample("orders-semicolon.csv"), supervisor)
    run.file.storage.delete(run.file.name)
    assert services.apply_import(run, by=supervisor).state == ImportState.APPLIED
    assert WorkOrder.objects.count() == 12


def test_only_the_owner_applies(catalogue, supervisor, superuser, planner):
    run = plan(sample("orders-semicolon.csv"), supervisor)
    for other in (superuser, planner):
        with pytest.raises(PermissionDenied):
            services.apply_import(run, by=other)
    assert WorkOrder.objects.count() == 0


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("supervisor", {"catalogue", "customers", "products", "orders", "tools", "tasks"}),
        ("planner", {"catalogue", "customers", "products", "tools", "rules"}),
        ("administrator", {"people"}),
        ("superuser", {"catalogue", "customers", "products", "orders", "tools", "rules", "people", "tasks"}),
        *((name, set()) for name in ("maker", "salesperson", "operator", "auditor", "nobody")),
    ],
)
def test_who_may_import_what(everybody, name, offered):
    user = everybody[name]
    assert {kind.key for kind in kinds_for(user)} == offered
    for key in KINDS.keys() - offered:
        with pytest.raises(PermissionDenied):
            services.plan_import(key, sample("catalogue.xlsx"), by=user)
    assert ImportRun.objects.count() == 0


def test_an_unknown_kind_is_refused(shop, supervisor):
    with pytest.raises(InvalidInput, match="passwords cannot be imported"):
        services.plan_import("passwords", sample("catalogue.xlsx"), by=supervisor)


def test_a_file_with_other_columns_names_those_that_are_missing(shop, supervisor):
    with pytest.raises(InvalidInput) as refusal:
        plan(workbook(["交货日期", "备注"], ["2026-12-01", "x"]), supervisor)
    assert "Missing: Customer (客户)" in str(refusal.value)
    with pytest.raises(InvalidInput, match="has a header, but no rows"):
        plan(workbook(HEADER), supervisor)


def test_plans_that_nobody_applied_are_thrown_away_after_a_day(catalogue, supervisor):
    applied = services.apply_import(plan(sample("orders-semicolon.csv"), supervisor), by=supervisor)
    old, young = plan(sample("orders-gbk.csv"), supervisor), plan(sample("orders-gbk.csv"), supervisor)
    ImportRun.objects.exclude(pk=young.pk).update(created_at=timezone.now() - timedelta(hours=25))
    with pytest.raises(RuleError) as refusal:
        services.apply_import(old, by=supervisor)
    assert refusal.value.code == "expired"
    assert run_job("imports.purge") == 1
    assert set(ImportRun.objects.all()) == {applied, young, ImportRun.objects.get(resource="catalogue")}
    assert not old.file.storage.exists(old.file.name)
    assert applied.file.storage.exists(applied.file.name)
    ImportRun.objects.filter(pk=applied.pk).update(created_at=timezone.now() - timedelta(days=91))
    assert run_job("imports.purge") == 1
    assert not applied.file.storage.exists(applied.file.name)
    assert WorkOrder.objects.count() == 12


def test_status_and_operator_columns_are_not_read(catalogue, supervisor):
    rows = [[*HEADER, "状态", "操作员", "id"], ["PO-1", "Sunrise", "LEAFLET", 10, dt.date(2026, 12, 1), "completed", "operator", 1]]
    run = services.apply_import(plan(workbook(*rows), supervisor), by=supervisor)
    assert WorkOrder.objects.get().status == "draft"
    assert {"level": "note", "message": "Columns that are not read: 状态, 操作员, id."}.items() <= run.problems[0].items()


def test_a_name_with_a_path_and_ten_thousand_characters_in_a_cell_are_told(catalogue, supervisor):
    rows = [HEADER, ["PO-1", "Sunrise", "LEAFLET", 10, dt.date(2026, 12, 1)], ["x" * 10_000, "Sunrise", "LEAFLET", 10, None]]
    run = plan(workbook(*rows, name="..\\..\\orders.xlsx"), supervisor)
    assert run.file_name == "orders.xlsx"
    assert errors(run) == [(3, "External no.", "The text has 10000 characters; at most 60 fit. Shorten it.")]


def test_a_planning_that_breaks_leaves_no_run_and_no_file(shop, supervisor):
    uploaded = SimpleUploadedFile("orders.csv", b"External no.,Customer,Product code,Quantity\nA,Sunrise,LEAFLET,1\n")
    with pytest.raises(InvalidInput, match="Choose who completes these orders"):
        services.plan_import("orders", uploaded, by=supervisor, options={"maker": 0})
    assert ImportRun.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_two_presses_at_the_same_moment_import_once(catalogue, supervisor):
    run = plan(sample("orders-semicolon.csv"), supervisor)
    together, outcomes = Barrier(2), []

    def press():
        try:
            mine = ImportRun.objects.get(pk=run.pk)
            together.wait(timeout=20)
            outcomes.append(services.apply_import(mine, by=User.objects.get(pk=supervisor.pk)).state)
        except RuleError as refusal:
            outcomes.append(refusal.code)
        finally:
            connection.close()

    threads = [Thread(target=press) for _number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    # Who comes second is told that it is being done, or done.
    assert sorted(outcomes) in (["already_applied", "applied"], ["applied", "working"])
    assert WorkOrder.objects.count() == 12


@pytest.mark.parametrize("resource", ["catalogue", "tasks", "rules"])
@pytest.mark.parametrize("name", ["orders-october.xlsx", "orders-messy.xlsx", "orders-gbk.csv", "orders-semicolon.csv"])
def test_a_file_of_orders_is_taken_for_nothing_else(catalogue, superuser, name, resource):
    with pytest.raises(InvalidInput, match="This looks like Orders with their lines") as refusal:
        plan(sample(name), superuser, resource)
    assert refusal.value.code == "file_kind"
    assert not ImportRun.objects.filter(file_name=name).exists()
