from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Membership
from apps.catalog.models import Tool
from apps.catalog.services import confirm_tool
from apps.core.errors import InvalidInput, RuleError
from apps.notices.models import Notice
from apps.workorders import services as do
from apps.workorders.models import Step, Task, WorkEvent, WorkOrder
from apps.workorders.moves import task_moves
from apps.workorders.readiness import step_status, what_is_missing
from tests.queries import count_queries


def code_of(verb, *args, **kwargs) -> str:
    with pytest.raises(RuleError) as refusal:
        verb(*args, **kwargs)
    assert str(refusal.value)
    return refusal.value.code


def told(kind: str) -> list[str]:
    return list(Notice.objects.filter(kind=kind).values_list("user__username", flat=True))


# --- claim and release


def test_a_claimed_task_is_the_claimers_and_says_so(pending_task, operator):
    task = do.claim_task(pending_task, by=operator)
    assert (task.status, task.operator, task.is_pinned) == ("assigned", operator, False)
    event = task.events.first()
    assert (event.verb, event.from_status, event.to_status, event.actor) == ("claim", "pending", "assigned", operator)
    assert event.data == {"operator": [None, operator.pk]}
    assert task.decisions.first().reason == "Operator claimed it."


def test_the_loser_of_a_race_is_told_who_has_it(pending_task, operator, second_operator):
    do.claim_task(pending_task, by=operator)
    with pytest.raises(RuleError, match="Operator has it") as refusal:
        do.claim_task(pending_task, by=second_operator)
    assert (refusal.value.code, refusal.value.extra["operator"]) == ("already_claimed", "Operator")


def test_who_claims_twice_is_told_that_he_has_it(pending_task, operator):
    do.claim_task(pending_task, by=operator)
    with pytest.raises(RuleError, match="You have task") as refusal:
        do.claim_task(pending_task, by=operator)
    assert refusal.value.code == "already_claimed"


def test_starting_a_queued_task_claims_it_first(pending_task, operator):
    task = do.start_task(pending_task, by=operator)
    assert (task.status, task.operator) == ("in_progress", operator)
    assert list(task.events.order_by("pk").values_list("verb", flat=True))[-2:] == ["claim", "start"]
    assert task.started_at is not None


def test_a_released_task_is_back_in_the_queue(pending_task, operator, second_operator):
    do.claim_task(pending_task, by=operator)
    task = do.release_task(pending_task, by=operator, reason="Going home.")
    assert (task.status, task.operator, task.department.code) == ("pending", None, "printing")
    assert task.events.first().reason == "Going home."
    assert do.claim_task(task, by=second_operator).operator == second_operator


# persona -> may do it with a task of printing that `operator` has (for claim: a pending one)
WORKS = {
    "claim": {"operator", "second_operator", "supervisor", "superuser"},
    "release": {"operator", "supervisor", "superuser"},
    "start": {"operator", "supervisor", "superuser"},
    "assign": {"supervisor", "superuser"},
    "cancel": {"supervisor", "superuser"},
    "split": {"supervisor", "superuser"},
}
VERBS = {
    "claim": do.claim_task,
    "release": do.release_task,
    "start": do.start_task,
    "assign": lambda task, by: do.assign_task(task, by=by, operator=task.department.members.get(username="second_operator")),
    "cancel": lambda task, by: do.cancel_task(task, by=by, reason="Because."),
    "split": lambda task, by: do.split_task(task, by=by, quantities=[10]),
}
EVERYBODY = [
    "maker", "other_maker", "salesperson", "other_salesperson", "supervisor", "prepress_lead", "operator", "second_operator", "stranger",
    "planner", "auditor", "administrator", "superuser", "nobody",
]  # fmt: skip


@pytest.mark.parametrize("verb", WORKS)
def test_who_may_do_what_with_a_task(shop, pending_task, operator, verb):
    if verb != "claim":
        do.claim_task(pending_task, by=operator)
    for who in EVERYBODY:
        task = Task.objects.select_related("order", "department", "step__process").get(pk=pending_task.pk)
        person = shop.people[who]
        assert (verb in task_moves(person, task)) == (who in WORKS[verb]), who
        with transaction.atomic():
            if who in WORKS[verb]:
                VERBS[verb](task, by=person)
            else:
                with pytest.raises(PermissionDenied):
                    VERBS[verb](task, by=person)
            transaction.set_rollback(True)


