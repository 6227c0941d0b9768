"""A customer's own code stands for an order once somebody scanned both."""

import pytest

from apps.scanning.models import LinkedCode
from tests.personas import api_of
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
    assert link(api, "ab", order).json()["code"] == "too_short"
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
