"""Every status x every verb: what it leads to, or the exact code that it is refused with. The tables are DOMAIN's, not the code's."""

from itertools import product

import pytest

from apps.core.errors import RuleError
from apps.workorders import services as do
from apps.workorders.models import Step, Task, WorkEvent, WorkOrder
from apps.workorders.states import ORDER_MOVES, STEP_MOVES, TASK_MOVES, OrderStatus, StepStatus, TaskStatus
from apps.workorders.transitions import _apply

ORDER_VERBS = {
    "submit": lambda shop, order: do.submit_order(order, by=shop.people["maker"]),
    "approve": lambda shop, order: do.approve_order(order, by=shop.people["salesperson"]),
    "reject": lambda shop, order: do.reject_order(order, by=shop.people["salesperson"], reason="Because."),
    "hold": lambda shop, order: do.hold_order(order, by=shop.people["salesperson"], reason="Because."),
    "resume": lambda shop, order: do.resume_order(order, by=shop.people["salesperson"]),
    "cancel": lambda shop, order: do.cancel_order(order, by=shop.people["salesperson"], reason="Because."),
    "reopen": lambda shop, order: do.reopen_order(order, by=shop.people["salesperson"], reason="Because."),
    "revise": lambda shop, order: do.revise_order(order, by=shop.people["maker"]),
    "delete": lambda shop, order: do.delete_order(order, by=shop.people["maker"]),
    "dispatch": lambda shop, order: do.dispatch_order(order, by=shop.people["supervisor"]),
}
# verb -> {from: to}; every status that is not named refuses
ORDER_TABLE = {
    "submit": {"draft": "submitted", "rejected": "submitted"},
    "approve": {"submitted": "approved"},
    "reject": {"submitted": "rejected"},
    "hold": {"approved": "on_hold", "in_progress": "on_hold"},
    "resume": {"on_hold": "approved"},
    "cancel": dict.fromkeys(["draft", "submitted", "rejected", "approved", "in_progress", "on_hold"], "cancelled"),
    "reopen": {"completed": "in_progress"},
    "revise": {"draft": "draft", "rejected": "rejected"},
    "delete": {"draft": None, "rejected": None},
    "dispatch": {"approved": "approved", "in_progress": "in_progress"},
}


@pytest.mark.parametrize(("status", "verb"), product(OrderStatus.values, ORDER_VERBS))
def test_every_order_status_and_verb(shop, status, verb):
    order = shop.order_in(status)
    assert order.status == status
    events = WorkEvent.objects.count()
    if status in ORDER_TABLE[verb]:
        ORDER_VERBS[verb](shop, order)
        left = WorkOrder.objects.filter(pk=order.pk).values_list("status", flat=True).first()
        assert left == ORDER_TABLE[verb][status]
    else:
        with pytest.raises(RuleError) as refusal:
            ORDER_VERBS[verb](shop, order)
        assert refusal.value.code == "wrong_state"
        assert order.number in str(refusal.value)
        assert WorkOrder.objects.get(pk=order.pk).status == status
        assert WorkEvent.objects.count() == events


# The supervisor leads the task's department, so that nothing but its status can stop him.
TASK_VERBS = {
    "claim": lambda task, by: do.claim_task(task, by=by),
    "release": lambda task, by: do.release_task(task, by=by),
    "start": lambda task, by: do.start_task(task, by=by),
    "pause": lambda task, by: do.pause_task(task, by=by),
    "resume": lambda task, by: do.resume_task(task, by=by),
    "report": lambda task, by: do.report(task, by=by, good=1),
    "complete": lambda task, by: do.complete_task(task, by=by, good=1000),
    "cancel": lambda task, by: do.cancel_task(task, by=by, reason="Because."),
    "assign": lambda task, by: do.assign_task(task, by=by, operator=task.department.members.get(username="second_operator")),
    "split": lambda task, by: do.split_task(task, by=by, quantities=[100]),
    "dispatch": lambda task, by: do.dispatch_task(task, by=by),
    "undo": lambda task, by: do.undo_last(task, by=by),
}
TASK_TABLE = {
    "claim": {"pending": "assigned"},
    "release": {"assigned": "pending"},
    "start": {"pending": "in_progress", "assigned": "in_progress"},
    "pause": {"in_progress": "paused"},
    "resume": {"paused": "in_progress"},
    "report": {"in_progress": "in_progress"},
    "complete": {"in_progress": "completed"},
    "cancel": dict.fromkeys(["pending", "assigned", "in_progress", "paused"], "cancelled"),
    "assign": {"pending": "assigned", "assigned": "assigned", "in_progress": "paused", "paused": "paused"},
    "split": {one: one for one in ("pending", "assigned", "in_progress", "paused")},
    "dispatch": {"pending": "pending"},
    "undo": {"assigned": "pending", "in_progress": "assigned", "paused": "in_progress", "completed": "in_progress"},
}
TASK_CODES = {
    ("claim", "assigned"): "already_claimed",
    ("claim", "in_progress"): "already_claimed",
    ("claim", "paused"): "already_claimed",
    ("undo", "draft"): "nothing_to_undo",
    ("undo", "pending"): "nothing_to_undo",
    ("undo", "cancelled"): "nothing_to_undo",
}


