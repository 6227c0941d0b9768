"""The feed of changes: nothing missed, nothing told that was never to be seen, in the order of commits.

Each test commits for real: inside a test's transaction PostgreSQL would rightly tell nothing.
"""

from datetime import timedelta
from threading import Event, Thread

import psycopg
import pytest
from django.core import signing
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.models import Membership
from apps.workorders import following
from apps.workorders import services as do
from apps.workorders.models import Task, WorkOrder
from tests.personas import again, api_of
from tests.queries import count_queries
from tests.shop import make_shop

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/changes/"


@pytest.fixture
def shop(transactional_db):
    return make_shop()


class Follower:
    """A client that keeps a copy: its cursor, and what its last question told."""

    def __init__(self, user):
        self.user, self.api = user, api_of(user)
        self.cursor = self.ask("")["cursor"]

    def ask(self, cursor):
        answer = self.api.get(PATH, {"cursor": cursor} if cursor else {})
        assert answer.status_code == 200, answer.content
        return answer.json()

    def news(self):
        """(ids changed, ids gone) since the last call."""
        told = self.ask(self.cursor)
        self.cursor = told["cursor"]
        return [task["id"] for task in told["changed"]], told["gone"]


def test_it_begins_with_a_cursor_and_nothing_else(shop, operator, pending_task):
    told = api_of(operator).get(PATH).json()
    assert told == {"cursor": told["cursor"], "has_more": False, "changed": [], "gone": []}
    assert Follower(operator).news() == ([], [])


def test_a_task_is_told_as_the_list_tells_it(shop, operator, running_task):
    follower = Follower(operator)
    do.report(running_task, by=operator, good=10)
    do.report(running_task, by=operator, good=5)
    told = follower.ask(follower.cursor)
    assert told["changed"] == [follower.api.get("/api/tasks/", {"workorder": running_task.order_id}).json()["results"][0]]
    assert (told["changed"][0]["good"], told["gone"], told["has_more"]) == (15, [], False)
    follower.cursor = told["cursor"]
    assert follower.news() == ([], [])


def test_the_same_cursor_tells_the_same_again(shop, operator, running_task):
    follower = Follower(operator)
    do.report(running_task, by=operator, good=10)
    first, second = follower.ask(follower.cursor), follower.ask(follower.cursor)
    assert first["changed"] == second["changed"]
    assert first["changed"][0]["id"] == running_task.pk


def test_a_claimed_task_is_gone_for_the_others_and_comes_back_when_released(shop, operator, second_operator, stranger, pending_task):
    mine, other, elsewhere = (Follower(user) for user in (operator, second_operator, stranger))
    do.claim_task(pending_task, by=operator)
    assert mine.news() == ([pending_task.pk], [])
    assert other.news() == ([], [pending_task.pk])
    assert elsewhere.news() == ([], [])
    do.release_task(pending_task, by=operator)
    assert mine.news() == other.news() == ([pending_task.pk], [])
    assert elsewhere.news() == ([], [])


def test_a_task_that_came_and_went_between_two_questions_is_gone(shop, operator, second_operator, supervisor, pending_task):
    """It was in the lists that the client read after its cursor."""
    do.claim_task(pending_task, by=operator)
    other = Follower(second_operator)
    do.release_task(pending_task, by=operator)
    do.claim_task(pending_task, by=operator)
    assert other.news() == ([], [pending_task.pk])


def test_a_task_that_moves_is_gone_here_and_there_on_the_other_side(shop, operator, stranger, supervisor, pending_task):
    here, there, above = (Follower(user) for user in (operator, stranger, supervisor))
    do.assign_task(pending_task, by=supervisor, department=shop.departments["outsourcing"])
    assert here.news() == ([], [pending_task.pk])
    assert there.news() == above.news() == ([pending_task.pk], [])


