"""History rows of many new rows, which the database copies, say what simple-history's own would."""

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.catalog.models import Customer
from apps.core import history
from apps.core.context import acting, signed
from apps.core.history import create_with_history
from apps.workorders.models import OrderLine, Step, Task, WorkOrder
from tests.shop import Shop

pytestmark = pytest.mark.django_db
WORTH_NOTHING = ("history_id", "history_date")


def told_of(rows: list) -> list[dict]:
    told = type(rows[0]).history.filter(id__in=[row.pk for row in rows]).order_by("id").values()
    return [{name: value for name, value in row.items() if name not in WORTH_NOTHING} for row in told]


def test_the_database_tells_what_the_library_would(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(history, "COPIED_AT_ONCE", 2)
    somebody, began = User.objects.create(username="somebody"), timezone.now()
    many = [Customer(code=f"C{number}", name=f"Müller % {number}", contact="a\n'b\"" * number) for number in range(5)]
    with acting(somebody), signed(source="import", request_id="request-7"):
        create_with_history(many, reasons=["", *(f"row {number} %s" for number in range(1, 5))])
        told = told_of(many)
        assert all(began <= day <= timezone.now() for day in Customer.history.values_list("history_date", flat=True))
        Customer.history.all().delete()
        for number, row in enumerate(many):
            row._change_reason = f"row {number} %s" if number else None
        Customer.history.bulk_history_create(many, default_change_reason=None)
    assert told == told_of(many)
    assert told[3] | {"id": 0} == {
        **told[2], "id": 0, "code": "C3", "name": "Müller % 3", "contact": "a\n'b\"" * 3, "history_change_reason": "row 3 %s",
        "history_user_id": somebody.pk, "history_type": "+", "source": "import", "request_id": "request-7",
    }  # fmt: skip


def test_without_reasons_of_their_own_rows_get_the_one_in_force(shop: Shop):
    with signed(reason="a new year"):
        create_with_history([customer := Customer(code="N1", name="N"), Customer(code="N2", name="M")])
    assert set(Customer.history.filter(id__in=[customer.pk, customer.pk + 1]).values_list("history_change_reason", flat=True)) == {
        "a new year"
    }
    create_with_history([customer := Customer(code="N3", name="L")])
    assert Customer.history.get(id=customer.pk).history_change_reason is None


def test_nothing_is_written_for_nothing(django_assert_num_queries):
    with django_assert_num_queries(0):
        create_with_history([])


def test_every_part_of_a_new_order_is_told_as_it_is(shop: Shop):
    order = shop.draft()
    for model in (WorkOrder, OrderLine, Step, Task):
        rows = list(model.objects.filter(**({"pk": order.pk} if model is WorkOrder else {"order": order})).order_by("pk"))
        for row, told in zip(rows, told_of(rows), strict=True):
            now = model.objects.values().get(pk=row.pk)
            assert told | now == told
            assert told["history_type"] == "+"
