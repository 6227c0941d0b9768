"""What finds an order or a task, and what it costs."""

import pytest

from apps.catalog.models import Customer
from apps.workorders import searching
from apps.workorders.models import Task, WorkOrder
from apps.workorders.searching import find_orders, find_tasks
from tests.queries import count_queries


@pytest.fixture
def orders(shop):
    found, other = shop.approved("leaflet", external_number="PO-77"), shop.approved("carton")
    WorkOrder.objects.filter(pk=other.pk).update(customer=Customer.objects.create(code="ZED", name="Zeppelin works"))
    return found, WorkOrder.objects.get(pk=other.pk)


def test_an_order_is_found_by_its_number_customer_and_products(orders):
    found, other = orders
    product = found.lines.get().product
    for text in (found.number, "po-77", product.code, f"PO-77 {product.name.split()[0]}", f'"{product.name}"'):
        assert list(find_orders(WorkOrder.objects.all(), text)) == [found], text
    assert list(find_orders(WorkOrder.objects.all(), "zeppelin")) == [other]
    assert list(find_orders(WorkOrder.objects.all(), "zeppelin PO-77")) == []
    assert find_orders(WorkOrder.objects.all(), "").count() == 2


def test_a_task_is_found_by_its_order_process_and_tool(orders):
    found, other = orders
    assert set(find_tasks(Task.objects.all(), "po-77")) == set(found.tasks.all())
    assert set(find_tasks(Task.objects.all(), "Zeppelin CTP")) == set(other.tasks.filter(step__process__code="CTP"))
    tool = Task.objects.exclude(tool=None).first().tool
    assert set(Task.objects.filter(tool=tool)) <= set(find_tasks(Task.objects.all(), tool.code))
    assert list(find_tasks(Task.objects.all(), "nothing is called so")) == []


def test_a_word_that_names_too_many_is_asked_of_the_table_itself(orders, monkeypatch):
    before = set(find_tasks(Task.objects.all(), "e"))
    monkeypatch.setattr(searching, "MOST_NAMED", 1)
    assert set(find_tasks(Task.objects.all(), "e")) == before != set()


def test_searching_costs_two_queries_and_joins_no_names_to_tasks(orders):
    with count_queries() as statements:
        list(find_tasks(Task.objects.order_by(), "PO-77").values_list("pk"))
    assert len(statements) == 2
    assert "JOIN" not in statements[1]
