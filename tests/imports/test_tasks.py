"""The task list filled in as a table: who does each task, how many were made, nothing else, and all of it taken back."""

import io

import openpyxl
import pytest
from django.core.files import File
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse

from apps.accounts.models import User
from apps.core.errors import InvalidInput
from apps.imports import working
from apps.imports.badrows import as_workbook, read_back
from apps.imports.models import ImportRun, ImportState
from apps.imports.registry import KINDS
from apps.imports.services import apply_import, correct_rows, plan_import, revert_import, totals
from apps.workorders import services as do
from apps.workorders.models import Task, WorkEvent
from apps.workorders.states import TaskStatus
from tests.imports.samples import errors, every_table, workbook
from tests.personas import client_of
from tests.queries import count_queries

pytestmark = pytest.mark.django_db
HEADER = ["Task", "Operator", "Department", "Good", "Scrap", "Reason", "Status"]
LANGUAGES = ("en", "zh-hans")


def row(task, operator=None, department=None, good=None, scrap=None, reason=None, status=None):
    return [str(task), operator, department, good, scrap, reason, status]


def plan(by, *rows):
    return plan_import("tasks", workbook(HEADER, *rows), by=by)


def told(run):
    return " ".join(message for _row, _column, message in errors(run))


def state_of(task):
    return Task.objects.values_list("status", "operator__username", "department__code", "good", "scrap").get(pk=task.pk)


def export(client, language, form):
    client.cookies["django_language"] = language
    answer = client.get(reverse("admin:workorders_task_export"), {"format": form})
    assert answer.status_code == 200
    return SimpleUploadedFile(f"tasks.{form}", b"".join(answer.streaming_content))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_the_exported_list_comes_in_again_as_all_the_same(shop, supervisor, language, form):
    for status in (TaskStatus.PENDING, TaskStatus.ASSIGNED, TaskStatus.IN_PROGRESS, TaskStatus.PAUSED, TaskStatus.COMPLETED):
        shop.task_in(status)
    seen = Task.objects.visible_to(supervisor).count()
    User.objects.create(username="namesake", name=shop.people["operator"].name)
    file = export(client_of(supervisor), language, form)
    events = WorkEvent.objects.count()
    run = plan_import("tasks", file, by=supervisor)
    assert (errors(run), totals(run)) == ([], {"same": seen})
    assert apply_import(run, by=supervisor).state == ImportState.APPLIED
    assert WorkEvent.objects.count() == events


def test_who_does_it_and_how_many_were_made_come_in_are_signed_and_are_taken_back(shop, supervisor, running_task):
    queued = Task.objects.get(order=running_task.order, step__process__code="PACK")
    colleague = shop.worker_of(queued)
    before, tables = (state_of(queued), state_of(running_task)), every_table()
    filled = [row(queued, colleague.username), row(running_task, None, None, 300, 5, "print fault", "completed")]
    run = plan(supervisor, *filled)
    assert (errors(run), totals(run), every_table()) == ([], {"update": 2}, tables)
    assert [entry["details"] for entry in run.plan] == [
        [f"operator: – → {colleague}", "status: pending → assigned"],
        ["good: 0 → 300", "scrap: 0 → 5", "Reason: print fault"],
    ]
    assert any("Columns that are not read: Status" in one["message"] for one in run.problems)

    run = apply_import(run, by=supervisor)
    assert run.state == ImportState.APPLIED
    assert state_of(queued)[:2] == ("assigned", colleague.username)
    assert state_of(running_task) == ("in_progress", "operator", "printing", 300, 5)
    signed = WorkEvent.objects.filter(import_run=run, source="import", actor=supervisor).order_by("import_row")
    assert list(signed.values_list("verb", "import_row", "good", "scrap", "reason_code")) == [
        ("assign", 2, 0, 0, ""), ("report", 3, 300, 5, "print"),
    ]  # fmt: skip
    assert [task.history.first().history_change_reason for task in (queued, running_task)] == [
        f"import {run.pk}, row 2", f"import {run.pk}, row 3",
    ]  # fmt: skip
    assert totals(plan(supervisor, *filled)) == {"same": 2}

    assert revert_import(run, by=supervisor).state == ImportState.REVERTED, [one.kept_because for one in run.rows.all()]
    assert (state_of(queued), state_of(running_task)) == before
    undone = WorkEvent.objects.get(reverses__import_run=run)
    assert (undone.good, undone.scrap, undone.import_row, undone.reason) == (-300, -5, 3, f"import {run.pk}, row 3, is taken back")


def test_only_what_is_more_than_now_is_reported(supervisor, operator, running_task):
    do.report(running_task, by=operator, good=100, scrap=2, reason="torn")
    apply_import(plan(supervisor, row(running_task, good="1,000", scrap=2)), by=supervisor)
    assert state_of(running_task)[3:] == (1000, 2)
    assert list(WorkEvent.objects.filter(verb="report").order_by("pk").values_list("good", "scrap")) == [(100, 2), (900, 0)]


