"""What a person types to find orders and tasks. The short tables are asked first, so that the long ones are walked by their keys."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Model, Q, QuerySet, Value
from django.utils.text import smart_split, unescape_string_literal

from apps.catalog.models import Customer, Process, Product, Tool
from apps.workorders.models import OrderLine, WorkOrder

MOST_NAMED = 500  # keys that are handed over as they are
NAMED: dict[type[Model], tuple[str, ...]] = {
    Customer: ("name", "code"),
    Process: ("name", "name_zh", "code"),
    Product: ("name", "code"),
    Tool: ("code",),
}


def words(text: str) -> Iterator[str]:
    """What has to be found, each somewhere: words, and phrases in quotes."""
    for bit in smart_split(text):
        yield unescape_string_literal(bit) if bit[0] == bit[-1] and bit[0] in "\"'" and len(bit) > 1 else bit


def named(word: str, *models: type[Model]) -> dict[type[Model], Any]:
    """For each model the keys of its rows that are called so; of many, the query for them. One query."""
    queries = {model: model._default_manager.filter(_any_has(NAMED[model], word)).order_by() for model in models}
    parts = [
        model._default_manager.filter(pk__in=query.values("pk")[: MOST_NAMED + 1]).order_by().values_list(Value(number), "pk")
        for number, (model, query) in enumerate(queries.items())
    ]
    found: dict[type[Model], list[int]] = {model: [] for model in models}
    for number, pk in parts[0].union(*parts[1:], all=True):
        found[models[number]].append(pk)
    return {model: keys if len(keys) <= MOST_NAMED else queries[model].values("pk") for model, keys in found.items()}


def _any_has(fields: tuple[str, ...], word: str) -> Q:
    condition = Q()
    for field in fields:
        condition |= Q(**{f"{field}__icontains": word})
    return condition


def _called(word: str, customers: Any) -> Q:
    """The orders with this number, or of these customers."""
    condition = _any_has(("number", "external_number"), word)
    return condition | Q(customer__in=customers) if _some(customers) else condition


def _some(keys: Any) -> bool:
    return isinstance(keys, QuerySet) or bool(keys)


def find_orders(rows: QuerySet, text: str) -> QuerySet:
    """The orders among `rows` in whose number, customer or products every word is found. One query a word."""
    for word in words(text):
        keys = named(word, Customer, Product)
        condition = _called(word, keys[Customer])
        if _some(keys[Product]):
            condition |= Q(pk__in=OrderLine.objects.filter(product__in=keys[Product]).order_by().values("order"))
        rows = rows.filter(condition)
    return rows


def find_tasks(rows: QuerySet, text: str) -> QuerySet:
    """The tasks among `rows` in whose order, customer, process, product or tool every word is found. One query a word."""
    for word in words(text):
        keys = named(word, Customer, Process, Product, Tool)
        condition = Q(order__in=WorkOrder.objects.filter(_called(word, keys[Customer])).order_by().values("pk"))
        for path, model in (("step__process", Process), ("line__product", Product), ("tool", Tool)):
            if _some(keys[model]):
                condition |= Q(**{f"{path}__in": keys[model]})
        rows = rows.filter(condition)
    return rows
