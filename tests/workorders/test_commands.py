from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.dispatch.models import DispatchDecision
from apps.workorders.management.commands.dispatch import Command as Dispatch
from apps.workorders.models import Task, WorkEvent
from apps.workorders.services import hold_order


def run(*args, **options):
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def test_why_visible_tells_the_rules_of_an_order(shop, approved_order):
    said = run("why_visible", "maker", approved_order.number)
    assert said.splitlines()[0] == f"maker sees work order {approved_order.number}."
    assert "  yes maker         Is the maker of the order." in said.splitlines()


def test_why_visible_takes_a_task_by_its_number(shop, pending_task):
    assert run("why_visible", "stranger", f"t{pending_task.pk}").splitlines()[0] == f"stranger does not see task T{pending_task.pk}."


@pytest.mark.parametrize("thing", ["T0", "T999999999999999999", "nothing", "T", "202001-0001"])
def test_why_visible_names_what_it_does_not_find(shop, thing):
    with pytest.raises(CommandError, match=f"There is no order or task '{thing}'"):
        run("why_visible", "maker", thing)


def test_why_visible_names_an_unknown_user(shop, approved_order):
    with pytest.raises(CommandError, match="There is no user 'who'"):
        run("why_visible", "who", approved_order.number)


def test_a_dry_run_of_dispatch_says_every_decision_and_writes_nothing(shop):
    order = shop.approved(dispatched=False)
    events, decisions = WorkEvent.objects.count(), DispatchDecision.objects.count()

    said = run("dispatch", dry_run=True)

    task = shop.task(order, "PRT")
    assert f"{order} {task} printing: printing. The rule of priority 90 sends printing to printing." in said
    assert said.splitlines()[-1] == "4 tasks would be dispatched."
    assert not Task.objects.filter(order=order).exclude(dispatched_at=None).exists()
    assert (WorkEvent.objects.count(), DispatchDecision.objects.count()) == (events, decisions)


def test_dispatch_does_what_its_dry_run_said(shop):
    order = shop.approved(dispatched=False)
    said = run("dispatch", dry_run=True).splitlines()[:-1]

    assert run("dispatch").splitlines() == [*said, "4 tasks dispatched."]

    assert Task.objects.filter(order=order, dispatched_at=None).count() == 0
    events = WorkEvent.objects.filter(order=order, verb="dispatch")
    assert {(event.source, event.actor.is_system) for event in events} == {("command", True)}
    assert run("dispatch") == "0 tasks dispatched.\n"


def test_dispatch_of_one_order_leaves_the_others(shop):
    one, other = shop.approved(dispatched=False), shop.approved(dispatched=False)
    assert run("dispatch", order=one.number).splitlines()[-1] == "4 tasks dispatched."
    assert Task.objects.filter(order=other, dispatched_at=None).count() == 4


def test_a_task_that_no_department_can_do_is_said_to_go_nowhere(shop):
    order = shop.approved(dispatched=False)
    shop.task(order, "PRT").step.process.departments.clear()
    assert "printing: nowhere. No active department can do printing." in run("dispatch")


def test_dispatch_names_an_unknown_order_and_one_that_does_not_run(shop):
    with pytest.raises(CommandError, match="There is no order 'X'"):
        run("dispatch", order="X")
    order = shop.approved(dispatched=False)
    hold_order(order, by=shop.people["supervisor"], reason="late paper")
    with pytest.raises(CommandError, match="is on hold, so nothing of it is dispatched"):
        run("dispatch", order=order.number)
    assert run("dispatch") == "0 tasks dispatched.\n"


def test_an_order_that_was_held_meanwhile_is_named_and_passed_over(shop):
    order = shop.approved(dispatched=False)
    hold_order(order, by=shop.people["supervisor"], reason="late paper")
    out = StringIO()
    assert Dispatch(stdout=out)._dispatched(order) == []
    assert out.getvalue().startswith(f"{order}: ")
