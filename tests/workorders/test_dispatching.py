from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.translation import override

from apps.accounts.models import Department, Membership, User
from apps.accounts.services import system_user
from apps.core import jobs
from apps.core.errors import RuleError
from apps.dispatch.models import DispatchDecision, DispatchRule, Strategy
from apps.notices.models import Notice
from apps.workorders import services as do
from apps.workorders.models import Task, WorkOrder
from tests import factories


@pytest.fixture
def rule(shop):
    """The rule that sends printing to the press room."""
    return DispatchRule.objects.get(process__code="PRT", department__code="printing")


def printing_of(order) -> Task:
    return Task.objects.select_related("department", "operator").get(order=order, step__process__code="PRT")


def set_rule(rule, **changes):
    for name, value in changes.items():
        setattr(rule, name, value)
    rule.save()


def test_approved_tasks_go_where_the_rules_say_and_wait_to_be_claimed(shop):
    order = shop.approved("carton")
    places = dict(order.tasks.values_list("step__process__code", "department__code"))
    assert places == {
        "CTP": "design",
        "CUT": "cutting",
        "PRT": "printing",
        "LAM_M": "printing",
        "FOIL_G": "die_cutting",
        "DIE": "die_cutting",
        "BOX": "packaging",
        "PACK": "packaging",
    }
    assert set(order.tasks.values_list("status", "operator")) == {("pending", None)}


def test_each_task_says_why_it_is_where_it_is(shop):
    decision = printing_of(shop.approved()).decisions.get()
    assert decision.reason == "The rule of priority 90 sends printing to printing. It waits in the queue to be claimed."
    assert {(one["kind"], one["name"], one["verdict"]) for one in decision.candidates} == {
        ("department", "printing", "chosen"),
        ("department", "outsourcing", "lower_priority"),
        ("department", "production", "lower_priority"),
    }
    assert (decision.applied, decision.rule.priority, decision.made_by.username) == (True, 90, system_user().username)
    with override("zh-hans"):
        assert "印刷" in decision.reason


def test_preview_and_apply_are_the_same_choice_and_preview_writes_nothing(shop, rule, operator):
    set_rule(rule, strategy=Strategy.LEAST_LOADED)
    order = shop.approved(dispatched=False)
    before = DispatchDecision.objects.count(), Task.objects.values_list("version", flat=True).order_by("pk")[0]
    preview = do.preview_task(printing_of(order))
    assert (DispatchDecision.objects.count(), Task.objects.values_list("version", flat=True).order_by("pk")[0]) == before
    applied = do.dispatch_task(printing_of(order), by=system_user())
    same = ("department_id", "operator_id", "rule_id", "candidates", "reasons")
    assert [getattr(preview, name) for name in same] == [getattr(applied, name) for name in same]
    assert (preview.pk, preview.applied) == (None, False)


def test_least_loaded_counts_open_work_in_minutes(shop, rule, operator, second_operator, supervisor):
    first = shop.ready_to_print(shop.approved())
    do.assign_task(first, by=supervisor, operator=operator)
    set_rule(rule, strategy=Strategy.LEAST_LOADED)
    task = printing_of(shop.approved())
    assert (task.status, task.operator) == ("assigned", second_operator)
    loads = {one["name"]: one["load"] for one in task.decisions.get().candidates if one["kind"] == "operator"}
    assert loads == {"Operator": 30 + 12, "Second Operator": 0}
    assert Notice.objects.filter(kind="task_assigned", user=second_operator).count() == 1


def test_round_robin_is_kept_in_the_database(shop, rule, operator, second_operator):
    set_rule(rule, strategy=Strategy.ROUND_ROBIN)
    turns = [printing_of(shop.approved()).operator for _order in range(4)]
    assert turns == [operator, second_operator, operator, second_operator]
    rule.refresh_from_db()
    assert rule.last_operator == second_operator


def test_the_turn_of_the_round_robin_is_no_edit_of_the_rule(shop, rule):
    """A planner's open form must not go stale because a task was dispatched."""
    set_rule(rule, strategy=Strategy.ROUND_ROBIN)
    before = DispatchRule.objects.get(pk=rule.pk).version, rule.history.count()
    shop.approved()
    assert (DispatchRule.objects.get(pk=rule.pk).version, rule.history.count()) == before


