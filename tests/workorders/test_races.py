"""Real threads on a real database, PostgreSQL or SQLite: what people do at the same moment counts once and is lost never."""

from collections import Counter
from collections.abc import Callable, Sequence
from threading import Barrier, Thread
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Count, Sum

from apps.accounts.services import system_user
from apps.core.errors import RuleError
from apps.dispatch.models import DispatchDecision, DispatchRule, Strategy
from apps.workorders import services as do
from apps.workorders.models import Task, WorkEvent, WorkOrder
from tests.personas import again
from tests.shop import make_shop

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def shop(transactional_db):
    return make_shop()


def together(actions: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run the actions in threads that start at the same moment. Returns what each returned or raised, in their order."""
    barrier, outcomes = Barrier(len(actions)), [None] * len(actions)

    def run(number: int, action: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=60)
            outcomes[number] = action()
        except (RuleError, PermissionDenied) as refusal:
            outcomes[number] = refusal
        finally:
            connection.close()

    threads = [Thread(target=run, args=pair) for pair in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def tally(outcomes: list[Any]) -> Counter:
    """How often each refusal code (or "done") came out."""
    return Counter(getattr(one, "code", "forbidden") if isinstance(one, Exception) else "done" for one in outcomes)


def test_20_people_who_report_50_times_each_are_counted_1000_times(shop):
    task = shop.started(shop.ready_to_print(shop.approved()), by="operator")
    people = [again(shop.people["operator"]) for _person in range(20)]

    def reports(person) -> Callable[[], str]:
        def fifty() -> str:
            for _turn in range(50):
                do.report(task, by=person, good=1)
            return "done"

        return fifty

    assert together([reports(person) for person in people]) == ["done"] * 20
    task.refresh_from_db()
    ledger = WorkEvent.objects.filter(task=task, verb="report").aggregate(good=Sum("good"), rows=Count("pk"))
    assert (task.good, ledger["good"], ledger["rows"]) == (1000, 1000, 1000)
    assert WorkOrder.objects.get(pk=task.order_id).events.filter(verb="begin", step=None).count() == 1


def test_200_rounds_of_two_claims_have_one_winner_each(shop):
    order = shop.approved()
    first = shop.ready_to_print(order)
    like = {name: getattr(first, name) for name in ("order", "step", "department", "planned", "status", "unit")}
    tasks = Task.objects.bulk_create(Task(source_key=f"round:{number}", **like) for number in range(200))
    people = [shop.people["operator"], shop.people["second_operator"]]

    def claims(person) -> Callable[[], list[str]]:
        def all_of_them() -> list[str]:
            won = []
            for task, meet in zip(tasks, rounds, strict=True):
                meet.wait(timeout=60)
                try:
                    do.claim_task(task, by=person)
                    won.append("won")
                except RuleError as refusal:
                    won.append(refusal.code)
            return won

        return all_of_them

    rounds = [Barrier(2) for _task in tasks]
    one, other = together([claims(again(person)) for person in people])
    assert {tuple(sorted(pair)) for pair in zip(one, other, strict=True)} == {("already_claimed", "won")}
    for task, result in zip(Task.objects.filter(source_key__startswith="round:").order_by("pk"), one, strict=True):
        assert task.operator == people[0 if result == "won" else 1]
        assert task.status == "assigned"
    events = WorkEvent.objects.filter(verb="claim", task__source_key__startswith="round:")
    assert events.count() == events.values("task").distinct().count() == 200


def test_orders_made_at_once_have_numbers_of_their_own(shop):
    maker = shop.people["maker"]

    def five() -> list[str]:
        person = again(maker)
        return [do.create_order(shop.unsaved(), lines=shop.lines("leaflet"), by=person).number for _turn in range(5)]

    numbers = [number for made in together([five] * 8) for number in made]
    assert len(set(numbers)) == 40
    assert sorted(int(number[-4:]) for number in numbers) == list(range(1, 41))


def test_20_approvals_at_once_approve_once(shop):
    order = shop.submitted()
    people = [again(shop.people[name]) for name in ("salesperson", "supervisor") * 10]
    outcomes = together([lambda person=person: do.approve_order(order, by=person) for person in people])
    assert tally(outcomes) == {"done": 1, "wrong_state": 19}
    assert order.events.filter(verb="approve").count() == 1
    assert WorkEvent.objects.filter(order=order, verb="queue").count() == order.tasks.count() == 4


def test_an_approval_and_a_rejection_at_once_leave_one_of_them(shop):
    for _round in range(10):
        order = shop.submitted()
        one, other = again(shop.people["salesperson"]), again(shop.people["supervisor"])
        outcomes = together(
            [lambda: do.approve_order(order, by=one), lambda: do.reject_order(order, by=other, reason="No.")]  # noqa: B023
        )
        assert tally(outcomes) == {"done": 1, "wrong_state": 1}


def test_an_edit_and_an_approval_at_once_never_approve_what_was_not_read(shop):
    """Once submitted, an order is not editable: the edit loses, whoever comes first."""
    for _round in range(5):
        order = shop.submitted()
        line = order.lines.get()
        line.quantity = 9999
        maker, seller = again(shop.people["maker"]), again(shop.people["salesperson"])
        edit, approval = together(
            [lambda: do.revise_order(order, lines=[line], by=maker), lambda: do.approve_order(order, by=seller)]  # noqa: B023
        )
        assert edit.code == "wrong_state"
        assert approval.status == "approved"
        assert order.lines.get().quantity == 1000


def test_two_dispatchers_at_once_decide_once_for_each_task(shop):
    DispatchRule.objects.update(strategy=Strategy.ROUND_ROBIN)
    system = system_user()
    texts = ["PRT > VAN > TRIM > PACK", "PRT > TRIM > VAN > PACK", "PRT > PACK > VAN > TRIM"]
    for number in range(6):
        # Steps in another order each time: dispatchers that lock crosswise would deadlock.
        orders = [shop.approved(dispatched=False, steps_text=texts[(number + more) % 3]) for more in range(2)]
        jobs = [lambda order=order: do.dispatch_order(order, by=system) for order in orders for _twice in range(2)]
        outcomes = together(jobs)
        assert tally(outcomes) == {"done": 4}
        assert sum(len(decisions) for decisions in outcomes) == 8
    applied = DispatchDecision.objects.filter(applied=True).values("task").annotate(n=Count("pk"))
    assert {row["n"] for row in applied} == {1}
    assert applied.count() == Task.objects.filter(order__steps_text__in=texts).count() == 48


def test_the_limit_of_open_tasks_holds_for_dispatchers_at_once(shop):
    DispatchRule.objects.filter(process__code="PRT").update(strategy=Strategy.LEAST_LOADED, wip_limit=2)
    orders = [shop.approved(dispatched=False, steps_text="PRT > PACK") for _order in range(8)]
    system = system_user()
    together([lambda order=order: do.dispatch_order(order, by=system) for order in orders])
    held = Task.objects.filter(step__process__code="PRT").exclude(operator=None).values("operator").annotate(n=Count("pk"))
    assert {row["n"] for row in held} == {2}
    assert held.count() == 2


def test_a_dispatcher_and_a_supervisor_at_once_leave_the_persons_choice(shop):
    supervisor, system = again(shop.people["supervisor"]), system_user()
    for _round in range(10):
        order = shop.approved(dispatched=False)
        task = shop.task(order, "PRT")
        together(
            [
                lambda: do.dispatch_order(order, by=system),  # noqa: B023
                lambda: do.assign_task(task, by=supervisor, department=shop.departments["outsourcing"]),  # noqa: B023
            ]
        )
        task.refresh_from_db()
        assert (task.department.code, task.is_pinned) == ("outsourcing", True)


def test_the_last_two_completions_at_once_complete_the_order_once(shop):
    for _round in range(5):
        order = shop.approved("leaflet", "poster", steps_text="CTP > PRT > PACK")
        for task in order.tasks.exclude(step__process__code="PACK").order_by("step__sequence", "pk"):
            shop.finish(task)
        last = [shop.started(task) for task in order.tasks.filter(step__process__code="PACK")]
        assert len(last) == 2
        outcomes = together([lambda task=task: do.complete_task(task, by=again(task.operator), good=task.planned) for task in last])
        assert tally(outcomes) == {"done": 2}
        assert WorkOrder.objects.get(pk=order.pk).status == "completed"
        assert order.events.filter(verb="complete", step=None, task=None).count() == 1


def test_a_completion_and_a_cancellation_at_once_end_in_one_of_the_two(shop):
    for _round in range(5):
        task = shop.started(shop.ready_to_print(shop.approved()), by="operator")
        operator, seller = again(shop.people["operator"]), again(shop.people["salesperson"])
        completed, cancelled = together(
            [
                lambda: do.complete_task(task, by=operator, good=1000),  # noqa: B023
                lambda: do.cancel_order(task.order, by=seller, reason="The customer went away."),  # noqa: B023
            ]
        )
        task.refresh_from_db()
        assert cancelled.status == "cancelled"
        assert (task.status, task.good) in {("completed", 1000), ("cancelled", 0)}
        assert isinstance(completed, RuleError) == (task.status == "cancelled")


def test_one_report_is_taken_back_once_by_two_at_once(shop):
    task = shop.started(shop.ready_to_print(shop.approved()), by="operator")
    supervisor = shop.people["supervisor"]
    for _round in range(10):
        event = do.report(task, by=shop.people["operator"], good=10).events.first()
        people = [again(supervisor), again(supervisor)]
        outcomes = together([lambda person=person: do.reverse_event(event, by=person, reason="Twice.") for person in people])  # noqa: B023
        assert tally(outcomes) == {"done": 1, "already_reversed": 1}
    task.refresh_from_db()
    assert task.good == 0
