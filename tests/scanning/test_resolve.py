"""What a code stands for: read only, in sight only, with what to know before touching it."""

import pytest
from django.utils import timezone

from apps.scanning.codes import Kind, encode
from apps.scanning.models import LinkedCode, Scan
from apps.workorders import services as do
from apps.workorders.models import ShareLevel
from tests.personas import again, api_of
from tests.queries import count_queries
from tests.scanning.sending import code_of, paper_of


def resolve(api, code):
    return api.get("/api/scans/resolve/", {"code": code})


def codes_of(answer):
    return [one["code"] for one in answer.json()["warnings"]]


@pytest.fixture
def api(handheld, operator):
    return handheld.signed_in(operator)


def test_a_task_with_what_may_be_done_now(api, pending_task):
    answer = resolve(api, code_of(pending_task))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["kind"], body["task"]["id"], body["verbs"], body["warnings"]) == ("task", pending_task.pk, ["claim", "start"], [])
    assert body["order"]["number"] == pending_task.order.number
    assert (body["task"]["product"], body["task"]["process"], body["task"]["left"]) == ("leaflet", "printing", 1000)
    assert (body["person"], body["command"], body["reason"], body["ticket_revision"]) == (None, "", None, None)
    assert not Scan.objects.exists()


def test_an_order_with_the_callers_only_task(api, pending_task):
    body = resolve(api, code_of(pending_task.order)).json()
    assert (body["kind"], body["task"]["id"], body["order"]["id"]) == ("order", pending_task.pk, pending_task.order_id)


def test_commands_reasons_and_ones_own_badge(api, handheld, operator, second_operator):
    assert resolve(api, encode(Kind.COMMAND, 2)).json()["command"] == "pause"
    reason = resolve(api, encode(Kind.REASON, 5)).json()
    assert (reason["kind"], reason["reason"]) == ("reason", {"code": "colour", "label": "colour off"})
    badge = handheld.badge_of(operator)
    assert resolve(api, code_of(badge)).json()["person"] == {"id": operator.pk, "name": "Operator"}
    assert resolve(api, code_of(handheld.badge_of(second_operator))).status_code == 404
    assert resolve(api, encode(Kind.COMMAND, 99)).status_code == 404


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("T2N8", "wrong_check"),
        ("T598", "a_number"),
        ("", "bad_code"),
        ("https://other.example/s/T2N7", "foreign_host"),
        ("x" * 400, "bad_code"),
    ],
)
def test_what_is_no_code_says_why(api, code, expected):
    answer = resolve(api, code)
    assert (answer.status_code, answer.json()["code"]) == (400, expected)


def test_another_parameter_is_told(api):
    assert api.get("/api/scans/resolve/?code=T2N7&cod=1").status_code == 400


@pytest.mark.parametrize("who", ["device", "person"])
@pytest.mark.parametrize("kind", [Kind.TASK, Kind.ORDER, Kind.TASK_PAPER, Kind.ORDER_PAPER])
def test_unknown_and_out_of_sight_read_and_cost_the_same(register, shop, stranger, running_task, who, kind):
    handheld = register("Outside", "outsourcing")
    api = handheld.alone if who == "device" else handheld.signed_in(stranger)
    resolve(api, "T2N7")  # a handheld's first request notes that it is in use
    number = running_task.pk if kind in (Kind.TASK, Kind.TASK_PAPER) else running_task.order_id
    found = []
    for pk in (number, 987654):
        with count_queries() as queries:
            answer = resolve(api, encode(kind, pk, 1))
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_code")
        found.append((len(queries), answer.json()))
    assert found[0] == found[1]


def test_a_handheld_alone_sees_its_place_without_people_and_verbs(register, running_task, operator):
    for department in ("printing", "production"):
        handheld = register(department, department)
        body = resolve(handheld.alone, code_of(running_task)).json()
        assert (body["task"]["id"], body["verbs"], body["task"]["moves"], body["person"]) == (running_task.pk, [], [], None)
        assert "Operator" not in str(body)
        assert resolve(handheld.alone, code_of(running_task.order)).json()["order"]["number"] == running_task.order.number
        badge = resolve(handheld.alone, code_of(handheld.badge_of(operator))).json()
        assert (badge["kind"], badge["person"]) == ("badge", None)
    assert resolve(register("cutting", "cutting").alone, code_of(running_task)).status_code == 404