REPORTS = [lambda task, by: do.report(task, by=by, good=1), lambda task, by: do.complete_task(task, by=by, good=1000), do.pause_task]


@pytest.mark.parametrize("verb", REPORTS, ids=["report", "complete", "pause"])
@pytest.mark.parametrize(
    "who", ["second_operator", "stranger", "maker", "salesperson", "planner", "auditor", "prepress_lead", "administrator"]
)
def test_only_who_has_it_and_his_supervisor_report(shop, running_task, verb, who):
    with pytest.raises(PermissionDenied):
        verb(running_task, by=shop.people[who])


# --- readiness


def test_what_a_step_waits_for_is_named(shop, operator):
    order = shop.approved(received=False)
    task = shop.task(order, "PRT")
    Tool.objects.update(confirmed_at=None, confirmed_by=None)
    with pytest.raises(RuleError) as refusal:
        do.start_task(task, by=operator)
    assert refusal.value.code == "not_ready"
    assert refusal.value.extra["missing"] == [
        "plate making is not completed yet.",
        "stock cutting is not completed yet.",
        "artwork TOOL-leaflet v1 is not confirmed.",
        "Material Coated art 157 g 889x1194 is not received.",
    ]
    task.refresh_from_db()
    assert (task.status, task.operator) == ("pending", None)


def test_confirming_and_receiving_make_it_ready(shop, operator, planner, maker):
    order = shop.approved(received=False)
    tool = order.tools.get()
    Tool.objects.update(confirmed_at=None, confirmed_by=None)
    step = order.steps.get(process__code="PRT")
    for one in order.tasks.filter(step__stage="prepare"):
        if one.step.process.code == "CUT":
            do.receive_material(order.materials.get(), by=maker)
        shop.finish(one)
    order = WorkOrder.objects.get(pk=order.pk)
    assert step_status(step, what_is_missing(order)[step.pk]) == "waiting"
    confirm_tool(Tool.objects.get(pk=tool.pk), by=planner)
    assert what_is_missing(order)[step.pk] == []
    assert step_status(step, []) == "ready"
    assert do.start_task(shop.task(order, "PRT"), by=operator).status == "in_progress"


def test_a_transfer_minimum_lets_the_next_step_begin_early(shop, running_task, operator):
    Step.objects.filter(order=running_task.order, process__code="PACK").update(transfer_minimum=200)
    pack = shop.task(running_task.order, "PACK")
    packer = shop.worker_of(pack)
    do.report(running_task, by=operator, good=199)
    with pytest.raises(RuleError, match="199 of the 200"):
        do.start_task(pack, by=packer)
    do.report(running_task, by=operator, good=1)
    assert do.start_task(pack, by=packer).status == "in_progress"


def test_a_supervisor_starts_it_all_the_same_with_a_reason(shop, supervisor):
    task = shop.task(shop.approved(), "PRT")
    assert code_of(do.start_task, task, by=supervisor) == "not_ready"
    task = do.start_task(task, by=supervisor, reason="Plates are on the press already.")
    assert task.events.first().reason == "Plates are on the press already."


def test_an_operators_reason_does_not_open_what_is_not_ready(shop, operator):
    assert code_of(do.start_task, shop.task(shop.approved(), "PRT"), by=operator, reason="I want to.") == "not_ready"


def test_a_cancelled_task_never_blocks_the_steps_after_it(shop, supervisor, operator, prepress_lead):
    order = shop.approved()
    do.cancel_task(shop.task(order, "CTP"), by=prepress_lead, reason="Plates are here.")
    shop.finish(shop.task(order, "CUT"))
    assert order.steps.get(process__code="CTP").status == "skipped"
    assert do.start_task(shop.task(order, "PRT"), by=operator).status == "in_progress"


def test_what_is_missing_costs_the_same_for_any_order(shop):
    counts = []
    for products in (["leaflet"], ["leaflet", "poster", "carton"]):
        order = shop.approved(*products)
        with count_queries() as queries:
            what_is_missing(WorkOrder.objects.get(pk=order.pk))
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- assign