def test_who_did_the_step_before_goes_on(shop, rule, operator):
    shop.processes["VAN"].save()
    DispatchRule.objects.filter(process__code="VAN", department__code="printing").update(strategy=Strategy.SAME_AS_PREVIOUS)
    order = shop.approved(steps_text="PRT > VAN > PACK", dispatched=False)
    do.dispatch_task(printing_of(order), by=system_user())
    shop.finish(printing_of(order), by=operator)
    do.dispatch_order(order, by=system_user())
    assert shop.task(order, "VAN").operator == operator


def test_absent_inactive_and_full_people_get_nothing(shop, rule, operator, second_operator):
    set_rule(rule, strategy=Strategy.ROUND_ROBIN, wip_limit=1)
    operator.absent_until = timezone.localdate()
    operator.save()
    first, second = printing_of(shop.approved()), printing_of(shop.approved())
    assert (first.operator, second.operator) == (second_operator, None)
    assert second.status == "pending"
    told = {one["name"]: one["verdict"] for one in second.decisions.get().candidates if one["kind"] == "operator"}
    assert told == {"Operator": "absent", "Second Operator": "full"}
    operator.absent_until = timezone.localdate() - timedelta(days=1)
    operator.save()
    assert printing_of(shop.approved()).operator == operator


def test_only_operators_are_dispatched_to(shop, rule, operator, second_operator):
    lead = factories.UserFactory()
    Membership.objects.create(user=lead, department=shop.departments["printing"], is_lead=True)
    set_rule(rule, strategy=Strategy.LEAST_LOADED)
    assert printing_of(shop.approved()).operator == operator


def test_an_inactive_department_loses_its_tasks_to_the_next_rule(shop):
    Department.objects.filter(code="printing").update(is_active=False)
    task = printing_of(shop.approved())
    assert task.department.code == "outsourcing"
    assert ("printing", "inactive") in {(one["name"], one["verdict"]) for one in task.decisions.get().candidates}


def test_a_department_that_lost_the_process_is_passed_over(shop):
    shop.processes["PRT"].departments.remove(shop.departments["printing"])
    assert printing_of(shop.approved()).department.code == "outsourcing"


def test_an_inactive_rule_does_not_count(shop, rule):
    set_rule(rule, is_active=False)
    assert printing_of(shop.approved()).department.code == "outsourcing"


def test_without_a_rule_the_first_department_that_can_do_it_gets_it(shop):
    DispatchRule.objects.filter(process__code="PRT").delete()
    task = printing_of(shop.approved())
    assert task.department.code == "production"
    assert task.decisions.get().reason.startswith("No rule fits; production is the first department")


def test_a_tie_of_priorities_goes_to_the_smaller_open_load(shop, rule):
    DispatchRule.objects.filter(process__code="PRT", department__code="outsourcing").update(priority=90)
    first, second = printing_of(shop.approved()), printing_of(shop.approved())
    assert (first.department.code, second.department.code) == ("printing", "outsourcing")
    assert "has the least open work (0 min)" in second.decisions.get().reason


def test_a_rerun_gives_the_same_answer(shop, supervisor):
    DispatchRule.objects.filter(process__code="PRT", department__code="outsourcing").update(priority=90)
    task = printing_of(shop.approved())
    places = {do.dispatch_task(task, by=supervisor).department.code for _turn in range(3)}
    assert places == {"printing"}


def test_nobody_who_can_do_it_leaves_it_undispatched_and_the_planner_is_told_once(shop, supervisor):
    shop.processes["PRT"].departments.clear()
    order = shop.approved()
    task = printing_of(order)
    assert (task.department, task.status) == (None, "pending")
    assert list(Task.objects.undispatched()) == [task]
    assert Notice.objects.filter(kind="task_undispatched").count() == 1
    shop.processes["PRT"].departments.add(shop.departments["printing"])
    do.dispatch_order(order, by=supervisor)
    assert printing_of(order).department.code == "printing"


def test_dispatching_twice_changes_nothing(shop, supervisor):
    order = shop.approved()
    before = list(order.tasks.order_by("pk").values_list("pk", "version", "department"))
    assert do.dispatch_order(order, by=supervisor) == []
    assert list(order.tasks.order_by("pk").values_list("pk", "version", "department")) == before


def test_a_pinned_task_is_never_dispatched_over(shop, supervisor, operator):
    order = shop.approved()
    task = do.assign_task(printing_of(order), by=supervisor, department=shop.departments["outsourcing"])
    assert do.dispatch_order(order, by=supervisor) == []
    with pytest.raises(RuleError) as refusal:
        do.dispatch_task(task, by=supervisor)
    assert refusal.value.code == "pinned"
    assert printing_of(order).department.code == "outsourcing"


