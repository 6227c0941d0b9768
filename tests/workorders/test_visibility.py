"""`visible_to` row by row: who sees which orders, tasks, steps, parts and events, from role, tree, ownership and shares."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group

from apps.accounts.models import Department, Membership
from apps.accounts.services import system_user
from apps.workorders import services as do
from apps.workorders.models import OrderLine, OrderMaterial, ShareLevel, Step, Task, WorkEvent, WorkOrder
from apps.workorders.moves import task_moves
from tests.personas import again
from tests.queries import count_queries

EVERYTHING = {"planner", "auditor", "superuser"}


@pytest.fixture
def sunrise(shop):
    """An order of Sunrise, made by `maker`, running: `operator` prints it."""
    order = shop.approved()
    shop.started(shop.ready_to_print(order), by="operator")
    return WorkOrder.objects.get(pk=order.pk)


@pytest.fixture
def moonlight(shop):
    """An order of Moonlight, made by `other_maker`: plates and outsourced printing only, waiting to be claimed."""
    order = shop.draft(by="other_maker", customer=shop.other_customer, steps_text="CTP > VAN")
    order = do.submit_order(order, by=shop.people["other_maker"])
    order = do.approve_order(order, by=shop.people["other_salesperson"])
    do.dispatch_order(order, by=system_user())
    task = shop.task(order, "VAN")
    do.assign_task(task, by=shop.people["supervisor"], department=shop.departments["outsourcing"])
    return WorkOrder.objects.get(pk=order.pk)


def seen(model, user, **filters) -> set:
    return set(model.objects.visible_to(again(user)).filter(**filters))


def test_who_sees_which_order(shop, sunrise, moonlight):
    expected = {
        "maker": {sunrise},
        "salesperson": {sunrise},
        "other_maker": {moonlight},
        "other_salesperson": {moonlight},
        "supervisor": {sunrise, moonlight},
        "prepress_lead": {sunrise, moonlight},
        "operator": set(),
        "second_operator": set(),
        "stranger": set(),
        "administrator": set(),
        "nobody": set(),
    } | {name: {sunrise, moonlight} for name in EVERYTHING}
    assert {name: seen(WorkOrder, user) for name, user in shop.people.items() if name in expected} == expected


def test_who_sees_which_task(shop, sunrise, moonlight):
    ours = {task.step.process.code: task for task in sunrise.tasks.select_related("step__process")}
    theirs = {task.step.process.code: task for task in moonlight.tasks.select_related("step__process")}
    expected = {
        "maker": set(ours.values()),
        "salesperson": set(ours.values()),
        "other_maker": set(theirs.values()),
        "other_salesperson": set(theirs.values()),
        "supervisor": {ours["CUT"], ours["PRT"], ours["PACK"], theirs["VAN"]},
        "prepress_lead": {ours["CTP"], theirs["CTP"]},
        "operator": {ours["PRT"]},
        "second_operator": set(),
        "stranger": {theirs["VAN"]},
        "administrator": set(),
        "nobody": set(),
    } | {name: set(ours.values()) | set(theirs.values()) for name in EVERYTHING}
    assert {name: seen(Task, user) for name, user in shop.people.items() if name in expected} == expected


@pytest.mark.parametrize("model", [Step, OrderLine, OrderMaterial])
def test_parts_are_seen_with_their_order(shop, sunrise, moonlight, model):
    for name, user in shop.people.items():
        orders = seen(WorkOrder, user)
        assert {one.order for one in seen(model, user)} == orders, name


def test_events_are_seen_with_their_task_or_else_their_order(shop, sunrise, moonlight):
    for name, user in shop.people.items():
        tasks, orders = seen(Task, user), seen(WorkOrder, user)
        expected = {event for event in WorkEvent.objects.all() if (event.task in tasks if event.task_id else event.order in orders)}
        assert seen(WorkEvent, user) == expected, name


def test_anonymous_and_inactive_people_see_nothing(shop, sunrise, superuser, planner):
    for user in (superuser, planner):
        user.is_active = False
        user.save()
    for model in (WorkOrder, Task, Step, OrderLine, OrderMaterial, WorkEvent):
        assert list(model.objects.visible_to(AnonymousUser())) == []
        assert seen(model, superuser) == set()
        assert seen(model, planner) == set()


def test_a_draft_task_counts_by_the_department_that_dispatch_would_choose(shop, supervisor, prepress_lead):
    order = shop.draft(steps_text="CTP")
    assert seen(WorkOrder, supervisor) == set()
    assert seen(WorkOrder, prepress_lead) == {order}
    assert {task.order for task in seen(Task, prepress_lead)} == {order}


def test_operators_see_no_draft_and_no_task_of_another_hand(shop, operator, second_operator, sunrise):
    shop.draft()
    assert seen(Task, second_operator) == set()
    task = seen(Task, operator).pop()
    do.pause_task(task, by=operator)
    assert seen(Task, operator) == {task}
    assert seen(Task, second_operator) == set()


def test_what_an_operator_finished_stays_in_his_sight(shop, operator, sunrise):
    task = seen(Task, operator).pop()
    do.complete_task(task, by=operator, good=1000)
    assert seen(Task, operator) == {task}


def test_leading_reaches_the_departments_below_and_not_those_beside(shop, sunrise):
    lead = shop.people["nobody"]
    lead.groups.add(shop.people["supervisor"].groups.get())
    Membership.objects.create(user=lead, department=shop.departments["printing"], is_lead=True)
    assert {task.step.process.code for task in seen(Task, lead)} == {"PRT"}
    press = Department.objects.create(code="press_1", name="press 1", parent=shop.departments["printing"])
    Task.objects.filter(order=sunrise, step__process__code="PACK").update(department=press)
    assert {task.step.process.code for task in seen(Task, lead)} == {"PRT", "PACK"}


def test_a_lead_without_the_role_leads_nothing(shop, sunrise, operator):
    Membership.objects.filter(user=operator).update(is_lead=True)
    assert {task.step.process.code for task in seen(Task, operator)} == {"PRT"}
    assert seen(WorkOrder, operator) == set()


def test_several_roles_add_up(shop, sunrise, moonlight, operator, maker):
    operator.groups.add(maker.groups.get())
    WorkOrder.objects.filter(pk=moonlight.pk).update(maker=operator)
    assert seen(WorkOrder, operator) == {moonlight}
    assert {task.order for task in seen(Task, operator)} == {sunrise, moonlight}


def test_a_moved_membership_counts_from_the_next_request(shop, stranger, moonlight, sunrise):
    Membership.objects.filter(user=stranger).update(department=shop.departments["packaging"])
    assert {task.step.process.code for task in seen(Task, stranger)} == {"PACK"}


def test_claimable_is_what_one_could_claim_now(shop, operator, stranger, supervisor, second_operator, auditor, maker, moonlight):
    pending = shop.approved()
    held = do.hold_order(shop.approved(), by=shop.people["salesperson"], reason="Wait.")
    taken = shop.approved()
    do.claim_task(shop.task(taken, "PRT"), by=operator)
    shop.submitted()
    printing = shop.task(pending, "PRT")
    for person in (operator, second_operator):
        assert set(Task.objects.claimable_by(again(person))) == {printing}
    assert set(Task.objects.claimable_by(again(stranger))) == {shop.task(moonlight, "VAN")}
    assert set(Task.objects.claimable_by(again(auditor))) == set(Task.objects.claimable_by(again(maker))) == set()
    for task in Task.objects.claimable_by(again(operator)):
        assert do.claim_task(task, by=operator).operator == operator
    assert held.status == "on_hold"


def test_waiting_for_me_is_what_i_could_approve_now(shop, salesperson, other_salesperson, supervisor, maker, auditor):
    order, own = shop.submitted(), do.submit_order(shop.draft(by=salesperson), by=salesperson)
    shop.draft()
    assert set(WorkOrder.objects.waiting_for(again(salesperson))) == {order}
    assert set(WorkOrder.objects.waiting_for(again(supervisor))) == {order, own}
    for person in (other_salesperson, maker, auditor):
        assert set(WorkOrder.objects.waiting_for(again(person))) == set()


@pytest.mark.parametrize("model", [WorkOrder, Task])
def test_the_look_up_of_a_few_rows_sees_what_every_list_sees(shop, sunrise, moonlight, model):
    task, order = Task.objects.filter(order=sunrise).first(), moonlight
    do.share(task, by=shop.people["supervisor"], user=shop.people["stranger"])
    do.share(order, by=shop.people["other_salesperson"], user=shop.people["operator"])
    do.share(order, by=shop.people["other_salesperson"], group=Group.objects.get(name="maker"))
    do.share(task, by=shop.people["supervisor"], group=Group.objects.get(name="maker"))
    for person in (*map(again, shop.people.values()), AnonymousUser()):
        seen = set(model.objects.visible_to(person))
        assert set(model.objects.in_sight_of(person)) == seen, person
        assert len(model.objects.in_sight_of(person)) == len(seen), person


def test_a_row_of_the_look_up_tells_who_may_take_it_by_a_share(shop, supervisor, stranger, operator):
    task = shop.task(shop.approved(), "PRT")
    do.share(task, by=supervisor, user=stranger, level=ShareLevel.WORK)
    receiver = again(stranger)
    row = Task.objects.select_related("order").in_sight_of(receiver).get(pk=task.pk)
    with count_queries(0):
        assert task_moves(receiver, row) == ["claim", "start"]
    # What was read for one person says nothing about another.
    assert "claim" not in task_moves(again(shop.people["maker"]), row)
    assert "claim" in task_moves(again(operator), row)


@pytest.mark.parametrize("model", [WorkOrder, Task, WorkEvent, Step])
def test_the_scope_multiplies_no_rows_and_costs_no_more_for_more(shop, sunrise, moonlight, model, stranger, supervisor, operator):
    """Shares, memberships and leads are conditions, not joins."""
    for user in (stranger, operator):
        do.share(sunrise, by=supervisor, user=user)
        do.share(moonlight, by=supervisor, user=user)
    for user in shop.people.values():
        fresh = again(user)
        rows = list(model.objects.visible_to(fresh).values_list("pk", flat=True))
        assert len(rows) == len(set(rows))
        with count_queries(most=1):
            list(model.objects.visible_to(fresh))


def test_reading_what_a_user_is_costs_three_queries_once(shop, supervisor):
    fresh = again(supervisor)
    with count_queries(most=4):  # roles, departments, shares, and the rows themselves
        list(Task.objects.visible_to(fresh))
    with count_queries(most=1):
        list(Task.objects.visible_to(fresh))


@pytest.mark.parametrize("model", [WorkOrder, Task])
def test_a_row_of_a_list_needs_no_query_of_its_own(shop, model, planner):
    counts = []
    for more in (1, 4):
        for _order in range(more):
            shop.approved()
        with count_queries() as queries:
            for row in model.objects.visible_to(again(planner)).for_list():
                assert str(row.customer if model is WorkOrder else (row.order.customer, row.step.process, row.department, row.operator))
        counts.append(len(queries))
    assert counts[0] == counts[1]