def test_a_deleted_draft_is_gone_for_who_saw_it(shop, everybody):
    order = shop.draft()
    tasks = sorted(order.tasks.values_list("pk", flat=True))
    names = ("maker", "salesperson", "supervisor", "prepress_lead", "operator", "other_maker", "other_salesperson", "planner", "auditor")
    followers = {name: Follower(everybody[name]) for name in names}
    led = {
        name: sorted(Task.objects.visible_to(everybody[name]).filter(order=order).values_list("pk", flat=True))
        for name in ("supervisor", "prepress_lead")
    }
    assert sorted(led["supervisor"] + led["prepress_lead"]) == tasks
    do.delete_order(order, by=everybody["maker"])
    assert {name: follower.news() for name, follower in followers.items()} == {
        "maker": ([], tasks), "salesperson": ([], tasks), "planner": ([], tasks), "auditor": ([], tasks),
        "supervisor": ([], led["supervisor"]), "prepress_lead": ([], led["prepress_lead"]),
        "operator": ([], []), "other_maker": ([], []), "other_salesperson": ([], []),
    }  # fmt: skip


def test_what_was_made_and_deleted_between_two_questions_is_gone_for_who_could_have_seen_it(shop, maker, other_maker):
    mine, other = Follower(maker), Follower(other_maker)
    order = shop.draft()
    tasks = sorted(order.tasks.values_list("pk", flat=True))
    do.delete_order(order, by=maker)
    assert mine.news() == ([], tasks)
    assert other.news() == ([], [])


def _given(order, to, **changes):
    order = WorkOrder.objects.get(pk=order.pk)
    order.maker = to
    for name, value in changes.items():
        setattr(order, name, value)
    return order


def test_an_order_that_gets_another_maker_takes_its_tasks_along(shop, maker, other_maker, superuser):
    """Tasks that its new maker adds were never the old one's, not even by their ids."""
    order = shop.draft("leaflet", steps_text="CTP > PRT > PACK")
    old = set(order.tasks.values_list("pk", flat=True))
    giver, taker = Follower(maker), Follower(other_maker)
    do.revise_order(_given(order, other_maker, steps_text="CTP > PRT > VAN > PACK"), by=superuser)
    now = set(order.tasks.values_list("pk", flat=True))
    assert now - old
    assert giver.news() == ([], sorted(old))
    assert taker.news() == (sorted(now), sorted(old - now))  # what was taken off the order as it became his
    do.revise_order(_given(order, other_maker, steps_text="CTP > VAN > PACK"), by=superuser)
    assert giver.news() == ([], [])


def test_a_task_deleted_before_the_order_was_ones_own_is_not_named(shop, maker, other_maker, superuser):
    order = shop.draft("leaflet", steps_text="CTP > PRT > VAN > PACK")
    gone = shop.task(order, "VAN").pk
    taker = Follower(other_maker)
    do.revise_order(_given(order, maker, steps_text="CTP > PRT > PACK"), by=maker)
    do.revise_order(_given(order, other_maker), by=superuser)
    do.delete_order(WorkOrder.objects.get(pk=order.pk), by=superuser)
    changed, told = taker.news()
    assert changed == []
    assert told
    assert gone not in told


def test_an_order_on_hold_changes_its_tasks(shop, operator, salesperson, pending_task):
    """No task has a new version, but none of them can be started any more."""
    follower = Follower(operator)
    version = pending_task.version
    do.hold_order(pending_task.order, by=salesperson, reason="The customer thinks again.")
    told = follower.ask(follower.cursor)
    assert [(task["id"], task["version"], task["order_status"]) for task in told["changed"]] == [(pending_task.pk, version, "on_hold")]
    assert told["changed"][0]["moves"] == []


def test_every_persona_is_told_of_what_he_sees_and_of_nothing_else(shop, everybody):
    shop.approved()  # what nobody touches
    task = shop.ready_to_print(shop.approved())
    followers = {name: Follower(user) for name, user in everybody.items() if name not in ("nobody", "administrator")}
    do.start_task(task, by=everybody["operator"])
    do.report(task, by=everybody["operator"], good=1)
    for name, follower in followers.items():
        changed, gone = follower.news()
        visible = Task.objects.visible_to(again(everybody[name])).filter(pk=task.pk)
        assert changed == list(visible.values_list("pk", flat=True)), name
        assert gone == ([task.pk] if name == "second_operator" else []), name


@pytest.mark.parametrize("name", ["nobody", "administrator"])
def test_who_has_no_list_of_tasks_has_no_feed(shop, everybody, name):
    answer = api_of(everybody[name]).get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


