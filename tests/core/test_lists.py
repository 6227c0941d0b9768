"""Long lists of the admin: counted to a limit, which is told."""

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
