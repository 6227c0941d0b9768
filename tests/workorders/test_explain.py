from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.workorders.explain import explain, sees
from apps.workorders.models import Task, TaskUserShare, WorkOrder, WorkOrderUserShare
from apps.workorders.services import assign_task, share
from tests.personas import PEOPLE, again
from tests.queries import count_queries
from tests.shop import make_shop


@pytest.fixture(scope="module")
def _filled_shop(django_db_setup, django_db_blocker):
    """Built once for this file; each test works inside a savepoint of its own."""
    with django_db_blocker.unblock(), transaction.atomic():
        shop = make_shop()
        fill(shop)
        yield shop
        transaction.set_rollback(True)


@pytest.fixture
def shop(_filled_shop, db):
    return _filled_shop


@pytest.fixture
def things(shop):
    return [*WorkOrder.objects.all(), *Task.objects.all()]


def fill(shop):
    """Orders and tasks of every kind: drafts, queued, running, undispatched, completed, of others, shared in every way."""
    shop.draft()
    shop.draft(by="other_maker", customer=shop.other_customer)
    shop.submitted("carton")
    waiting = shop.approved("poster", dispatched=False)
    Task.objects.filter(order=waiting).update(department=None)
    running = shop.approved("carton")
    shop.started(shop.ready_to_print(running), by="operator")
    shop.finish_all(shop.approved("leaflet"))
    abroad = shop.approved("leaflet", by="other_maker", customer=shop.other_customer, received=False)
    assign_task(shop.task(abroad, "PRT"), by=shop.people["supervisor"], operator=shop.people["second_operator"])
    assign_task(shop.task(abroad, "CUT"), by=shop.people["supervisor"], department=shop.departments["outsourcing"])
    told, lapsed, told_group = shop.approved("leaflet"), shop.approved("leaflet"), shop.approved("leaflet")
    lead = shop.people["supervisor"]
    share(told, by=lead, user=shop.people["stranger"], expires_at=timezone.now() + timedelta(days=1))
    share(shop.task(told, "PRT"), by=lead, user=shop.people["nobody"])
    share(shop.task(lapsed, "PRT"), by=lead, user=shop.people["stranger"])
    share(lapsed, by=lead, user=shop.people["nobody"], expires_at=timezone.now() + timedelta(days=1))
    past = timezone.now() - timedelta(minutes=1)
    WorkOrderUserShare.objects.filter(content_object=lapsed).update(expires_at=past)
    TaskUserShare.objects.filter(content_object__order=lapsed).update(expires_at=past)
    share(told_group, by=lead, group=Group.objects.get(name=Role.OPERATOR))
    share(shop.task(told_group, "PACK"), by=lead, group=Group.objects.get(name=Role.ADMINISTRATOR))


@pytest.mark.parametrize("name", PEOPLE)
def test_the_clauses_add_up_to_what_visible_to_says_for_every_order_and_task(shop, things, name):
    user = again(shop.people[name])

    told = {(type(thing).__name__, thing.pk): sees(explain(user, thing)) for thing in things}

    seen = {(model.__name__, pk): True for model in (WorkOrder, Task) for pk in model.objects.visible_to(user).values_list("pk", flat=True)}
    assert {key for key, value in told.items() if value} == set(seen)


def test_somebody_with_several_roles_is_explained_as_he_sees(shop, things):
    user = shop.people["operator"]
    user.groups.add(*Group.objects.filter(name__in=[Role.MAKER, Role.SALESPERSON, Role.SUPERVISOR]))
    user = again(user)
    assert {thing.pk for thing in things if isinstance(thing, Task) and sees(explain(user, thing))} == set(
        Task.objects.visible_to(user).values_list("pk", flat=True)
    )


def test_an_inactive_account_sees_nothing_and_is_told_why(shop, things):
    User.objects.filter(username="planner").update(is_active=False)
    clauses = explain(again(shop.people["planner"]), things[0])
    assert [(clause.rule, clause.holds) for clause in clauses] == [("active", False)]
    assert "planner" in clauses[0].detail


def test_the_rule_that_lets_somebody_see_is_named_with_its_reason(shop, running_task):
    held = {
        name: [(clause.rule, clause.detail) for clause in explain(shop.people[name], running_task) if clause.holds]
        for name in ("maker", "salesperson", "supervisor", "operator", "planner", "superuser")
    }
    assert held == {
        "maker": [("maker", "Is the maker of the order.")],
        "salesperson": [("salesperson", "Is the salesperson of Sunrise.")],
        "supervisor": [("leads", "Leads printing, or a department above.")],
        "operator": [("own_task", "Has the task.")],
        "planner": [("sees_all", "A planner or auditor sees everything. Roles: planner.")],
        "superuser": [("superuser", "The account is a superuser.")],
    }


def test_who_does_not_see_a_task_hears_what_is_missing(shop, running_task):
    details = {clause.rule: clause.detail for clause in explain(shop.people["second_operator"], running_task)}
    assert details["own_task"] == "Operator has the task."
    assert details["queue"] == "Works in printing, but the task is in progress: only a pending one shows to the whole department."
    details = {clause.rule: clause.detail for clause in explain(shop.people["stranger"], running_task)}
    assert details["queue"] == "Does not work in printing."
    details = {clause.rule: clause.detail for clause in explain(shop.people["prepress_lead"], running_task)}
    assert details["leads"] == "The work is in printing, which he does not lead."


def test_a_lapsed_share_is_told_with_its_end(shop, approved_order):
    row = share(approved_order, by=shop.people["supervisor"], user=shop.people["stranger"])
    (clause,) = [clause for clause in explain(shop.people["stranger"], approved_order) if clause.rule == "shared_order"]
    assert clause.holds
    assert clause.detail == f"Order {approved_order} was shared by Supervisor, for good."
    WorkOrderUserShare.objects.filter(pk=row.pk).update(expires_at=timezone.make_aware(timezone.datetime(2026, 1, 2, 3, 4)))
    (clause,) = [clause for clause in explain(shop.people["stranger"], approved_order) if clause.rule == "shared_order"]
    assert not clause.holds
    assert clause.detail == f"Order {approved_order} was shared until 2026-01-02 03:04."


def test_an_explanation_costs_a_fixed_number_of_queries(shop, running_task):
    task = Task.objects.select_related("order__customer__salesperson", "order__maker", "department", "operator").get(pk=running_task.pk)
    with count_queries(most=7):
        explain(again(shop.people["operator"]), task)


def test_an_order_without_customer_or_maker_can_be_explained(shop):
    order = shop.draft(by="supervisor", customer=None)
    details = {clause.rule: clause.detail for clause in explain(shop.people["salesperson"], order)}
    assert details["maker"] == "The order has no maker yet."
    assert details["salesperson"] == "The order's customer has no salesperson."
    assert [clause.rule for clause in explain(shop.people["supervisor"], order) if clause.holds] == ["created", "leads"]