def test_it_goes_on_in_pages_that_skip_nothing(shop, supervisor, operator, pending_task, monkeypatch):
    monkeypatch.setattr(following, "PAGE", 3)
    follower = Follower(supervisor)
    parts = do.split_task(pending_task, by=supervisor, quantities=[100] * 7)
    first = follower.ask(follower.cursor)
    assert first["has_more"]
    # What changes while one turns the pages comes with the next window, whatever its key.
    do.claim_task(pending_task, by=operator)
    pages = [[task["id"] for task in first["changed"]]]
    while first["has_more"]:
        first = follower.ask(first["cursor"])
        pages.append([task["id"] for task in first["changed"]])
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [pk for page in pages for pk in page] == sorted({pending_task.pk, *(part.pk for part in parts)})
    assert [task["id"] for task in follower.ask(first["cursor"])["changed"]] == [pending_task.pk]


# -- cursors


@pytest.mark.parametrize("cursor", ["x", "1", "9" * 400, "a:b:c", "W10:1abcde:zzzz", "施", "%", "-1"])
def test_a_cursor_that_is_none_is_refused(shop, operator, cursor):
    answer = api_of(operator).get(PATH, {"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


def test_a_cursor_is_its_owners_and_cannot_be_written_by_hand(shop, operator, second_operator):
    cursor = Follower(second_operator).cursor
    for wrong in (cursor, cursor[:-1] + ("a" if cursor[-1] != "a" else "b"), signing.dumps([operator.pk, "x", [0, 0], None, 0])):
        answer = api_of(operator).get(PATH, {"cursor": wrong})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


def _refused(follower):
    answer = follower.api.get(PATH, {"cursor": follower.cursor})
    assert answer.json()["retry"] == "new_key"
    return answer.status_code, answer.json()["code"]


def test_a_cursor_ends_when_rights_change(shop, everybody):
    task = shop.ready_to_print(shop.approved())
    for name, change in {
        "operator": lambda: Membership.objects.create(user=everybody["operator"], department=shop.departments["cutting"]),
        "stranger": lambda: do.share(task, by=everybody["supervisor"], user=everybody["stranger"]),
        "maker": lambda: everybody["maker"].groups.clear() or everybody["maker"].groups.add(*everybody["salesperson"].groups.all()),
        "salesperson": lambda: type(shop.customer).objects.filter(pk=shop.customer.pk).update(salesperson=everybody["other_salesperson"]),
    }.items():
        follower = Follower(everybody[name])
        assert follower.news() == ([], [])
        change()
        assert _refused(follower) == (410, "cursor_too_old"), name
        assert Follower(again(everybody[name])).news() == ([], [])


def test_a_share_that_runs_out_ends_the_cursor(shop, supervisor, stranger, pending_task):
    do.share(pending_task, by=supervisor, user=stranger, expires_at=timezone.now() + timedelta(hours=1))
    follower = Follower(stranger)
    pending_task.user_shares.update(expires_at=timezone.now())
    assert _refused(follower) == (410, "cursor_too_old")


def test_a_cursor_ends_after_a_week_and_after_5000_changes(shop, operator, running_task, monkeypatch):
    follower = Follower(operator)
    do.report(running_task, by=operator, good=1)
    do.report(running_task, by=operator, good=1)
    with monkeypatch.context() as patch:
        patch.setattr(following, "MOST_BEHIND", 1)
        assert _refused(follower) == (410, "cursor_too_old")
    with monkeypatch.context() as patch:
        patch.setattr(signing.time, "time", lambda: timezone.now().timestamp() + 7 * 86400 + 1)
        assert _refused(follower) == (410, "cursor_too_old")
    assert follower.news() == ([running_task.pk], [])


def test_a_cursor_of_a_database_that_went_back_is_too_old(shop, operator):
    follower = Follower(operator)
    user_id, rights, start, end, above = signing.loads(follower.cursor, salt=following.SALT)
    follower.cursor = signing.dumps([user_id, rights, [place + 10**6 for place in start], end, above], salt=following.SALT)
    assert _refused(follower) == (410, "cursor_too_old")


def test_only_the_cursor_is_asked_for(shop, operator):
    answer = api_of(operator).get(PATH, {"curser": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_parameter")


# -- cost


@pytest.mark.parametrize(("name", "idle", "busy"), [("operator", 7, 10), ("supervisor", 7, 10), ("salesperson", 8, 13), ("auditor", 7, 10)])
def test_its_cost_does_not_grow_with_what_changed(shop, everybody, name, idle, busy):
    """`idle`: nothing changed. One less on PostgreSQL, where one number is the place in both histories."""
    spared = connection.vendor == "postgresql"
    follower = Follower(everybody[name])
    with count_queries() as statements:
        follower.news()
    assert len(statements) == idle - spared, str(statements)
    counts = []
    for many in (1, 6):
        for _turn in range(many):
            task = shop.ready_to_print(shop.approved())
            do.claim_task(task, by=everybody["second_operator"])
            do.delete_order(shop.draft(), by=everybody["maker"])
            shop.approved()
        with count_queries() as statements:
            changed, gone = follower.news()
        counts.append(len(statements))
        assert changed
        assert gone
    assert counts[0] == counts[1] == busy - spared, str(statements)


# -- order of commits


def test_what_commits_late_is_told_late_and_not_lost(shop, operator, second_operator, supervisor):
    """A begins first and has the lower numbers, B commits before it. Whoever asks in between hears of A once it is there."""
    slow, fast = (shop.ready_to_print(shop.approved()) for _order in range(2))
    follower = Follower(supervisor)
    begun, go_on, done = Event(), Event(), []

    def early_and_late() -> None:
        try:
            with transaction.atomic():
                do.claim_task(slow, by=again(operator))
                begun.set()
                assert go_on.wait(timeout=60)
            done.append("A")
        finally:
            begun.set()
            connection.close()

    thread = Thread(target=early_and_late)
    thread.start()
    assert begun.wait(timeout=60)
    try:
        if connection.vendor == "postgresql":  # SQLite lets one write at a time
            do.claim_task(fast, by=second_operator)
            assert Task.objects.get(pk=fast.pk).status == "assigned"
        assert follower.news() == ([], [])  # A is still to come, so B has to wait
    finally:
        go_on.set()
        thread.join()
    assert done == ["A"]
    if connection.vendor == "postgresql":
        rows = Task.history.filter(id__in=[slow.pk, fast.pk], status="assigned").order_by("transaction")
        assert [row.id for row in rows] == [slow.pk, fast.pk]
        assert follower.news() == (sorted([slow.pk, fast.pk]), [])
    else:
        assert follower.news() == ([slow.pk], [])
    assert follower.news() == ([], [])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="an SQLite file has no neighbours")
def test_a_writer_in_another_database_of_the_server_holds_nobody_up(shop, operator, running_task):
    follower = Follower(operator)
    address = {**connection.get_connection_params(), "dbname": "postgres"}
    with psycopg.connect(
        **{name: value for name, value in address.items() if name in ("dbname", "host", "port", "user", "password")}
    ) as other:
        other.execute("SELECT pg_current_xact_id()")
        do.report(running_task, by=operator, good=10)
        assert follower.news() == ([running_task.pk], [])
        other.rollback()


@pytest.mark.slow
def test_a_copy_that_is_kept_up_while_everybody_works_ends_as_the_list(shop, supervisor, operator, second_operator, stranger):
    """Writers in threads, each with transactions of its own length; three clients follow and end with what the list shows."""
    tasks = [shop.ready_to_print(shop.approved()) for _order in range(6)]
    people = [again(user) for user in (operator, second_operator, operator)]
    followers = [Follower(user) for user in (supervisor, second_operator, stranger)]
    copies = [
        {task["id"]: task["version"] for task in one.api.get("/api/tasks/", {"page_size": 200}).json()["results"]} for one in followers
    ]
    done: list[int] = []

    def work(number: int) -> None:
        try:
            for turn in range(6):
                task = tasks[(number * 2 + turn % 2) % len(tasks)]
                with transaction.atomic():
                    do.claim_task(task, by=people[number])
                    do.release_task(task, by=people[number])
            done.append(number)
        finally:
            connection.close()

    threads = [Thread(target=work, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    quiet = 0
    while quiet < 2:
        quiet += not any(thread.is_alive() for thread in threads)
        for copy, follower in zip(copies, followers, strict=True):
            told = follower.ask(follower.cursor)
            follower.cursor = told["cursor"]
            copy |= {task["id"]: task["version"] for task in told["changed"]}
            for pk in told["gone"]:
                copy.pop(pk, None)
    assert sorted(done) == [0, 1, 2]
    for copy, follower in zip(copies, followers, strict=True):
        listed = follower.api.get("/api/tasks/", {"page_size": 200}).json()["results"]
        assert copy == {task["id"]: task["version"] for task in listed}
