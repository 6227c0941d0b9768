"""A customer's own code stands for an order once somebody scanned both."""

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from apps.scanning.models import LinkedCode
from apps.scanning.services.link import link_code, unlink_code
from tests.personas import again, api_of, client_of
from tests.scanning.sending import code_of, item, paper_of, send, told


def link(api, code, order):
    return api.post("/api/scans/link/", {"code": code, "order": order}, format="json")


@pytest.mark.parametrize("code", ["PO-4711/3", "4006381333931", "https://customer.example/jobs/77", "Kiste 7  b"])
def test_scanned_once_with_the_order_it_stands_for_it(supervisor, handheld, operator, pending_task, code):
    answer = link(api_of(supervisor), code, code_of(pending_task.order))
    assert answer.status_code == 200
    assert answer.json()["order_number"] == pending_task.order.number
    floor = handheld.signed_in(operator)
    body = floor.get("/api/scans/resolve/", {"code": f" {code} "}).json()
    assert (body["kind"], body["order"]["id"], body["task"]["id"]) == ("order", pending_task.order_id, pending_task.pk)
    assert told(send(floor, item(code, "start"))) == (200, "applied", "")
    assert handheld.alone.get("/api/scans/resolve/", {"code": code}).json()["order"]["id"] == pending_task.order_id


def test_linking_again_changes_nothing_and_another_order_is_refused(shop, supervisor, pending_task):
    api, other = api_of(supervisor), shop.approved()
    assert link(api, "PO-1", code_of(pending_task.order)).status_code == 200
    assert link(api, "PO-1", paper_of(pending_task.order, 1)).status_code == 200
    answer = link(api, "PO-1", code_of(other))
    assert (answer.status_code, answer.json()["code"]) == (409, "linked_already")
    assert pending_task.order.number in answer.json()["detail"]
    assert LinkedCode.objects.get().order == pending_task.order


def test_our_own_codes_are_not_linked(supervisor, pending_task):
    api, order = api_of(supervisor), code_of(pending_task.order)
    assert link(api, code_of(pending_task), order).json()["code"] == "own_code"
    assert link(api, "T598", order).json()["code"] == "a_number"
    assert link(api, "ab", order).json()["code"] == "too_short"
    assert link(api, "ab   ", order).json()["code"] == "too_short"
    assert link(api, "PO-1", code_of(pending_task)).json()["code"] == "not_an_order"
    assert link(api, "PO-1", "nonsense").json()["code"] == "bad_code"
    assert not LinkedCode.objects.exists()


def test_only_who_sees_the_order_and_may_link_does(shop, pending_task, operator, auditor, other_maker, prepress_lead):
    order = code_of(pending_task.order)
    assert link(api_of(other_maker), "PO-1", order).status_code == 404
    assert link(api_of(operator), "PO-1", order).status_code == 404
    assert link(api_of(auditor), "PO-1", order).status_code == 403
    assert not LinkedCode.objects.exists()


def test_a_linked_order_out_of_sight_is_no_code_of_ours(supervisor, stranger, handheld, pending_task):
    link(api_of(supervisor), "PO-1", code_of(pending_task.order))
    floor = handheld.signed_in(stranger)
    seen = floor.get("/api/scans/resolve/", {"code": "PO-1"})
    absent = floor.get("/api/scans/resolve/", {"code": "PO-2"})
    assert (seen.status_code, seen.json()) == (absent.status_code, absent.json())
    assert told(send(floor, item("PO-1", "start"))) == (400, "refused", "bad_code")


def test_long_codes_that_begin_alike_are_two(shop, supervisor, handheld, operator, pending_task):
    long = "https://customer.example/jobs/" + "7" * 200
    link_code(pending_task.order, by=again(supervisor), code=long + "A")
    link_code(shop.approved(), by=again(supervisor), code=long + "B")
    floor = handheld.signed_in(operator)
    assert floor.get("/api/scans/resolve/", {"code": long + "A"}).json()["order"]["id"] == pending_task.order_id
    assert floor.get("/api/scans/resolve/", {"code": long + "C"}).status_code == 400