def test_an_assigned_task_is_pinned_and_everybody_is_told(shop, pending_task, supervisor, operator, second_operator):
    do.assign_task(pending_task, by=supervisor, operator=operator, reason="Knows the job.")
    task = do.assign_task(pending_task, by=supervisor, operator=second_operator)
    assert (task.status, task.operator, task.is_pinned) == ("assigned", second_operator, True)
    assert (told("task_assigned"), told("task_taken_away")) == (["second_operator", "operator"], ["operator"])
    assert [one.reason for one in task.decisions.all()[:2]] == ["Supervisor decided so.", "Supervisor decided so: Knows the job."]


def test_work_that_is_handed_over_is_handed_over_paused(shop, running_task, operator, second_operator, supervisor):
    do.report(running_task, by=operator, good=100)
    task = do.assign_task(running_task, by=supervisor, operator=second_operator)
    assert (task.status, task.operator, task.good) == ("paused", second_operator, 100)
    with pytest.raises(PermissionDenied):
        do.report(task, by=operator, good=1)
    assert do.resume_task(task, by=second_operator).status == "in_progress"


def test_running_work_does_not_go_back_to_a_queue(shop, running_task, supervisor):
    assert code_of(do.assign_task, running_task, by=supervisor, department=shop.departments["outsourcing"]) == "in_work"


def test_a_task_can_go_to_the_queue_of_another_department_that_can_do_it(shop, pending_task, supervisor, stranger):
    task = do.assign_task(pending_task, by=supervisor, department=shop.departments["outsourcing"])
    assert (task.status, task.department.code, task.is_pinned) == ("pending", "outsourcing", True)
    assert do.claim_task(task, by=stranger).operator == stranger


def test_who_cannot_take_it_is_refused(shop, pending_task, supervisor, stranger, operator, second_operator):
    assert code_of(do.assign_task, pending_task, by=supervisor, operator=stranger) == "not_member"
    assert code_of(do.assign_task, pending_task, by=supervisor, department=shop.departments["packaging"]) == "cannot_do"
    assert code_of(do.assign_task, pending_task, by=supervisor) == "nobody"
    operator.absent_until = timezone.localdate()
    operator.save()
    assert code_of(do.assign_task, pending_task, by=supervisor, operator=operator) == "absent"
    second_operator.is_active = False
    second_operator.save()
    assert code_of(do.assign_task, pending_task, by=supervisor, operator=second_operator) == "not_member"


def test_a_supervisor_cannot_push_a_task_into_a_department_that_is_not_his(shop, pending_task, supervisor, prepress_lead):
    """Design is outside of production: even if it could print, the production lead does not fill its queue."""
    shop.processes["PRT"].departments.add(shop.departments["design"])
    member = prepress_lead
    with pytest.raises(PermissionDenied):
        do.assign_task(pending_task, by=supervisor, department=shop.departments["design"], operator=member)


def test_an_absence_that_is_over_counts_no_more(pending_task, supervisor, operator):
    operator.absent_until = timezone.localdate() - timedelta(days=1)
    operator.save()
    assert do.assign_task(pending_task, by=supervisor, operator=operator).operator == operator


def test_the_planner_gives_a_home_to_a_task_that_has_none(shop, planner, operator):
    from apps.dispatch.models import DispatchRule

    DispatchRule.objects.filter(process__code="PRT").delete()
    shop.processes["PRT"].departments.clear()
    order = shop.approved()
    task = shop.task(order, "PRT")
    assert task.department is None
    assert list(Task.objects.undispatched()) == [task]
    assert "planner" in told("task_undispatched")
    shop.processes["PRT"].departments.add(shop.departments["printing"])
    task = do.assign_task(task, by=planner, department=shop.departments["printing"])
    assert task.department.code == "printing"


# --- split and cancel


def test_a_split_keeps_the_sum_and_the_queue(pending_task, supervisor):
    tasks = do.split_task(pending_task, by=supervisor, quantities=[300, 200])
    assert [(task.planned, task.status, task.department.code) for task in tasks] == [
        (500, "pending", "printing"),
        (300, "pending", "printing"),
        (200, "pending", "printing"),
    ]
    assert {task.split_from_id for task in tasks[1:]} == {pending_task.pk}
    assert Step.objects.get(pk=pending_task.step_id).planned == 1000
    event = pending_task.events.filter(verb="split").get()
    assert event.data == {"planned": [1000, 500], "parts": [300, 200]}