def test_a_task_in_work_is_counted_for_who_had_it_and_handed_over_paused(shop, supervisor, running_task):
    run = apply_import(plan(supervisor, row(running_task, "second_operator", good=10)), by=supervisor)
    assert state_of(running_task) == ("paused", "second_operator", "printing", 10, 0)
    assert list(WorkEvent.objects.filter(import_run=run).order_by("pk").values_list("verb", flat=True)) == ["report", "assign"]
    revert_import(run, by=supervisor)
    assert state_of(running_task) == ("paused", "operator", "printing", 0, 0)


def test_a_task_moves_to_the_queue_of_a_department_that_can_do_it_and_back(supervisor, pending_task):
    run = apply_import(plan(supervisor, row(pending_task, department="outsourcing")), by=supervisor)
    assert state_of(pending_task) == ("pending", None, "outsourcing", 0, 0)
    assert revert_import(run, by=supervisor).state == ImportState.REVERTED
    assert state_of(pending_task) == ("pending", None, "printing", 0, 0)


def test_a_task_that_no_department_had_stays_with_its_new_one(shop, superuser):
    shop.processes["PACK"].departments.clear()
    task = shop.task(shop.approved(), "PACK")
    shop.processes["PACK"].departments.add(shop.departments["packaging"])
    assert task.department is None
    run = apply_import(plan(superuser, row(task, department="packaging")), by=superuser)
    assert state_of(task)[:3] == ("pending", None, "packaging")
    revert_import(run, by=superuser)
    assert "was in no department before, and nothing leads back there." in run.rows.get().kept_because
    assert state_of(task)[2] == "packaging"


def test_rows_that_change_nothing_cost_no_query_of_their_own(shop, supervisor, monkeypatch):
    monkeypatch.setattr(working, "CHUNK_SECONDS", 10_000)
    for _order in range(6):
        shop.approved("carton")
    counts = []
    for many in (5, 25):
        rows = [row(task, None, task.department.code, 0, 0) for task in Task.objects.visible_to(supervisor).for_list()[:many]]
        with count_queries() as counted:
            run = plan(supervisor, *rows)
        assert totals(run) == {"same": many}
        counts.append(len([sql for sql in counted if "SAVEPOINT" not in sql]))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("status", "cells", "said", "column"),
    [
        ("in_progress", {"good": 50}, "has 100 good already, the table says 50. A table takes no pieces away", "Good so far"),
        ("in_progress", {"scrap": 1, "good": 100}, "has 3 scrap already, the table says 1", "Scrap so far"),
        ("in_progress", {"scrap": 9}, "Scrap needs a reason. Choose or write one.", "Reason"),
        ("in_progress", {"good": 9000}, "9000 good is far over the 1000 planned. Say why.", "Reason"),
        ("in_progress", {"good": "many"}, "many is not a whole number", "Good so far"),
        ("in_progress", {"operator": "second_operater"}, "did you mean second_operator?", "Operator"),
        ("in_progress", {"operator": "stranger"}, "Stranger does not work in printing", "Operator"),
        ("in_progress", {"department": "cutting"}, "cutting does not do printing", "Department"),
        ("pending", {"good": 5}, "is pending. Claim or assign it first.", ""),
        ("assigned", {"good": 5}, "is assigned. Start it first.", ""),
        ("completed", {"good": 1001}, "is completed. Take its completion back first", ""),
        ("cancelled", {"operator": "operator"}, "is cancelled. Nothing more is done on it.", ""),
    ],
)
def test_what_no_verb_allows_is_an_error_of_its_row_and_nothing_happens(shop, supervisor, operator, status, cells, said, column):
    task = shop.task_in(status)
    if status == "in_progress":
        do.report(task, by=operator, good=100, scrap=3, reason="torn")
    before = every_table()
    run = plan(supervisor, row(task, **cells))
    assert said in told(run)
    assert [one[1] for one in errors(run)] == [column]
    assert every_table() == before


def test_a_task_that_is_not_there_and_one_out_of_reach_are_refused_alike(shop, supervisor, pending_task):
    shut = shop.task(pending_task.order, "CTP")
    assert not Task.objects.visible_to(supervisor).filter(pk=shut.pk).exists()
    run = plan(supervisor, row(shut), row("T999999"), row("T99999999999999999"), row("12"), row(pending_task), row(pending_task))
    said = [message for _row, _column, message in errors(run)]
    assert len({*said[:3]}) == 1
    assert "There is no such task among those that you see." in said[0]
    assert said[3:] == ["12 is no task number. Write it like T123.", f"{pending_task} stands in row 6 already. Leave one of the two out."]


def test_why_a_row_was_wrong_never_becomes_the_reason_of_its_scrap(supervisor, running_task):
    """The workbook of wrong rows says beside each what is wrong with it: uploaded as it is, that is nobody's reason."""
    uploaded = workbook(["Task", "Good", "Scrap"], [str(running_task), 60, 2])
    run = plan_import("tasks", uploaded, by=supervisor)
    assert "Scrap needs a reason." in told(run)
    with pytest.raises(InvalidInput, match="Nothing was changed in this file"):
        read_back(run, KINDS["tasks"], File(as_workbook(run, KINDS["tasks"]), "rows.xlsx"))
    book = openpyxl.load_workbook(as_workbook(run, KINDS["tasks"]))
    header = [cell.value for cell in book.active[1]]
    book.active.cell(2, header.index("Scrap so far") + 1).value = 0
    stream = io.BytesIO()
    book.save(stream)
    correct_rows(run, read_back(run, KINDS["tasks"], SimpleUploadedFile("rows.xlsx", stream.getvalue())), by=supervisor)
    apply_import(run, by=supervisor)
    event = WorkEvent.objects.get(task=running_task, verb="report")
    assert (event.good, event.scrap, event.reason, event.reason_code) == (60, 0, "", "")


