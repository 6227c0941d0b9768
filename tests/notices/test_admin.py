"""Notices through the admin: one's own, to read."""

from django.urls import reverse

from apps.accounts.models import User
from apps.notices.models import Notice
from apps.notices.services import notify
from tests.personas import client_of
from tests.queries import count_queries
from tests.shop import Shop

LIST = reverse("admin:notices_notice_changelist")


def at(page: str, notice: Notice) -> str:
    return reverse(f"admin:notices_notice_{page}", args=[notice.pk])


def notice_of(person: User, number: str = "202611-0001") -> Notice:
    notify([person], "order_completed", number=number, url="/admin/account/")
    return Notice.objects.filter(user=person).latest("pk")


def test_one_sees_only_ones_own(shop: Shop, maker: User, superuser: User) -> None:
    notice = notice_of(maker)
    assert "202611-0001" in client_of(maker).get(LIST).content.decode()
    assert client_of(superuser).get(at("change", notice)).status_code == 404
    assert "202611-0001" not in client_of(superuser).get(LIST).content.decode()
    assert client_of(superuser).post(at("verb_read", notice), {}).status_code == 404


def test_a_notice_is_marked_as_read_by_a_button(shop: Shop, maker: User) -> None:
    notice, client = notice_of(maker), client_of(maker)
    assert client.get(at("verb_read", notice)).status_code == 200
    assert Notice.objects.get(pk=notice.pk).read_at is None
    assert client.post(at("verb_read", notice), {}).status_code == 302
    assert Notice.objects.get(pk=notice.pk).read_at is not None


def test_several_are_marked_as_read_at_once(shop: Shop, maker: User, other_maker: User) -> None:
    notices = [notice_of(maker), notice_of(maker), notice_of(other_maker)]
    data = {"action": "bulk_read", "_selected_action": [notice.pk for notice in notices], "apply": "1"}
    client_of(maker).post(LIST, data)
    assert [Notice.objects.get(pk=notice.pk).read_at is None for notice in notices] == [False, False, True]


def test_nobody_writes_or_deletes_one_by_hand(shop: Shop, maker: User) -> None:
    notice, client = notice_of(maker), client_of(maker)
    assert client.get(reverse("admin:notices_notice_add")).status_code == 403
    assert client.post(at("change", notice), {"read_at": ""}).status_code == 403
    assert client.post(at("delete", notice), {"post": "yes"}).status_code == 403


def test_unread_ones_are_a_filter(shop: Shop, maker: User) -> None:
    client_of(maker).post(at("verb_read", notice_of(maker, "old")), {})
    unread = notice_of(maker, "new")
    answer = client_of(maker).get(f"{LIST}?read=no")
    assert list(answer.context["cl"].result_list) == [unread]


def test_a_link_elsewhere_is_not_shown(shop: Shop, maker: User) -> None:
    notice = Notice.objects.create(user=maker, kind="order_completed", params={"number": "1"}, url="javascript:alert(1)")
    assert "javascript:alert" not in client_of(maker).get(at("change", notice)).content.decode()


def test_the_list_costs_the_same_for_many(shop: Shop, maker: User) -> None:
    def cost() -> int:
        client = client_of(maker)
        client.get(reverse("admin:index"))
        with count_queries() as queries:
            client.get(LIST)
        return len(queries)

    notice_of(maker)
    first = cost()
    for _number in range(20):
        notice_of(maker)
    assert cost() == first
