"""The command palette: scoped, limited, never remembered."""

import pytest
from django.core.cache import cache
from django.urls import reverse

from apps.accounts.models import User
from apps.scanning.codes import Kind, encode
from apps.workorders.models import Task, WorkOrder
from tests.factories import CustomerFactory
from tests.personas import client_of
from tests.queries import count_queries
from tests.shop import Shop

SEARCH = "/admin/search/"


def found(person: User, term: str) -> list[str]:
    answer = client_of(person).get(SEARCH, {"s": term, "extended": "1"})
    assert answer.status_code == 200
    return [result.title for result in answer.context["results"]]


def test_unfolds_own_search_is_out_of_reach() -> None:
    assert reverse("admin:search") == SEARCH == reverse("dashboard:search")


def test_an_order_is_found_by_number_and_customer(shop: Shop, maker: User, stranger: User) -> None:
    order = shop.draft()
    assert order.number in found(maker, order.number)
    assert order.number in found(maker, "sunri")
    assert found(stranger, order.number) == []
    assert found(stranger, "sunri") == []


def test_a_task_is_found_by_its_number_and_its_orders(shop: Shop, pending_task: object, operator: User, stranger: User) -> None:
    assert found(operator, str(pending_task)) == [str(pending_task)]
    assert found(operator, pending_task.order.number) == [str(pending_task)]
    assert found(stranger, str(pending_task)) == []


def test_printed_codes_find_what_they_stand_for(shop: Shop, pending_task: Task, operator: User, planner: User, stranger: User) -> None:
    order = pending_task.order
    codes = {kind: encode(kind, row.pk) for kind, row in ((Kind.TASK, pending_task), (Kind.ORDER, order))}
    codes[Kind.TASK_PAPER] = encode(Kind.TASK_PAPER, pending_task.pk, order.revision)
    codes[Kind.ORDER_PAPER] = encode(Kind.ORDER_PAPER, order.pk, order.revision)
    assert found(operator, codes[Kind.TASK]) == found(operator, codes[Kind.TASK_PAPER].lower()) == [str(pending_task)]
    assert found(operator, codes[Kind.ORDER_PAPER]) == [str(pending_task)]
    assert found(planner, codes[Kind.TASK]) == [order.number, str(pending_task)]
    assert order.number in found(planner, codes[Kind.ORDER])
    for code in codes.values():
        assert found(stranger, code) == []


@pytest.mark.parametrize("kind", [Kind.TASK, Kind.TASK_PAPER, Kind.ORDER, Kind.ORDER_PAPER])
def test_the_lists_find_by_printed_codes(shop: Shop, pending_task: Task, planner: User, kind: Kind) -> None:
    other, order = shop.approved(), pending_task.order
    code = encode(kind, (pending_task if kind in (Kind.TASK, Kind.TASK_PAPER) else order).pk, order.revision)
    client = client_of(planner)
    orders = client.get(reverse("admin:workorders_workorder_changelist"), {"q": code}).context["cl"].result_list
    tasks = client.get(reverse("admin:workorders_task_changelist"), {"q": code}).context["cl"].result_list
    assert [one.pk for one in orders] == [order.pk]
    assert pending_task.pk in {one.pk for one in tasks}
    assert {one.order_id for one in tasks} == {order.pk} != {other.pk}


def test_a_page_is_found_by_its_name(shop: Shop, planner: User, operator: User) -> None:
    assert "Processes" in found(planner, "process")
    assert "Processes" not in found(operator, "process")
    answer = client_of(planner).get(SEARCH, {"s": "process"})
    assert [result.title for result in answer.context["results"]] == ["Processes"]


def test_at_most_twenty_rows(shop: Shop, planner: User) -> None:
    for number in range(30):
        CustomerFactory(name=f"Needle {number:02}")
    client = client_of(planner)
    client.get(SEARCH)
    with count_queries(6):
        answer = client.get(SEARCH, {"s": "needle", "extended": "1"})
    assert len(answer.context["results"]) == 20


def test_a_right_taken_away_empties_the_next_search(shop: Shop, maker: User, other_maker: User) -> None:
    order = shop.draft()
    assert order.number in found(maker, order.number)
    WorkOrder.objects.filter(pk=order.pk).update(maker=other_maker, created_by=other_maker)
    assert found(maker, order.number) == []
    assert not [key for key in getattr(cache, "_cache", {}) if "unfold_search" in key]


@pytest.mark.parametrize("term", ["", "   ", "\x00", "%", "'", "x" * 5000, "t" + "9" * 30, "９９", "🦊", "<script>alert(1)</script>"])
def test_odd_terms_are_answered(shop: Shop, planner: User, term: str) -> None:
    shop.draft()
    for extended in ({}, {"extended": "1"}):
        answer = client_of(planner).get(SEARCH, {"s": term, "page": "x"} | extended)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.content.decode()


def test_who_is_signed_out_finds_nothing(shop: Shop) -> None:
    assert client_of(None).get(SEARCH, {"s": "sun", "extended": "1"}).status_code == 302
