from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, transaction
from django.db.models import Sum
from django.utils import timezone

from apps.core.errors import InvalidInput, RuleError
from apps.notices.models import Notice
from apps.workorders import services as do
from apps.workorders.models import Step, Task, WorkEvent, WorkOrder
from tests.queries import count_queries


def code_of(verb, *args, **kwargs) -> str:
    with pytest.raises(RuleError) as refusal:
        verb(*args, **kwargs)
    assert str(refusal.value)
    return refusal.value.code


def sums(task) -> tuple[int, int]:
    found = WorkEvent.objects.filter(task=task).aggregate(good=Sum("good"), scrap=Sum("scrap"))
    task.refresh_from_db()
    assert (task.good, task.scrap) == (found["good"], found["scrap"])
    return task.good, task.scrap


def travel(monkeypatch, **ahead) -> None:
    """Let the clock that the verbs read stand later."""
    later = timezone.now() + timedelta(**ahead)
    monkeypatch.setattr(timezone, "now", lambda: later)


# --- adding up


def test_reports_add_up_and_the_ledger_says_the_same(running_task, operator):
    do.report(running_task, by=operator, good=480, scrap=20, reason_code="setup", note="New plates.")
    do.report(running_task, by=operator, good=300)
    do.report(running_task, by=operator, scrap=5, reason="Torn.")
    assert sums(running_task) == (780, 25)
    event = running_task.events.filter(good=480).get()
    assert (event.scrap, event.reason_code, event.note, event.actor, event.verb) == (20, "setup", "New plates.", operator, "report")


def test_a_note_does_not_overwrite_the_instructions(shop, operator):
    task = shop.started(shop.ready_to_print(shop.approved(instructions="Fold carefully.")), by=operator)
    do.report(task, by=operator, good=1, note="Done without folding.")
    task.refresh_from_db()
    assert task.instructions == "Fold carefully."


def test_the_first_report_begins_the_order(shop, operator):
    order = shop.approved(steps_text="PRT > PACK")
    task = shop.started(shop.task(order, "PRT"), by=operator)
    assert WorkOrder.objects.get(pk=order.pk).status == "approved"
    do.report(task, by=operator, good=1)
    assert WorkOrder.objects.get(pk=order.pk).status == "in_progress"
    assert order.events.filter(verb="begin", step=None).count() == 1


def test_a_report_costs_at_most_12_queries(running_task, operator):
    do.report(running_task, by=operator, good=1)
    with count_queries(most=12):
        do.report(running_task, by=operator, good=1)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, "nothing"),
        ({"good": 0, "scrap": 0}, "nothing"),
        ({"good": -1}, "bad_number"),
        ({"good": "5"}, "bad_number"),
        ({"good": 1.5}, "bad_number"),
        ({"good": True}, "bad_number"),
        ({"good": None}, "bad_number"),
        ({"good": 10**12}, "bad_number"),
        ({"scrap": -1}, "bad_number"),
        ({"scrap": 3}, "reason_needed"),
        ({"good": 1, "reason_code": "moon"}, "unknown_reason"),
        ({"good": 1, "note": "x" * 10_000}, "too_long"),
    ],
)
def test_a_wrong_report_is_refused_and_nothing_is_written(running_task, operator, values, code):
    events = WorkEvent.objects.count()
    assert code_of(do.report, running_task, by=operator, **values) == code
    assert WorkEvent.objects.count() == events
    assert sums(running_task) == (0, 0)


def test_wrong_input_and_broken_rules_are_told_apart(running_task, operator):
    with pytest.raises(InvalidInput):
        do.report(running_task, by=operator, good=-1)
    with pytest.raises(RuleError) as refusal:
        do.report(running_task, by=operator, good=10_000)
    assert not isinstance(refusal.value, InvalidInput)


# --- over and under


def test_overproduction_within_tolerance_is_nobodys_business(running_task, operator):
    do.report(running_task, by=operator, good=1050)
    assert not Notice.objects.filter(kind="task_overrun").exists()


