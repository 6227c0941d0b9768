"""Printing from the admin: who may, what is answered, what is recorded, and what the order's page says of it."""

import uuid

import pytest
from django.utils import timezone

from apps.scanning import codes
from apps.scanning.models import Paper as Kind
from apps.scanning.models import Printout
from apps.workorders import services as do
from apps.workorders.models import Task, WorkOrder
from tests.factories import BadgeFactory, PrintoutFactory
from tests.personas import client_of
from tests.queries import count_queries
from tests.scanning.paper import Paper

ORDERS, TASKS, BADGES = "/admin/workorders/workorder/", "/admin/workorders/task/", "/admin/scanning/badge/"
SHEET = {"sheet": "roll-100x50", "start": 1}


def said(response):
    return [str(message) for message in response.context["messages"]]


def test_the_ticket_is_printed_by_post_shown_inline_and_recorded(approved_order, maker):
    response = client_of(maker).post(f"{ORDERS}{approved_order.pk}/ticket/")
    assert (response.status_code, response["Content-Type"]) == (200, "application/pdf")
    assert "no-store" in response["Cache-Control"]
    assert response["Content-Disposition"] == f'inline; filename="ticket-{approved_order.number}.pdf"'
    row = Printout.objects.get()
    assert (row.order, row.paper, row.revision, row.printed_by) == (approved_order, Kind.TICKET, 1, maker)
    code = codes.encode(codes.Kind.ORDER_PAPER, approved_order.pk, 1)
    assert codes.address(code, "http://testserver") in Paper(response.content).codes()["QR-Code"]


def test_the_ticket_speaks_the_readers_language(approved_order, maker):
    client = client_of(maker)
    client.cookies["django_language"] = "zh-hans"
    assert "交期" in Paper(client.post(f"{ORDERS}{approved_order.pk}/ticket/").content).text()


def test_the_dialog_of_printing_opens_a_page_of_its_own_and_prints_nothing_on_get(approved_order, maker):
    client = client_of(maker)
    for verb in ("ticket", "labels"):
        response = client.get(f"{ORDERS}{approved_order.pk}/{verb}/", headers={"HX-Request": "true"})
        assert response.status_code == 200
        assert b'target="_blank"' in response.content
        assert b"hx-post" not in response.content
    assert Printout.objects.count() == 0


def test_a_dialog_that_is_sent_twice_prints_once(approved_order, maker):
    client, once = client_of(maker), {"once": str(uuid.uuid4())}
    assert client.post(f"{ORDERS}{approved_order.pk}/ticket/", once).status_code == 200
    second = client.post(f"{ORDERS}{approved_order.pk}/ticket/", once)
    assert (second.status_code, second["Location"]) == (302, f"{ORDERS}{approved_order.pk}/change/")
    assert Printout.objects.count() == 1


