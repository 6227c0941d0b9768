import importlib
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.services import system_user
from apps.ops.integrity import CHECKS, run_checks
from apps.scanning.models import Scan
from apps.scanning.services.scans import record_scan
from apps.workorders import services as verbs
from apps.workorders.models import Task, TaskUserShare, WorkEvent, WorkOrder
from apps.workorders.services.rebuild import rebuild_totals
from tests.factories import IdempotencyKeyFactory, ImportRunFactory, ScanFactory, StepFactory, TaskFactory
from tests.scanning.sending import item
from tests.shop import make_shop


def sql(statement, *params):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


def event(row=None, **changes):
    """Change an event, the first one with pieces if none is said, behind the back of the ledger's triggers."""
    ledger = importlib.import_module("apps.workorders.migrations.0002_ledger")
    editor = SimpleNamespace(connection=connection, execute=lambda statement, params=None: sql(statement))
    ledger.unprotect(apps, editor)
    row = row or WorkEvent.objects.filter(good__gt=0).earliest("pk")
    WorkEvent.objects.filter(pk=row.pk).update(**changes)
    return f"event {row.pk}"


def check(*names):
    out = StringIO()
    try:
        call_command("check_integrity", *names, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


@pytest.fixture(scope="module")
def _worked_shop(django_db_setup, django_db_blocker):
    """Built once for this file; each test works inside a savepoint of its own."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield work_through(make_shop())
        transaction.set_rollback(True)


@pytest.fixture
def worked(_worked_shop, db):
    return Task.objects.select_related("order", "operator").get(pk=_worked_shop)


def work_through(shop):
    """Orders that went every way that there is, through the verbs only. The pk of a running printing task."""
    lead = shop.people["supervisor"]
    shop.draft()
    shop.submitted("carton")
    verbs.reject_order(shop.submitted(), by=shop.people["salesperson"], reason="wrong colour")
    shop.approved(dispatched=False)
    verbs.cancel_order(shop.draft(), by=shop.people["maker"], reason="no longer wanted")
    shop.finish_all(shop.approved("carton"))
    held = shop.approved()
    shop.ready_to_print(held)
    verbs.hold_order(held, by=lead, reason="new artwork")
    order = shop.approved()
    printing = shop.started(shop.ready_to_print(order), by="operator")
    verbs.split_task(shop.task(order, "PACK"), by=lead, quantities=[300, 200])
    verbs.report(printing, by=printing.operator, good=400, scrap=20, reason_code="setup")
    verbs.report(printing, by=printing.operator, good=100)
    verbs.undo_last(printing, by=printing.operator)
    first = WorkEvent.objects.filter(task=printing, verb="report").earliest("pk")
    verbs.reverse_event(first, by=lead, reason="wrong pallet")
    record_scan(item(printing, "report", quantity=380), by=printing.operator)
    verbs.share(printing, by=lead, user=shop.people["stranger"], level="work")
    verbs.share(order, by=lead, group=Group.objects.get(name="operator"))
    verbs.cancel_task(Task.objects.filter(order=order, split_from__isnull=False).first(), by=lead, reason="too many")
    partly = shop.approved()
    shop.ready_to_print(partly)
    verbs.cancel_order(partly, by=lead, reason="customer is gone")
    done = shop.finish_all(shop.approved())
    done = verbs.reopen_order(done, by=lead, reason="30 were missing")
    last = WorkEvent.objects.filter(order=done, verb="complete", task__step__process__code="PACK").latest("pk")
    verbs.reverse_event(last, by=lead, reason="30 were missing")
    verbs.reopen_order(shop.finish_all(shop.approved()), by=lead, reason="to look at it")
    return printing.pk


def test_what_the_verbs_leave_passes_every_check(worked):
    code, said = check()
    assert code == 0, said
    assert [line.split(": ")[1][:2] for line in said.splitlines()] == ["ok"] * len(CHECKS)


def break_task_totals(task):
    sql("UPDATE workorders_task SET good = good + 1 WHERE id = %s", task.pk)
    return f"T{task.pk}: good=381, ledger_good=380"


def break_lost_reports(task):
    row = event(task_id=999_999)
    return f"{row}: order_number="


def break_reversals(task):
    row = WorkEvent.objects.filter(task=task, reverses__isnull=False).earliest("pk")
    event(row, scrap=3)
    return f"event {row.pk}: takes_back={row.reverses_id}"


def break_task_operator(task):
    if connection.vendor == "postgresql":
        sql("SET CONSTRAINTS ALL IMMEDIATE")
        sql("ALTER TABLE workorders_task DROP CONSTRAINT task_operator_where_one_is_due")
        sql("UPDATE workorders_task SET operator_id = NULL WHERE id = %s", task.pk)
    else:
        sql("PRAGMA ignore_check_constraints = ON")
        sql("UPDATE workorders_task SET operator_id = NULL WHERE id = %s", task.pk)
        sql("PRAGMA ignore_check_constraints = OFF")
    return f"T{task.pk}: status=in_progress"


def break_task_status(task):
    sql("UPDATE workorders_task SET status = 'paused' WHERE id = %s", task.pk)
    return f"T{task.pk}: status=paused, last_event=in_progress"


def break_step_status(task):
    sql("UPDATE workorders_step SET status = 'waiting' WHERE id = %s", task.step_id)
    return f"step {task.step_id}: status=waiting, last_event=in_progress"


def break_order_status(task):
    sql("UPDATE workorders_workorder SET status = 'approved' WHERE id = %s", task.order_id)
    return f"{task.order.number}: status=approved, last_event=in_progress"


def break_signatures(task):
    return f"{event(request_id='')}: verb="


def break_parts_belong(task):
    other = WorkOrder.objects.exclude(pk=task.order_id).filter(status="approved").latest("pk")
    sql("UPDATE workorders_task SET order_id = %s WHERE id = %s", other.pk, task.pk)
    return f"T{task.pk}: order_id={other.pk}"


def break_step_plan(task):
    sql("UPDATE workorders_step SET planned = planned + 1 WHERE id = %s", task.step_id)
    return f"step {task.step_id}: order_number={task.order.number}, planned=1001, of_tasks=1000"


def break_step_rollup(task):
    step = StepFactory(order=task.order, sequence=999)
    return f"step {step.pk}: order_number={task.order.number}, status=waiting, tasks=0"


def break_order_rollup(task):
    draft = TaskFactory(order=task.order, step=StepFactory(order=task.order, sequence=999))
    return f"{draft.order.number}: status=in_progress"


def break_order_numbers(task):
    sql("UPDATE workorders_workorder SET number = '' WHERE id = %s", task.order_id)
    return f"order {task.order_id}: named=, times=1"


def break_decisions(task):
    sql("UPDATE dispatch_dispatchdecision SET task_version = 500 WHERE id = %s", task.decisions.latest("pk").pk)
    return f"T{task.pk}: task_version=500, decisions=1"


def break_waiting_for_dispatch(task):
    waiting = Task.objects.filter(status="pending", dispatched_at=None).earliest("pk")
    Task.objects.filter(pk=waiting.pk).update(updated_at=timezone.now() - timedelta(minutes=11))
    return f"T{waiting.pk}: order_number={waiting.order.number}"


def break_imports(task):
    run = ImportRunFactory()
    sql("UPDATE workorders_workorder SET import_run_id = %s WHERE id = %s", run.pk, task.order_id)
    return f"import {run.pk}: state=planned, file=orders.csv"


def break_scan_effects(task):
    scan = task.scans.latest("pk")
    Scan.objects.filter(pk=scan.pk).update(outcome="refused")
    return f"scan {scan.pk}: outcome=refused"


def break_scan_pieces(task):
    scan = task.scans.latest("pk")
    event(WorkEvent.objects.get(scan_id=scan.pk, verb="report"), good=379)
    return f"scan {scan.pk}: quantity=380, scrap=0, good=379"


def break_scans_left(task):
    scan = ScanFactory(task=task, received_at=timezone.now() - timedelta(minutes=6))
    return f"scan {scan.pk}: code=T1"


def break_orphan_shares(task):
    wrong = Permission.objects.get(content_type__app_label="workorders", codename="view_workorder")
    share = TaskUserShare.objects.get(content_object=task)
    TaskUserShare.objects.filter(pk=share.pk).update(permission=wrong)
    return f"workorders_taskusershare {share.pk}: shared={task.pk}"


def break_expired_shares(task):
    share = TaskUserShare.objects.get(content_object=task)
    TaskUserShare.objects.filter(pk=share.pk).update(expires_at=timezone.now() - timedelta(hours=2))
    return f"workorders_taskusershare {share.pk}: until="


def break_idempotency(task):
    key = IdempotencyKeyFactory(key="forgotten")
    type(key).objects.filter(pk=key.pk).update(created_at=timezone.now() - timedelta(hours=1))
    return "user:1 forgotten: times=1"


@pytest.mark.parametrize("name", [one.name for one in CHECKS])
def test_a_broken_row_fails_its_check_and_is_named(worked, name):
    named = globals()[f"break_{name}"](worked)

    code, said = check(name)

    lines = said.splitlines()
    assert code == 1
    assert lines[0].startswith(f"{name}: ")
    assert " wrong (" in lines[0]
    assert any(line.startswith(f"  {named}") for line in lines[1:]), said


def test_rebuild_sets_totals_right_with_history_and_event(worked):
    sql("UPDATE workorders_task SET good = 7, scrap = 9 WHERE id = %s", worked.pk)
    out = StringIO()

    call_command("check_integrity", rebuild=True, stdout=out)

    worked.refresh_from_db()
    assert (worked.good, worked.scrap) == (380, 0)
    assert out.getvalue().splitlines()[0] == f"T{worked.pk} of order {worked.order}: totals are 380 good, 0 scrap now"
    made = WorkEvent.objects.latest("pk")
    assert (made.verb, made.source, made.actor.is_system, made.data) == ("rebuild", "command", True, {"good": [7, 380], "scrap": [9, 0]})
    row = worked.history.latest()
    assert (row.good, row.source, row.history_change_reason) == (380, "command", "Totals rebuilt from the ledger.")


def test_rebuild_leaves_right_totals_alone(worked):
    events = WorkEvent.objects.count()
    call_command("check_integrity", rebuild=True, stdout=StringIO())
    assert rebuild_totals(worked, by=system_user()).version == worked.version
    assert WorkEvent.objects.count() == events


def test_the_first_twenty_rows_are_named_and_the_others_counted(db):
    TaskFactory.create_batch(23, good=5)
    (finding,) = run_checks(["task_totals"])
    assert (finding.count, len(finding.rows)) == (23, 20)
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("check_integrity", "task_totals", stdout=out)
    assert out.getvalue().splitlines()[0].startswith("task_totals: 23 wrong")
    assert out.getvalue().splitlines()[-1] == "  and 3 more"


def test_an_unknown_check_is_refused_by_name(db):
    with pytest.raises(CommandError, match="There is no check 'luck'"):
        call_command("check_integrity", "luck")