def test_a_task_that_was_pinned_before_dispatch_stays_where_it_is(shop, supervisor):
    order = shop.approved(dispatched=False)
    do.assign_task(printing_of(order), by=supervisor, department=shop.departments["outsourcing"])
    assert len(do.dispatch_order(order, by=supervisor)) == 3
    assert printing_of(order).department.code == "outsourcing"


def test_releasing_unpins(shop, pending_task, supervisor, operator):
    do.assign_task(pending_task, by=supervisor, operator=operator)
    task = do.release_task(pending_task, by=operator)
    assert not task.is_pinned
    assert do.dispatch_task(task, by=supervisor).department.code == "printing"


def test_each_decision_belongs_to_one_version_of_the_task(shop, supervisor, operator, second_operator):
    task = shop.ready_to_print(shop.approved())
    do.dispatch_task(task, by=supervisor)
    do.assign_task(task, by=supervisor, operator=operator)
    do.assign_task(task, by=supervisor, operator=second_operator)
    versions = list(task.decisions.values_list("task_version", flat=True))
    assert len(versions) == len(set(versions)) == 4


def test_a_preset_change_takes_effect_at_the_next_dispatch(shop, rule, supervisor):
    order = shop.approved()
    DispatchRule.objects.filter(process__code="PRT", department__code="outsourcing").update(priority=99)
    assert printing_of(order).department.code == "printing"
    do.dispatch_task(printing_of(order), by=supervisor)
    assert printing_of(order).department.code == "outsourcing"


@pytest.mark.parametrize("who", ["maker", "salesperson", "operator", "stranger", "auditor", "administrator", "nobody", "other_maker"])
def test_who_may_not_dispatch(shop, who):
    order = shop.approved(dispatched=False)
    with pytest.raises(PermissionDenied):
        do.dispatch_order(order, by=shop.people[who])


@pytest.mark.parametrize("who", ["supervisor", "planner", "superuser"])
def test_who_may_dispatch(shop, who):
    assert len(do.dispatch_order(shop.approved(dispatched=False), by=shop.people[who])) == 4


# --- the queue is a hint, the table is the truth


def test_the_job_dispatches_signed_as_a_job_by_the_system(shop):
    order = shop.approved(dispatched=False)
    assert jobs.run("workorders.dispatch", order.pk, request_id="request-9") == 4
    event = printing_of(order).events.first()
    assert (event.verb, event.source, event.actor, event.request_id) == ("dispatch", "job", system_user(), "request-9")


def test_a_job_that_runs_twice_or_for_nothing_does_nothing(shop, draft_order):
    order = shop.approved(dispatched=False)
    assert [jobs.run("workorders.dispatch", order.pk) for _turn in range(2)] == [4, 0]
    assert jobs.run("workorders.dispatch", draft_order.pk) == 0
    assert jobs.run("workorders.dispatch", 0) == 0


def test_the_sweeper_finds_what_no_hint_told_of(shop):
    orders = [shop.approved(dispatched=False) for _order in range(2)]
    assert jobs.run("workorders.sweep") == 8
    assert not Task.objects.needing_dispatch().exists()
    assert jobs.run("workorders.sweep") == 0
    assert {order.tasks.filter(status="pending").count() for order in orders} == {4}


def test_the_sweeper_leaves_held_orders_alone_and_resuming_finds_them(shop, salesperson):
    order = do.hold_order(shop.approved(dispatched=False), by=salesperson, reason="Wait.")
    assert jobs.run("workorders.sweep") == 0
    do.resume_order(order, by=salesperson)
    assert jobs.run("workorders.sweep") == 4


def test_two_orders_are_dispatched_in_one_sweep_without_a_double_assignment(shop, rule, operator):
    set_rule(rule, strategy=Strategy.LEAST_LOADED, wip_limit=1)
    orders = [shop.approved(dispatched=False) for _order in range(3)]
    jobs.run("workorders.sweep")
    assert sorted(str(printing_of(order).operator) for order in orders) == ["None", "Operator", "Second Operator"]
    held = WorkOrder.objects.filter(tasks__operator=operator).count()
    assert held == 1


def test_the_system_user_is_no_candidate(shop, rule):
    system = system_user()
    assert not User.objects.filter(pk=system.pk, groups__name="operator").exists()
