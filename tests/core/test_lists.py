"""Long lists of the admin: counted to a limit, which is told; what is the same in each row is made once."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

from unfold.widgets import UnfoldBooleanWidget

from apps.core import lists
from apps.workorders.models import WorkOrder
from tests.personas import client_of
from tests.queries import count_queries

ORDERS = "/admin/workorders/workorder/"


def test_a_long_list_is_counted_and_reached_to_a_limit(shop, planner, monkeypatch):
    monkeypatch.setattr(lists, "COUNTED", 30)
    first = shop.draft()
    copies = [WorkOrder.objects.get(pk=first.pk) for _row in range(34)]
    for number, copy in enumerate(copies):
        copy.pk, copy.number = None, f"copy-{number}"
    WorkOrder.objects.bulk_create(copies)
    client = client_of(planner)
    page = client.get(ORDERS)
    assert (page.context["cl"].result_count, str(page.context["cl"].result_count)) == (30, "30+")
    assert "30+" in page.content.decode()
    assert len(client.get(f"{ORDERS}?p=2").context["cl"].result_list) == 5
    assert str(client.get(f"{ORDERS}?q=copy-1").context["cl"].result_count) == "11"


def test_what_a_row_shows_is_asked_for_the_pages_rows_only(shop, planner):
    shop.draft()
    client = client_of(planner)
    client.get(ORDERS)
    with count_queries() as statements:
        client.get(ORDERS)
    wide = [sql for sql in statements if "tasks_total" in sql]
    assert len(wide) == 1
    assert 'WHERE "workorders_workorder"."id" IN (' in wide[0]


def test_headers_and_check_boxes_are_made_once_for_a_list_in_the_readers_language(shop, planner, monkeypatch):
    client, made = client_of(planner), []
    rendered = UnfoldBooleanWidget.render
    monkeypatch.setattr(UnfoldBooleanWidget, "render", lambda *given, **named: made.append(1) or rendered(*given, **named))
    orders = [shop.draft() for _order in range(4)]
    client.get(ORDERS)
    made.clear()
    page = client.get(ORDERS).content.decode()
    assert len(made) == 1  # the box above the list
    boxes = re.findall(r'<input[^>]* name="_selected_action"[^>]*>', page)
    assert [re.search(r'value="(\d+)"', box)[1] for box in boxes] == [str(order.pk) for order in reversed(orders)]
    assert {re.search(r'aria-label="([^"]*)"', box)[1] for box in boxes} == {"Select record"}
    chinese = client.get(ORDERS, headers={"accept-language": "zh-hans"}).content.decode()
    assert chinese.count('aria-label="选择此条"') == 4


def test_the_page_of_a_row_leads_back_to_the_list_as_it_was(shop, planner):
    order, client = shop.draft(), client_of(planner)
    query = "q=%C3%9F%26&status__exact=draft"
    WorkOrder.objects.update(external_number="ß&")
    page = client.get(f"{ORDERS}?{query}").content.decode()
    address = unescape(re.search(rf'href="({ORDERS}{order.pk}/change/[^"]*)"', page)[1])
    assert parse_qs(urlsplit(address).query) == {"_changelist_filters": [query]}
    assert f'href="{ORDERS}{order.pk}/change/"' in client.get(ORDERS).content.decode()
    assert query in unescape(client.get(address).content.decode())