def test_past_the_tolerance_the_leads_are_warned_once(shop, running_task, operator, supervisor):
    from apps.accounts.models import Membership

    Membership.objects.create(user=supervisor, department=shop.departments["printing"], is_lead=True)
    do.report(running_task, by=operator, good=1050)
    do.report(running_task, by=operator, good=1)
    do.report(running_task, by=operator, good=1)
    assert [notice.user.username for notice in Notice.objects.filter(kind="task_overrun")] == ["supervisor"]


def test_the_lead_above_the_department_is_warned_too(running_task, operator):
    """`supervisor` leads production, which printing is a part of."""
    do.report(running_task, by=operator, good=1051)
    assert [notice.user.username for notice in Notice.objects.filter(kind="task_overrun")] == ["supervisor"]


def test_the_orders_own_tolerance_counts(shop, operator):
    task = shop.started(shop.ready_to_print(shop.approved(over_tolerance=20)), by=operator)
    do.report(task, by=operator, good=1200)
    assert not Notice.objects.filter(kind="task_overrun").exists()
    do.report(task, by=operator, good=1)
    assert Notice.objects.filter(kind="task_overrun").exists()


def test_past_the_hard_cap_only_a_supervisor_reports_and_says_why(running_task, operator, supervisor):
    with pytest.raises(RuleError) as refusal:
        do.report(running_task, by=operator, good=1501, reason="Really.")
    assert (refusal.value.code, refusal.value.field, refusal.value.extra["most"]) == ("over_cap", "quantity", 1500)
    assert code_of(do.report, running_task, by=supervisor, good=1501) == "reason_needed"
    do.report(running_task, by=supervisor, good=1501, reason="The counter was reset.")
    assert sums(running_task) == (1501, 0)


def test_exactly_the_cap_is_fine(running_task, operator):
    do.report(running_task, by=operator, good=1500)
    assert sums(running_task) == (1500, 0)


def test_completing_short_of_plan_needs_a_reason_and_invents_nothing(running_task, operator):
    with pytest.raises(RuleError) as refusal:
        do.complete_task(running_task, by=operator, good=900)
    assert (refusal.value.code, refusal.value.extra["left"]) == ("short", 100)
    task = do.complete_task(running_task, by=operator, good=900, reason="Paper ran out.")
    assert task.status == "completed"
    assert sums(task) == (900, 0)


def test_completion_is_a_last_report_and_may_bring_nothing_new(running_task, operator):
    do.report(running_task, by=operator, good=1000)
    task = do.complete_task(running_task, by=operator)
    assert (task.status, task.good, task.completed_at is not None) == ("completed", 1000, True)


def test_reaching_the_plan_does_not_complete_by_itself(running_task, operator):
    assert do.report(running_task, by=operator, good=1000).status == "in_progress"


@pytest.mark.parametrize("status", ["draft", "pending", "assigned", "paused", "completed", "cancelled"])
def test_a_report_is_refused_unless_the_task_runs(shop, supervisor, status):
    task = shop.task_in(status, by=supervisor)
    good = task.good
    assert code_of(do.report, task, by=supervisor, good=1) == "wrong_state"
    assert code_of(do.complete_task, task, by=supervisor, good=1000) == "wrong_state"
    task.refresh_from_db()
    assert task.good == good


# --- taking back


def test_undo_takes_back_ones_own_last_report(running_task, operator):
    do.report(running_task, by=operator, good=100)
    do.report(running_task, by=operator, good=50, scrap=2, reason="Torn.")
    task = do.undo_last(running_task, by=operator)
    assert (task.status, sums(task)) == ("in_progress", (100, 0))
    event = task.events.first()
    assert (event.good, event.scrap, event.reverses.good, event.actor) == (-50, -2, 50, operator)