def test_what_stands_in_the_way_is_named(api, shop):
    task = shop.task(shop.approved(received=False), "PRT")
    answer = resolve(api, code_of(task))
    assert codes_of(answer) == ["blocked"]
    assert "stock cutting is not completed yet." in answer.json()["warnings"][0]["detail"]


def test_done_late_held_and_old_are_told(api, shop, supervisor, running_task):
    assert codes_of(resolve(api, code_of(shop.task_in("completed")))) == ["already_done"]
    running_task.due_date = timezone.localdate() - timezone.timedelta(days=2)
    running_task.save()
    order = running_task.order
    do.hold_order(order, by=again(supervisor), reason="The customer thinks again.")
    order.refresh_from_db()
    order.revision = 5
    order.save()
    answer = resolve(api, paper_of(running_task, 3))
    assert codes_of(answer) == ["old_ticket", "on_hold", "late"]
    assert answer.json()["ticket_revision"] == 3
    assert "revision 3, the order is at 5" in answer.json()["warnings"][0]["detail"]
    assert codes_of(resolve(api, paper_of(running_task, 5))) == ["on_hold", "late"]


@pytest.fixture
def shared(shop, supervisor, operator):
    """A blocked packing task, shared with a printer to work on, and its order."""
    task = shop.task(shop.approved(), "PACK")
    do.share(task, by=supervisor, user=operator, level=ShareLevel.WORK)
    return task


def test_a_shared_task_may_be_taken_by_whom_it_was_shared_with_to_work(api, shared, shop, supervisor, operator):
    assert resolve(api, code_of(shared)).json()["verbs"] == ["claim", "start"]
    seen = shop.task(shop.approved(), "PACK")
    do.share(seen, by=supervisor, user=operator)
    assert resolve(api, code_of(seen)).json()["verbs"] == []


def test_it_takes_at_most_five_queries(api, register, handheld, shop, salesperson, supervisor, maker, pending_task, shared):
    blocked = shop.task(shop.approved(received=False), "PRT")
    taskless = shop.approved(steps_text="CTP")
    do.share(taskless, by=salesperson, user=shop.people["operator"])
    LinkedCode.objects.create(code="PO-1", order=shared.order, linked_by=supervisor)
    office = register("Press 2").signed_in(maker)
    for client in (handheld.alone, office):
        resolve(client, "T2N7")
    costs = {}
    for name, client, code in [
        ("task", api, code_of(pending_task)),
        ("blocked", api, code_of(blocked)),
        ("shared", api, code_of(shared)),
        ("old", api, paper_of(pending_task, 9)),
        ("blocked, shared and old", api, paper_of(shared, 9)),
        ("order", api, code_of(pending_task.order)),
        ("order, shared and old", api, paper_of(shared.order, 9)),
        ("order of the office, old", office, paper_of(taskless, 9)),
        ("linked, shared", api, "PO-1"),
        ("absent", api, encode(Kind.TASK, 987654)),
        ("absent order", api, encode(Kind.ORDER, 987654)),
        ("command", api, encode(Kind.COMMAND, 1)),
        ("badge", api, code_of(handheld.badge_of(shop.people["operator"]))),
        ("device", handheld.alone, code_of(pending_task)),
        ("device, blocked and old", handheld.alone, paper_of(blocked, 9)),
    ]:
        with count_queries(5) as queries:
            resolve(client, code)
        costs[name] = len(queries)
    assert costs == {
        "task": 4, "blocked": 4, "shared": 4, "old": 5, "blocked, shared and old": 5, "order": 4, "order, shared and old": 4,
        "order of the office, old": 5, "linked, shared": 4, "absent": 3, "absent order": 4, "command": 1, "badge": 3, "device": 3,
        "device, blocked and old": 4,
    }  # fmt: skip


def test_a_person_without_a_handheld_may_ask(operator, pending_task):
    assert resolve(api_of(operator), code_of(pending_task)).json()["verbs"] == ["claim", "start"]