@pytest.mark.parametrize(("status", "verb"), product(TaskStatus.values, TASK_VERBS))
def test_every_task_status_and_verb(shop, supervisor, status, verb):
    task = shop.task_in(status, by=supervisor)
    assert task.status == status
    events = WorkEvent.objects.count()
    if status in TASK_TABLE[verb]:
        TASK_VERBS[verb](task, supervisor)
        task.refresh_from_db()
        assert task.status == TASK_TABLE[verb][status]
        assert WorkEvent.objects.count() > events
    else:
        with pytest.raises(RuleError) as refusal:
            TASK_VERBS[verb](task, supervisor)
        assert refusal.value.code == TASK_CODES.get((verb, status), "wrong_state")
        assert str(task) in str(refusal.value)
        task.refresh_from_db()
        assert task.status == status
        assert WorkEvent.objects.count() == events


@pytest.mark.parametrize("status", ["draft", "submitted", "rejected"])
def test_a_task_of_an_order_that_is_not_approved_cannot_be_claimed(shop, operator, status):
    with pytest.raises(RuleError) as refusal:
        do.claim_task(shop.task(shop.order_in(status), "PRT"), by=operator)
    assert (refusal.value.code, refusal.value.extra["status"]) == ("wrong_state", "draft")


@pytest.mark.parametrize("verb", [do.claim_task, do.start_task])
def test_nothing_is_taken_up_on_a_held_order(shop, operator, verb):
    task = shop.task(shop.order_in("on_hold"), "PRT")
    with pytest.raises(RuleError) as refusal:
        verb(task, by=operator)
    assert refusal.value.code == "order_not_running"


def test_what_runs_when_its_order_is_held_may_still_be_reported_but_not_resumed(shop, running_task, operator, salesperson):
    do.hold_order(running_task.order, by=salesperson, reason="The customer thinks again.")
    do.report(running_task, by=operator, good=10)
    do.pause_task(running_task, by=operator)
    with pytest.raises(RuleError) as refusal:
        do.resume_task(running_task, by=operator)
    assert refusal.value.code == "order_not_running"


def test_resume_leads_back_to_where_the_order_was_held(shop, salesperson):
    order = do.hold_order(shop.order_in("in_progress"), by=salesperson, reason="Wait.")
    assert do.resume_order(order, by=salesperson).status == "in_progress"


def test_a_report_while_held_counts_as_begun_when_it_is_resumed(shop, salesperson, supervisor):
    order = shop.approved()
    task = shop.task(order, "CTP")
    task = do.start_task(task, by=shop.worker_of(task))
    assert WorkOrder.objects.get(pk=order.pk).status == "approved"
    do.hold_order(order, by=salesperson, reason="Wait.")
    do.complete_task(task, by=task.operator, good=1)
    assert do.resume_order(order, by=salesperson).status == "in_progress"


def test_the_last_completion_while_held_completes_the_order_when_it_is_resumed(shop, salesperson):
    order = shop.approved()
    shop.ready_to_print(order)
    shop.finish(shop.task(order, "PRT"))
    task = shop.started(shop.task(order, "PACK"))
    do.hold_order(order, by=salesperson, reason="Wait.")
    do.complete_task(task, by=task.operator, good=1000)
    assert WorkOrder.objects.get(pk=order.pk).status == "on_hold"
    assert do.resume_order(order, by=salesperson).status == "completed"


@pytest.mark.parametrize("moves", [ORDER_MOVES, STEP_MOVES, TASK_MOVES])
def test_the_tables_name_known_states_only(moves):
    known = {id(ORDER_MOVES): OrderStatus, id(STEP_MOVES): StepStatus, id(TASK_MOVES): TaskStatus}[id(moves)]
    assert {state for sources, targets in moves.values() for state in sources | targets} <= set(known)


def test_ready_is_never_stored():
    assert all(StepStatus.READY not in sources | targets for sources, targets in STEP_MOVES.values())


def test_a_move_to_a_state_that_the_verb_does_not_lead_to_is_a_bug_not_a_refusal(shop, draft_order, maker):
    with pytest.raises(ValueError, match="submit does not lead to approved"):
        _apply(draft_order, "submit", OrderStatus.APPROVED, by=maker)


@pytest.mark.parametrize("status", TaskStatus.values)
def test_the_buttons_of_a_task_are_what_its_verbs_allow(shop, supervisor, status):
    """Each offered move is accepted, each one that is not offered is refused."""
    from apps.workorders.moves import task_moves

    task = Task.objects.select_related("order", "step__process", "department").get(pk=shop.task_in(status, by=supervisor).pk)
    allowed = {verb for verb, table in TASK_TABLE.items() if status in table}
    assert set(task_moves(supervisor, task)) - {"share"} == allowed


@pytest.mark.parametrize("status", OrderStatus.values)
def test_the_buttons_of_an_order_are_what_its_verbs_allow(shop, status, salesperson, supervisor):
    from apps.workorders.moves import order_moves

    order = WorkOrder.objects.select_related("customer").get(pk=shop.order_in(status).pk)
    allowed = {verb for verb, table in ORDER_TABLE.items() if status in table and verb != "revise"} | {"copy"}
    if status in ORDER_TABLE["revise"]:
        allowed.add("edit")
    assert set(order_moves(supervisor, order)) - {"share"} == allowed


def test_a_step_has_the_status_of_its_tasks(shop, operator):
    order = shop.approved()
    assert set(order.steps.values_list("status", flat=True)) == {"waiting"}
    task = shop.ready_to_print(order)
    shop.started(task, by=operator)
    assert Step.objects.get(pk=task.step_id).status == "in_progress"
    do.complete_task(task, by=operator, good=1000)
    assert Step.objects.get(pk=task.step_id).status == "completed"