def test_undo_walks_back_step_by_step_to_the_queue(pending_task, operator):
    do.start_task(pending_task, by=operator)
    do.pause_task(pending_task, by=operator)
    do.resume_task(pending_task, by=operator)
    do.report(pending_task, by=operator, good=10)
    do.complete_task(pending_task, by=operator, good=990)
    seen = []
    for _turn in range(6):
        task = do.undo_last(pending_task, by=operator)
        seen.append((task.status, task.good))
    assert seen == [("in_progress", 10), ("in_progress", 0), ("paused", 0), ("in_progress", 0), ("assigned", 0), ("pending", 0)]
    assert task.operator is None
    step = Step.objects.get(pk=task.step_id)
    assert step.status == "waiting"
    with pytest.raises(PermissionDenied):
        do.undo_last(task, by=operator)


def test_an_undone_completion_opens_its_step_again(shop, running_task, operator):
    do.complete_task(running_task, by=operator, good=1000)
    assert Step.objects.get(pk=running_task.step_id).status == "completed"
    task = do.undo_last(running_task, by=operator)
    assert (task.status, task.good, task.completed_at) == ("in_progress", 0, None)
    assert Step.objects.get(pk=task.step_id).status == "in_progress"


def test_an_operator_undoes_within_minutes_and_a_supervisor_within_a_day(monkeypatch, running_task, operator, supervisor):
    do.report(running_task, by=operator, good=10)
    do.report(running_task, by=supervisor, good=20)
    travel(monkeypatch, minutes=16)
    assert code_of(do.undo_last, running_task, by=operator) == "too_late"
    do.undo_last(running_task, by=supervisor)
    assert sums(running_task) == (10, 0)


def test_after_a_day_a_supervisor_corrects_with_a_reason_instead(monkeypatch, running_task, supervisor):
    do.report(running_task, by=supervisor, good=20)
    travel(monkeypatch, hours=25)
    assert code_of(do.undo_last, running_task, by=supervisor) == "too_late"
    do.reverse_event(running_task.events.first(), by=supervisor, reason="Wrong task.")
    assert sums(running_task) == (0, 0)


def test_nobody_undoes_what_another_did(running_task, operator, second_operator, supervisor):
    do.report(running_task, by=operator, good=10)
    assert code_of(do.undo_last, running_task, by=supervisor) == "nothing_to_undo"
    with pytest.raises(PermissionDenied):
        do.undo_last(running_task, by=second_operator)


def test_what_something_later_stands_on_is_not_undone(running_task, operator, supervisor):
    do.report(running_task, by=operator, good=10)
    do.report(running_task, by=supervisor, good=5)
    assert code_of(do.undo_last, running_task, by=operator) == "later_events"


def test_a_correction_negates_one_report_and_leaves_the_others(running_task, operator, supervisor):
    first = do.report(running_task, by=operator, good=100).events.first()
    do.report(running_task, by=operator, good=50)
    made = do.reverse_event(first, by=supervisor, reason="Counted twice.")
    assert (made.good, made.reverses, made.actor, made.reason, made.verb) == (-100, first, supervisor, "Counted twice.", made.verb)
    assert sums(running_task) == (50, 0)


def test_each_event_can_be_taken_back_once(running_task, operator, supervisor):
    event = do.report(running_task, by=operator, good=100).events.first()
    made = do.reverse_event(event, by=supervisor, reason="Counted twice.")
    assert code_of(do.reverse_event, event, by=supervisor, reason="Again.") == "already_reversed"
    assert code_of(do.reverse_event, made, by=supervisor, reason="Back.") in {"already_reversed", "not_reversible"}
    assert sums(running_task) == (0, 0)


@pytest.mark.parametrize("who", ["operator", "second_operator", "stranger", "planner", "auditor", "maker", "salesperson", "prepress_lead"])
def test_only_the_tasks_supervisor_corrects(shop, running_task, operator, who):
    event = do.report(running_task, by=operator, good=100).events.first()
    with pytest.raises(PermissionDenied):
        do.reverse_event(event, by=shop.people[who], reason="Because.")


@pytest.mark.parametrize("verb", ["create", "claim", "start"])
def test_only_reports_and_completions_are_corrected(running_task, supervisor, verb):
    event = WorkEvent.objects.filter(order=running_task.order, verb=verb).first()
    assert code_of(do.reverse_event, event, by=supervisor, reason="Because.") == "not_reversible"