def test_the_plan_shows_the_reason_that_goes_with_a_report(supervisor, running_task):
    (thing,) = plan(supervisor, row(running_task, good=60, scrap=2, reason="torn at the gripper")).plan
    assert thing["details"][-1] == "Reason: torn at the gripper"
    (thing,) = plan(supervisor, row(running_task, operator="second_operator", reason="torn")).plan
    assert "torn" not in str(thing["details"])


def test_two_people_of_one_name_are_told_apart_by_their_user_names(shop, supervisor, pending_task):
    User.objects.filter(username__in=["operator", "second_operator"]).update(name="王芳")
    assert "Write the user name instead: one of operator, second_operator." in told(plan(supervisor, row(pending_task, "王芳")))
    assert totals(plan(supervisor, row(pending_task, "second_operator"))) == {"update": 1}


def test_what_the_floor_reported_meanwhile_is_a_conflict_and_not_counted_twice(supervisor, operator, running_task):
    run = plan(supervisor, row(running_task, good=300))
    do.report(running_task, by=operator, good=300)
    run = apply_import(run, by=supervisor)
    assert (run.rows_done, run.rows.get().action) == (0, "conflict")
    assert "This changed after the plan was made" in told(run)
    assert state_of(running_task)[3] == 300


@pytest.mark.parametrize(
    ("later", "because"),
    [
        (lambda task, by: do.report(task, by=by, good=1), "Operator reported 1 good, 0 scrap. Take that back first."),
        (lambda task, by: do.complete_task(task, by=by, good=700), "Operator completed it with 700 good, 0 scrap. Take that back first."),
    ],
)
def test_what_stands_on_it_keeps_a_row_from_being_taken_back(supervisor, operator, running_task, later, because):
    run = apply_import(plan(supervisor, row(running_task, good=300)), by=supervisor)
    later(running_task, operator)
    kept = state_of(running_task)
    run = revert_import(run, by=supervisor)
    assert because in run.rows.get().kept_because
    assert (run.state, state_of(running_task)) == (ImportState.APPLIED, kept)


@pytest.mark.parametrize("who", ["maker", "salesperson", "operator", "planner", "auditor", "administrator", "nobody"])
def test_who_leads_no_department_imports_no_tasks_by_any_door(everybody, running_task, tmp_path, who):
    by, path, before = everybody[who], tmp_path / "tasks.xlsx", state_of(running_task)
    path.write_bytes(workbook(HEADER, row(running_task, good=5)).read())
    upload = reverse("admin:imports_upload") + "?resource=tasks"
    assert client_of(by).post(upload, {"file": workbook(HEADER, row(running_task, good=5))}).status_code == 403
    with pytest.raises(CommandError, match="You may not import this"):
        call_command("import_file", str(path), resource="tasks", user=who, apply=True)
    assert (state_of(running_task), ImportRun.objects.count()) == (before, 0)


def test_who_only_sees_a_task_of_another_department_cannot_fill_it_in(shop, everybody, running_task):
    lead = everybody["prepress_lead"]
    do.share(running_task, by=everybody["supervisor"], user=lead)
    assert Task.objects.visible_to(lead).filter(pk=running_task.pk).exists()
    assert "You may not do this with task" in told(plan(lead, row(running_task, good=5)))
    assert "You may not do this with task" in told(plan(lead, row(running_task, "prepress_lead")))


def test_the_page_and_the_command_fill_in_the_list(shop, supervisor, running_task, tmp_path, capsys):
    client = client_of(supervisor)
    page = client.get(reverse("admin:workorders_task_changelist")).content.decode()
    upload = reverse("admin:imports_upload") + "?resource=tasks"
    assert upload in page
    answer = client.post(upload, {"file": workbook(["任务号", "合格"], [f"T{running_task.pk}", 40])})
    run = ImportRun.objects.get()
    assert answer["Location"] == reverse("admin:imports_importrun_change", args=[run.pk])
    client.post(reverse("admin:imports_apply", args=[run.pk]))
    assert state_of(running_task)[3] == 40
    client.post(reverse("admin:imports_revert", args=[run.pk]))
    assert state_of(running_task)[3] == 0

    path = tmp_path / "tasks.xlsx"
    path.write_bytes(workbook(["Task", "Good so far"], [f"T{running_task.pk}", 40]).read())
    call_command("import_file", str(path), resource="tasks", user="supervisor", apply=True)
    assert "1 of 1 row imported." in capsys.readouterr().out
    assert state_of(running_task)[3] == 40
