from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from apps.core import jobs
from apps.core.errors import InvalidInput
from apps.workorders import services as do
from apps.workorders.models import Task, TaskUserShare, WorkEvent, WorkOrder, WorkOrderUserShare
from apps.workorders.moves import task_moves
from tests.personas import again


def sees(user, thing) -> bool:
    return type(thing).objects.visible_to(again(user)).filter(pk=thing.pk).exists()


def test_a_shared_order_is_seen_with_its_tasks_and_events_and_nothing_else(shop, approved_order, supervisor, stranger):
    other = shop.approved()
    do.share(approved_order, by=supervisor, user=stranger)
    stranger = again(stranger)
    assert list(WorkOrder.objects.visible_to(stranger)) == [approved_order]
    assert set(Task.objects.visible_to(stranger)) == set(approved_order.tasks.all())
    assert WorkEvent.objects.visible_to(stranger).filter(order=approved_order).count() == approved_order.events.count()
    assert not WorkEvent.objects.visible_to(stranger).filter(order=other).exists()


def test_to_see_is_not_to_do(shop, pending_task, supervisor, stranger):
    do.share(pending_task, by=supervisor, user=stranger)
    assert sees(stranger, pending_task)
    task = Task.objects.select_related("order").get(pk=pending_task.pk)
    assert task_moves(again(stranger), task) == []
    for verb in (do.claim_task, do.start_task):
        with pytest.raises(PermissionDenied):
            verb(pending_task, by=again(stranger))


def test_a_task_shared_to_work_on_can_be_claimed_and_finished(shop, pending_task, supervisor, stranger):
    do.share(pending_task, by=supervisor, user=stranger, level="work")
    stranger = again(stranger)
    assert list(Task.objects.claimable_by(stranger)) == [pending_task]
    task = do.start_task(pending_task, by=stranger)
    assert do.complete_task(task, by=stranger, good=1000).status == "completed"
    assert not sees(stranger, pending_task.order)


def test_a_share_with_a_role_reaches_its_people(pending_task, supervisor, stranger, auditor, maker):
    do.share(pending_task, by=supervisor, group=Group.objects.get(name="operator"), level="work")
    assert sees(stranger, pending_task)
    assert list(Task.objects.claimable_by(again(stranger))) == [pending_task]
    assert do.claim_task(pending_task, by=again(stranger)).operator == stranger


def test_a_share_ends_by_itself(monkeypatch, pending_task, supervisor, stranger):
    until = timezone.now() + timedelta(hours=1)
    do.share(pending_task, by=supervisor, user=stranger, level="work", expires_at=until)
    assert sees(stranger, pending_task)
    later = until + timedelta(seconds=1)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert not sees(stranger, pending_task)
    with pytest.raises(PermissionDenied):
        do.claim_task(pending_task, by=again(stranger))
    assert jobs.run("workorders.expire_shares") == 1
    assert not TaskUserShare.objects.exists()


def test_a_share_is_taken_back(approved_order, supervisor, stranger):
    row = do.share(approved_order, by=supervisor, user=stranger)
    do.unshare(row, by=supervisor)
    assert not sees(stranger, approved_order)
    assert list(approved_order.events.filter(verb__in=["share", "unshare"]).order_by("pk").values_list("verb", flat=True)) == [
        "share",
        "unshare",
    ]


def test_sharing_again_changes_the_share(pending_task, supervisor, stranger):
    do.share(pending_task, by=supervisor, user=stranger, level="work")
    do.share(pending_task, by=supervisor, user=stranger, level="view")
    assert [(row.level, row.shared_by) for row in TaskUserShare.objects.filter(user=stranger)] == [("view", supervisor)]


@pytest.mark.parametrize(
    "who", ["operator", "second_operator", "stranger", "maker", "planner", "auditor", "administrator", "prepress_lead", "nobody"]
)
def test_who_may_not_share(shop, pending_task, who, stranger):
    """Nobody below supervisor, and no supervisor of another department: least of all with himself."""
    person = shop.people[who]
    for target in (person, stranger):
        with pytest.raises(PermissionDenied):
            do.share(pending_task, by=person, user=target)
    if who not in ("prepress_lead", "maker"):
        with pytest.raises(PermissionDenied):
            do.share(pending_task.order, by=person, user=person)
    assert not TaskUserShare.objects.exists()


def test_a_supervisor_shares_only_orders_that_he_sees(shop, supervisor, stranger):
    order = shop.approved(steps_text="CTP")
    with pytest.raises(PermissionDenied):
        do.share(order, by=supervisor, user=stranger)


def test_nobody_gives_more_than_he_has(shop, approved_order, salesperson, stranger):
    """The salesperson approves, but works on no task: he can let somebody see his customer's order, not work on it."""
    do.share(approved_order, by=salesperson, user=stranger)
    with pytest.raises(PermissionDenied):
        do.share(approved_order.tasks.first(), by=salesperson, user=stranger, level="work")


def test_who_was_given_a_share_cannot_pass_it_on(pending_task, supervisor, stranger, operator):
    do.share(pending_task, by=supervisor, user=stranger, level="work")
    with pytest.raises(PermissionDenied):
        do.share(pending_task, by=again(stranger), user=operator)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"user": None}, "nobody"),
        ({"level": "own"}, "bad_level"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "past"),
    ],
)
def test_an_impossible_share_is_refused(pending_task, supervisor, stranger, changes, code):
    with pytest.raises(InvalidInput) as refusal:
        do.share(pending_task, **({"by": supervisor, "user": stranger} | changes))
    assert refusal.value.code == code


def test_an_order_is_shared_to_be_seen_only(approved_order, supervisor, stranger):
    with pytest.raises(InvalidInput) as refusal:
        do.share(approved_order, by=supervisor, user=stranger, level="work")
    assert refusal.value.code == "bad_level"


def test_one_share_is_with_one_somebody(pending_task, supervisor, stranger):
    with pytest.raises(InvalidInput):
        do.share(pending_task, by=supervisor, user=stranger, group=Group.objects.get(name="operator"))
    stranger.is_active = False
    stranger.save()
    with pytest.raises(InvalidInput):
        do.share(pending_task, by=supervisor, user=stranger)


def test_a_share_goes_with_its_order(shop, maker, supervisor, stranger, salesperson):
    """A grant that outlives its row would open the next row with the same pk."""
    order = shop.draft()
    pk = order.pk
    do.share(order, by=supervisor, user=stranger)
    do.delete_order(order, by=maker)
    assert not WorkOrderUserShare.objects.exists()
    with transaction.atomic():
        again_there = WorkOrder(pk=pk, number="X-1", customer=shop.other_customer, created_by=maker)
        again_there.save(force_insert=True)
    assert not sees(stranger, again_there)


def test_a_share_gives_no_permission_of_django(pending_task, supervisor, stranger):
    """guardian's rows open `visible_to` and the verbs ask for the level: has_perm on the object stays closed."""
    do.share(pending_task, by=supervisor, user=stranger, level="work")
    stranger = again(stranger)
    for permission in ("change_task", "delete_task", "assign_task", "share_task"):
        assert not stranger.has_perm(f"workorders.{permission}", pending_task)


def test_who_left_keeps_no_share_work(pending_task, supervisor, stranger):
    do.share(pending_task, by=supervisor, user=stranger, level="work")
    stranger.is_active = False
    stranger.save()
    assert not sees(stranger, pending_task)
    with pytest.raises(PermissionDenied):
        do.claim_task(pending_task, by=again(stranger))