def test_a_correction_needs_a_reason(running_task, operator, supervisor):
    event = do.report(running_task, by=operator, good=100).events.first()
    assert code_of(do.reverse_event, event, by=supervisor, reason=" ") == "reason_needed"


def test_a_correction_never_takes_more_than_is_there(running_task, operator, supervisor):
    """Totals are sums of the ledger: whatever is reversed in whatever order, none goes below 0."""
    events = [do.report(running_task, by=operator, good=good).events.first() for good in (5, 7, 9)]
    for event in (events[1], events[0], events[2]):
        do.reverse_event(event, by=supervisor, reason="Wrong.")
        assert sums(running_task)[0] >= 0
    assert sums(running_task) == (0, 0)


# --- the roll-up


def test_the_last_completion_completes_step_and_order(shop, completed_order):
    assert completed_order.status == "completed"
    assert completed_order.completed_at is not None
    assert set(completed_order.steps.values_list("status", flat=True)) == {"completed"}
    assert completed_order.events.filter(verb="complete", task=None, step=None).count() == 1


def test_a_carton_goes_all_the_way(shop):
    order = shop.finish_all(shop.approved(("carton", 2000)))
    assert order.status == "completed"
    assert {task.good for task in order.tasks.filter(step__process__code="PACK")} == {2000}


def test_progress_counts_cancelled_tasks_in_neither(shop, supervisor):
    order = shop.approved()
    shop.finish(shop.task(order, "CUT"))
    do.cancel_task(shop.task(order, "PACK"), by=supervisor, reason="Delivered flat.")
    row = WorkOrder.objects.with_progress().get(pk=order.pk)
    assert (row.tasks_total, row.tasks_done) == (3, 1)


# --- the ledger is append-only in the database itself


@pytest.mark.parametrize(
    "change",
    [
        lambda pk: WorkEvent.objects.filter(pk=pk).update(good=7),
        lambda pk: WorkEvent.objects.filter(pk=pk).delete(),
        lambda pk: WorkEvent.objects.get(pk=pk).delete(),
        lambda pk: WorkEvent.objects.get(pk=pk).save(),
        lambda pk: connection.cursor().execute("UPDATE workorders_workevent SET actor_id = actor_id WHERE id = %s", [pk]),
        lambda pk: connection.cursor().execute("DELETE FROM workorders_workevent"),
    ],
)
def test_the_database_refuses_to_change_or_delete_an_event(running_task, operator, change):
    event = do.report(running_task, by=operator, good=10).events.first()
    before = WorkEvent.objects.filter(pk=event.pk).values().get()
    with pytest.raises(DatabaseError), transaction.atomic():
        change(event.pk)
    assert WorkEvent.objects.filter(pk=event.pk).values().get() == before


def test_an_event_can_be_reversed_once_says_the_database(running_task, operator):
    event = do.report(running_task, by=operator, good=10).events.first()
    copy = {
        "order": event.order,
        "order_number": event.order_number,
        "task": event.task,
        "verb": "undo",
        "actor": operator,
        "reverses": event,
    }
    WorkEvent.objects.create(**copy)
    with pytest.raises(DatabaseError), transaction.atomic():
        WorkEvent.objects.create(**copy)


def test_history_and_ledger_of_a_report_carry_the_same_request(running_task, operator):
    from apps.core.context import signed

    with signed(source="api", request_id="request-42"):
        do.report(running_task, by=operator, good=10, reason="First sheets.")
    event = WorkEvent.objects.filter(request_id="request-42", verb="report").get()
    row = Task.history.filter(id=running_task.pk).first()
    assert (row.request_id, row.source, row.history_user, row.history_change_reason) == ("request-42", "api", operator, "First sheets.")
    assert (event.source, event.actor) == ("api", operator)


def test_a_failure_half_way_leaves_nothing(running_task, operator):
    """The verb is all or nothing: its ledger row goes with it."""
    events = WorkEvent.objects.count()
    with transaction.atomic():
        do.report(running_task, by=operator, good=10)
        transaction.set_rollback(True)
    assert WorkEvent.objects.count() == events
    assert sums(running_task) == (0, 0)