def test_a_running_task_is_split_without_touching_what_was_made(running_task, operator, supervisor):
    do.report(running_task, by=operator, good=400)
    first, part = do.split_task(running_task, by=supervisor, quantities=[600])
    assert (first.planned, first.good, first.status, first.operator) == (400, 400, "in_progress", operator)
    assert (part.planned, part.good, part.status, part.operator) == (600, 0, "pending", None)


@pytest.mark.parametrize(
    ("quantities", "code"),
    [([], "bad_split"), ([1000], "bad_split"), ([600, 400], "bad_split"), ([0], "bad_number"), ([-5], "bad_number"), (["5"], "bad_number"),
     ([True], "bad_number"), ([10**12], "bad_number"), ([1] * 51, "bad_split")],
)  # fmt: skip
def test_an_impossible_split_is_refused(pending_task, supervisor, quantities, code):
    assert code_of(do.split_task, pending_task, by=supervisor, quantities=quantities) == code
    assert Task.objects.filter(order=pending_task.order).count() == 4


def test_the_step_completes_when_all_parts_have(shop, pending_task, supervisor, operator):
    first, part = do.split_task(pending_task, by=supervisor, quantities=[300])
    shop.finish(part, by=operator)
    assert Step.objects.get(pk=first.step_id).status == "in_progress"
    shop.finish(first, by=operator)
    assert Step.objects.get(pk=first.step_id).status == "completed"


def test_cancelling_the_last_open_task_completes_the_order(shop, operator, pending_task, supervisor):
    shop.finish(pending_task, by=operator)
    pack = shop.task(pending_task.order, "PACK")
    do.cancel_task(pack, by=supervisor, reason="Delivered flat.")
    assert WorkOrder.objects.get(pk=pack.order_id).status == "completed"


def test_cancelling_everything_completes_nothing(shop, supervisor, prepress_lead):
    order = shop.approved()
    for task in order.tasks.select_related("department"):
        do.cancel_task(task, by=prepress_lead if task.department.code == "design" else supervisor, reason="Wrong order.")
    order = WorkOrder.objects.get(pk=order.pk)
    assert order.status == "approved"
    assert set(order.steps.values_list("status", flat=True)) == {"skipped"}


def test_a_cancelled_task_keeps_its_reports_and_its_holder_is_told(running_task, operator, supervisor):
    do.report(running_task, by=operator, good=5)
    task = do.cancel_task(running_task, by=supervisor, reason="The customer changed it.")
    assert (task.status, task.good) == ("cancelled", 5)
    assert told("task_taken_away") == ["operator"]
    assert code_of(do.report, task, by=operator, good=1) == "wrong_state"


@pytest.mark.parametrize("reason", ["", "  "])
def test_cancelling_needs_a_reason(pending_task, supervisor, reason):
    assert code_of(do.cancel_task, pending_task, by=supervisor, reason=reason) == "reason_needed"


# --- pause


def test_a_pause_says_why(running_task, operator):
    task = do.pause_task(running_task, by=operator, reason_code="machine", reason="Roller broken.")
    assert (task.events.first().reason_code, task.events.first().reason) == ("machine", "Roller broken.")
    with pytest.raises(InvalidInput) as refusal:
        do.pause_task(do.resume_task(task, by=operator), by=operator, reason_code="tired")
    assert (refusal.value.code, refusal.value.field) == ("unknown_reason", "reason_code")


def test_a_paused_task_cannot_be_completed(running_task, operator):
    do.pause_task(running_task, by=operator)
    assert code_of(do.complete_task, running_task, by=operator, good=1000) == "wrong_state"


def test_who_left_the_department_keeps_what_he_has_and_claims_nothing_new(shop, operator, pending_task):
    from tests.personas import again

    task = do.claim_task(pending_task, by=operator)
    Membership.objects.filter(user=operator).delete()
    operator = again(operator)
    assert do.start_task(task, by=operator).status == "in_progress"
    other = shop.ready_to_print(shop.approved())
    with pytest.raises(PermissionDenied):
        do.claim_task(other, by=operator)


def test_every_event_of_a_task_is_signed(shop, completed_order):
    assert not WorkEvent.objects.filter(request_id="").exists()
    assert not WorkEvent.objects.filter(source="").exists()
    last = {task.pk: task.events.exclude(to_status="").first().to_status for task in completed_order.tasks.all()}
    assert last == dict(completed_order.tasks.values_list("pk", "status"))