@pytest.mark.parametrize(
    ("persona", "status"),
    [
        ("maker", 200), ("salesperson", 200), ("supervisor", 200), ("planner", 200), ("superuser", 200), ("auditor", 403),
        ("other_maker", 404), ("other_salesperson", 404), ("operator", 403), ("administrator", 403), ("nobody", 403),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", ["ticket", "labels"])
def test_who_may_print_from_the_orders_page(approved_order, everybody, persona, status, verb):
    response = client_of(everybody[persona]).post(f"{ORDERS}{approved_order.pk}/{verb}/", SHEET)
    assert response.status_code == status
    assert Printout.objects.count() == int(status == 200)


@pytest.mark.parametrize(
    ("persona", "status"), [("supervisor", 200), ("planner", 200), ("maker", 200), ("operator", 403), ("auditor", 403), ("stranger", 404)]
)
def test_who_may_print_a_label_from_the_tasks_page(shop, approved_order, everybody, persona, status):
    task = shop.task(approved_order, "PRT")
    response = client_of(everybody[persona]).post(f"{TASKS}{task.pk}/labels/", SHEET)
    assert response.status_code == status
    assert Printout.objects.filter(paper=Kind.LABELS).count() == int(status == 200)


def test_labels_of_an_order_are_of_all_its_tasks_in_sight_but_cancelled_ones(shop, approved_order, supervisor, planner):
    do.cancel_task(shop.task(approved_order, "PACK"), by=supervisor, reason="Not needed.")
    response = client_of(planner).post(f"{ORDERS}{approved_order.pk}/labels/", SHEET)
    assert response["Content-Disposition"] == f'inline; filename="labels-{approved_order.number}.pdf"'
    assert Paper(response.content).count == 3
    assert Paper(client_of(supervisor).post(f"{ORDERS}{approved_order.pk}/labels/", SHEET).content).count == 2


def test_an_order_without_tasks_has_no_labels(shop, maker):
    order = do.create_order(WorkOrder(), lines=[], by=maker)
    response = client_of(maker).post(f"{ORDERS}{order.pk}/labels/", SHEET)
    assert response.status_code == 409
    assert "Nothing is selected that could be printed." in response.content.decode()


@pytest.mark.parametrize(
    ("entries", "status", "sentence"),
    [
        ({"sheet": "a4-2x5", "start": 11}, 409, "This sheet has 10 labels. Enter a position from 1 to 10."),
        ({"sheet": "a4-2x5", "start": 0}, 400, "greater than or equal to 1"),
        ({"sheet": "a5", "start": 1}, 400, "is not one of the available choices"),
        ({}, 400, "This field is required."),
    ],
)
def test_a_place_that_no_sheet_has_is_said_at_its_field(approved_order, maker, entries, status, sentence):
    response = client_of(maker).post(f"{ORDERS}{approved_order.pk}/labels/", entries)
    assert response.status_code == status
    assert sentence in response.content.decode()
    assert Printout.objects.count() == 0


# -- many


def test_tickets_of_many_orders_are_one_pdf(shop, planner, maker):
    orders = [shop.approved(), shop.draft(), shop.approved("carton")]
    client = client_of(planner)
    data = {"action": "bulk_ticket", "_selected_action": [order.pk for order in orders]}
    asked = client.post(ORDERS, data)
    assert asked.status_code == 200
    assert b'target="_blank"' in asked.content
    assert Printout.objects.count() == 0
    response = client.post(ORDERS, data | {"apply": "1"})
    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Disposition"].startswith('inline; filename="ticket-3-')
    text = Paper(response.content).text()
    assert all(order.number in text for order in orders)
    assert text.count("DRAFT, NOT APPROVED") >= 1
    assert Printout.objects.count() == 3


def test_more_than_a_hundred_tickets_are_refused_with_a_sentence(shop, planner):
    order = shop.draft()
    WorkOrder.objects.bulk_create(WorkOrder(number=f"B-{number}", created_by=planner, customer=order.customer) for number in range(100))
    data = {"action": "bulk_ticket", "select_across": "1", "_selected_action": [order.pk], "apply": "1"}
    response = client_of(planner).post(ORDERS, data, follow=True)
    assert said(response) == ["At most 100 rows at once. Select fewer; nothing was changed."]
    assert Printout.objects.count() == 0


def test_a_foreign_order_among_the_selected_is_not_printed(shop, maker, approved_order):
    foreign = shop.draft(customer=shop.other_customer, by="other_maker")
    data = {"action": "bulk_ticket", "_selected_action": [approved_order.pk, foreign.pk], "apply": "1"}
    response = client_of(maker).post(ORDERS, data)
    assert response["Content-Disposition"] == f'inline; filename="ticket-{approved_order.number}.pdf"'
    assert list(Printout.objects.values_list("order", flat=True)) == [approved_order.pk]


def test_labels_of_many_tasks_are_one_pdf(shop, approved_order, supervisor):
    tasks = Task.objects.visible_to(supervisor).filter(order=approved_order)
    data = {"action": "bulk_labels", "_selected_action": [task.pk for task in tasks]}
    client = client_of(supervisor)
    assert b"First free label" in client.post(TASKS, data).content
    wrong = client.post(TASKS, data | {"apply": "1", "sheet": "a4-2x5", "start": 20})
    assert wrong.status_code == 409
    assert "This sheet has 10 labels." in wrong.content.decode()
    response = client.post(TASKS, data | {"apply": "1", "sheet": "a4-3x8", "start": 2})
    assert response["Content-Type"] == "application/pdf"
    assert len(Paper(response.content).codes()["CODE-128"]) == len(tasks) == 3
    assert Printout.objects.get().paper == Kind.LABELS


def test_a_bulk_action_that_is_sent_twice_prints_once(approved_order, planner):
    data = {"action": "bulk_ticket", "_selected_action": [approved_order.pk], "apply": "1", "once": str(uuid.uuid4())}
    client = client_of(planner)
    assert client.post(ORDERS, data).status_code == 200
    assert client.post(ORDERS, data).status_code == 302
    assert Printout.objects.count() == 1


def test_only_who_may_print_is_offered_it(shop, approved_order, planner, auditor):
    def offered(user, url):
        form = client_of(user).get(url).context.get("action_form")
        return {name for name, _label in form.fields["action"].choices if name} if form else set()

    assert "bulk_ticket" in offered(planner, ORDERS)
    assert "bulk_labels" in offered(planner, TASKS)
    assert not {"bulk_ticket", "bulk_labels"} & (offered(auditor, ORDERS) | offered(auditor, TASKS))


# -- what the page says


def test_the_orders_page_tells_what_was_printed_by_whom(approved_order, maker, planner):
    client = client_of(maker)
    assert "Nothing was printed yet." in client.get(f"{ORDERS}{approved_order.pk}/change/").content.decode()
    client.post(f"{ORDERS}{approved_order.pk}/ticket/")
    client_of(planner).post(f"{ORDERS}{approved_order.pk}/labels/", SHEET)
    page = client.get(f"{ORDERS}{approved_order.pk}/change/")
    assert [(one.paper, one.printed_by) for one in page.context["printouts"]] == [(Kind.LABELS, planner), (Kind.TICKET, maker)]
    assert page.context["warnings"] == []


def test_the_orders_page_warns_that_the_last_ticket_is_old(shop, draft_order, maker):
    PrintoutFactory(order=draft_order, revision=1, printed_by=maker)
    order = do.revise_order(draft_order, by=maker)
    PrintoutFactory(order=draft_order, paper=Kind.LABELS, revision=order.revision, printed_by=maker)
    client = client_of(maker)
    page = client.get(f"{ORDERS}{order.pk}/change/")
    sentence = "The last job ticket was printed of revision 1; the order is at revision 2. Print a new one."
    assert page.context["warnings"][0] == sentence
    assert sentence in page.content.decode()
    assert "out of date" in page.content.decode()
    client.post(f"{ORDERS}{order.pk}/ticket/")
    assert sentence not in client.get(f"{ORDERS}{order.pk}/change/").content.decode()


def test_printouts_cost_the_orders_page_one_query(approved_order, planner):
    def cost():
        client = client_of(planner)
        client.get(f"{ORDERS}{approved_order.pk}/change/")
        with count_queries() as statements:
            client.get(f"{ORDERS}{approved_order.pk}/change/")
        return len(statements)

    few = cost()
    PrintoutFactory.create_batch(40, order=approved_order)
    assert cost() == few


# -- badges


def test_badges_are_printed_one_and_many(operator, second_operator, administrator):
    first, second = BadgeFactory(user=operator), BadgeFactory(user=second_operator)
    client = client_of(administrator)
    one = client.post(f"{BADGES}{first.pk}/print/", SHEET)
    assert (one["Content-Type"], one["Content-Disposition"]) == ("application/pdf", 'inline; filename="badges-operator.pdf"')
    assert Paper(one.content).codes()["QR-Code"] == {codes.encode(codes.Kind.BADGE, first.pk)}
    data = {"action": "bulk_print", "_selected_action": [first.pk, second.pk], "apply": "1"}
    many = client.post(BADGES, data | {"sheet": "a4-2x7", "start": 14})
    assert Paper(many.content).count == 2


def test_a_revoked_badge_is_refused_with_a_sentence(operator, second_operator, administrator):
    badges = [BadgeFactory(user=operator, revoked_at=timezone.now()), BadgeFactory(user=second_operator)]
    client = client_of(administrator)
    assert client.post(f"{BADGES}{badges[0].pk}/print/", SHEET).status_code == 409
    data = {"action": "bulk_print", "_selected_action": [badge.pk for badge in badges], "apply": "1"} | SHEET
    response = client.post(BADGES, data)
    assert response.status_code == 409
    assert "The badge of Operator is revoked" in response.content.decode()


@pytest.mark.parametrize(
    ("persona", "status"),
    [("administrator", 200), ("supervisor", 200), ("prepress_lead", 404), ("auditor", 403), ("operator", 403), ("maker", 403)],
)
def test_who_may_print_a_badge_from_its_page(shop, operator, everybody, persona, status):
    badge = BadgeFactory(user=operator)
    assert client_of(everybody[persona]).post(f"{BADGES}{badge.pk}/print/", SHEET).status_code == status