def test_a_link_is_taken_away_and_both_stay_in_the_ledger(shop, supervisor, handheld, operator, pending_task):
    order, other = pending_task.order, shop.approved()
    made = link_code(order, by=again(supervisor), code=" PO-1 ")
    unlink_code(made, by=again(supervisor))
    assert not LinkedCode.objects.exists()
    assert told(send(handheld.signed_in(operator), item("PO-1", "start"))) == (400, "refused", "bad_code")
    told_events = order.events.filter(verb__in=["link", "unlink"]).order_by("pk").values_list("verb", "actor", "data")
    assert list(told_events) == [("link", supervisor.pk, {"code": "PO-1"}), ("unlink", supervisor.pk, {"code": "PO-1"})]
    assert link_code(other, by=again(supervisor), code="PO-1").order == other


def test_only_who_sees_the_order_and_may_takes_a_link_away(shop, supervisor, operator, auditor, other_maker, pending_task):
    made = link_code(pending_task.order, by=again(supervisor), code="PO-1")
    for person in (operator, auditor, other_maker):
        with pytest.raises(PermissionDenied):
            unlink_code(made, by=again(person))
        with pytest.raises(PermissionDenied):
            link_code(pending_task.order, by=again(person), code="PO-2")
    assert LinkedCode.objects.count() == 1


class TestPages:
    def address(self, order, verb=""):
        name = f"verb_{verb}" if verb else "change"
        return reverse(f"admin:workorders_workorder_{name}", args=[order.pk])

    def test_scanned_into_the_orders_dialog_it_stands_on_its_page_until_it_is_taken_away(self, pending_task, supervisor):
        client, order = client_of(supervisor), pending_task.order
        assert "linked-codes" not in client.get(self.address(order)).content.decode()
        assert client.get(self.address(order, "link")).status_code == 200
        assert client.post(self.address(order, "link"), {"code": "PO-4711/3"}).status_code == 302
        shown = client.get(self.address(order)).content.decode()
        assert "PO-4711/3" in shown
        assert "linked the customer&#x27;s code PO-4711/3" in shown
        made = LinkedCode.objects.get()
        assert f"{self.address(order, 'unlink')}?link={made.pk}" in shown
        assert client.get(self.address(order, "unlink"), {"link": made.pk}).status_code == 200
        assert client.post(self.address(order, "unlink"), {"link": made.pk}).status_code == 302
        assert not LinkedCode.objects.exists()

    def test_a_refused_code_says_why_at_its_field(self, pending_task, supervisor):
        client = client_of(supervisor)
        answer = client.post(self.address(pending_task.order, "link"), {"code": code_of(pending_task)})
        assert answer.status_code == 409
        assert "This is a code of Docket itself." in str(answer.context["form"].errors["code"])

    def test_the_code_of_another_order_is_not_taken_away_here(self, shop, pending_task, supervisor):
        made = link_code(shop.approved(), by=again(supervisor), code="PO-2")
        assert client_of(supervisor).post(self.address(pending_task.order, "unlink"), {"link": made.pk}).status_code == 400
        assert LinkedCode.objects.exists()

    @pytest.mark.parametrize(("who", "seen", "moves"), [("maker", True, True), ("auditor", True, False), ("planner", True, False)])
    def test_who_sees_the_codes_and_the_buttons(self, shop, pending_task, supervisor, who, seen, moves):
        link_code(pending_task.order, by=again(supervisor), code="PO-1")
        client = client_of(shop.people[who])
        page = client.get(self.address(pending_task.order)).content.decode()
        assert ("PO-1" in page, "verb_unlink" in page or "/unlink/" in page) == (seen, moves)
        assert client.get(self.address(pending_task.order, "link")).status_code == (200 if moves else 403)
