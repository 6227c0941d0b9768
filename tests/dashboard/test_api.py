from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.workorders.models import Task
from apps.workorders.services import report
from tests.personas import api_of
from tests.queries import count_queries

PATHS = ["statistics/task_summary", "statistics/department_workload", "statistics/collaboration", "dashboard/statistics"]


def figures(user, path):
    answer = api_of(user).get(f"/api/{path}/")
    assert answer.status_code == 200, answer.content
    return answer.json()


@pytest.fixture
def work(shop, running_task, operator):
    """An order on which `operator` reported, and a draft of other people."""
    report(running_task, by=operator, good=480, scrap=20, reason_code="colour")
    shop.draft(by="other_maker", customer=shop.other_customer)
    return running_task


def test_a_summary_counts_what_one_sees(work, planner, operator, stranger):
    everything = figures(planner, "statistics/task_summary")
    assert (everything["total"], everything["by_status"]["draft"], everything["by_status"]["completed"]) == (8, 4, 2)
    mine = figures(operator, "statistics/task_summary")
    assert (mine["total"], mine["good"], mine["scrap"], mine["scrap_rate"]) == (1, 480, 20, 0.04)
    assert mine["open_by_priority"] == {"low": 0, "normal": 1, "high": 0, "urgent": 0}
    theirs = figures(stranger, "statistics/task_summary")
    assert (theirs["total"], theirs["completion_rate"], theirs["scrap_rate"]) == (0, 0.0, 0.0)


def test_late_and_cancelled_tasks_are_counted_as_such(work, planner):
    Task.objects.filter(pk=work.pk).update(due_date=timezone.localdate() - timedelta(days=1))
    assert figures(planner, "statistics/task_summary")["late"] == 1
    assert figures(planner, "dashboard/statistics")["tasks"]["late"] == 1


def test_workload_is_of_departments_in_sight(work, shop, supervisor, prepress_lead, planner):
    rows = {row["department"]["code"]: row for row in figures(supervisor, "statistics/department_workload")["results"]}
    assert rows.keys() == {"printing", "packaging"}
    assert (rows["printing"]["in_progress"], rows["printing"]["planned"], rows["printing"]["good"]) == (1, 1000, 480)
    assert rows["printing"]["open_minutes"] > 0
    assert figures(prepress_lead, "statistics/department_workload")["results"] == []
    Task.objects.filter(pk=work.pk).update(department=None)
    assert None in [row["department"] for row in figures(planner, "statistics/department_workload")["results"]]


def test_who_does_how_much(work, supervisor, operator, stranger):
    rows = figures(supervisor, "statistics/collaboration")["results"]
    assert rows[0] == {
        "operator": {"id": operator.pk, "name": "Operator"},
        "open": 1, "completed": 0, "late": 0, "good": 480, "scrap": 20, "scrap_rate": 0.04,
    }  # fmt: skip
    assert figures(stranger, "statistics/collaboration")["results"] == []


def test_everything_at_a_glance(work, shop, salesperson, operator):
    waiting = shop.submitted()
    seen = figures(salesperson, "dashboard/statistics")
    assert seen["orders"]["waiting_for_me"] == 1
    assert seen["orders"]["by_status"]["submitted"] == 1
    assert seen["notices"]["unread"] >= 1
    assert waiting.number not in str(seen)
    mine = figures(operator, "dashboard/statistics")
    assert (mine["tasks"]["mine_open"], mine["tasks"]["my_tasks"]["in_progress"], mine["orders"]["late"]) == (1, 1, 0)


@pytest.mark.parametrize("path", PATHS)
def test_numbers_are_for_who_sees_tasks(shop, administrator, path):
    assert api_of(administrator).get(f"/api/{path}/").status_code == 403
    assert APIClient().get(f"/api/{path}/").status_code == 401
    assert api_of(shop.people["planner"]).post(f"/api/{path}/").status_code == 405


@pytest.mark.parametrize("path", PATHS)
def test_numbers_cost_the_same_for_few_and_many(shop, planner, work, path):
    client = api_of(planner)
    client.get(f"/api/{path}/")
    with count_queries() as before:
        client.get(f"/api/{path}/")
    shop.approved()
    with count_queries() as after:
        client.get(f"/api/{path}/")
    assert len(before) == len(after) <= 13
