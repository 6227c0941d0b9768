"""The catalogue's verbs."""

from collections.abc import Iterable, Sequence
from itertools import chain, count
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.catalog.models import Customer, Process, Product, Route, RouteStep, Tool
from apps.core.context import acting, signature
from apps.core.depending import refuse_if_needed
from apps.core.errors import InvalidInput, RuleError
from apps.core.reading import unknown
from apps.core.validation import validated


def confirm_tool(tool: Tool, *, by: Any) -> Tool:
    """Say that the tool is right and here. Steps that wait for it may start. Locks the tool."""
    with acting(by):
        tool = Tool.objects.visible_to(by).locked().get(pk=tool.pk)
        if not access_of(by).has("catalog.confirm_tool"):
            raise PermissionDenied(_("You may not confirm tools. Ask a planner or a supervisor."))
        if tool.confirmed_at:
            raise RuleError(_("Tool %(tool)s is confirmed already.") % {"tool": tool}, code="already_confirmed")
        tool.confirmed_at, tool.confirmed_by = timezone.now(), by
        tool.save()
        return tool


def save_customer(customer: Customer, *, by: Any) -> Customer:
    """Save a new or changed customer. Raises InvalidInput with every field that is wrong."""
    with acting(by):
        _require(by, "customer", customer)
        if customer.pk:
            _in_sight(Customer, customer, by)
        validated(customer)
        customer.save()
        return customer


def save_product(product: Product, *, by: Any, route_codes: Sequence[str] | None = None) -> Product:
    """Save a new or changed product. `route_codes` are process codes in order: the product gets a route of just these steps."""
    with acting(by):
        _require(by, "product", product)
        if product.pk:
            _in_sight(Product, product, by)
        if route_codes is not None:
            product.route = route_of(route_codes, product=product)
        validated(product)
        product.save()
        return product


def save_tool(tool: Tool, *, by: Any, products: Iterable[Product] | None = None) -> Tool:
    """Save a new or changed tool; `products` are all that it is for, None leaves them. Raises InvalidInput with every wrong field."""
    with acting(by):
        _require(by, "tool", tool)
        if tool.pk:
            _in_sight(Tool, tool, by)
        validated(tool)
        tool.save()
        if products is not None:
            tool.products.set(products)
        return tool


def remove(instance: Customer | Product | Route | Tool, *, by: Any) -> None:
    """Delete a row of the catalogue that nothing depends on. Raises RuleError that names the first thing that does. Locks the row."""
    with acting(by):
        name = instance._meta.model_name
        access = access_of(by)
        imported = signature().source == "import" and access.has(f"catalog.import_{'product' if name == 'route' else name}")
        if not imported and not access.has(f"catalog.delete_{name}"):
            raise PermissionDenied(_("You may not change the catalogue. Ask a planner."))
        _in_sight(type(instance), instance, by)
        refuse_if_needed(instance, by=by, parts=(RouteStep,))
        instance.delete()


def route_of(codes: Sequence[str], *, product: Product) -> Route:
    """A route with exactly these processes: the product's own, else the first active one, else a new one named after the product.

    Routes are shared, so that none is ever changed here. At most three queries when one is there.
    """
    wanted = list(codes)
    routes = Route.objects.active().filter(steps__process__code=wanted[0]).prefetch_related("steps__process").distinct()
    for route in sorted(routes, key=lambda route: (route.pk != product.route_id, route.pk)):
        if [step.process.code for step in route.steps.all()] == wanted:
            return route
    processes = {process.code: process for process in Process.objects.active().filter(code__in=wanted)}
    for code in wanted:
        if code not in processes:
            raise _unknown_process(code)
    route = Route(code=_free_code(product.code), name=product.name)
    validated(route)
    route.save()
    for position, code in enumerate(wanted, 1):
        RouteStep.objects.create(route=route, process=processes[code], position=position)
    return route


def _unknown_process(code: str) -> InvalidInput:
    return unknown(code, _("process code"), Process.objects.active().values_list("code", flat=True), field="route")


def _free_code(code: str) -> str:
    """`code`, or with the first number behind it that no route has."""
    taken = set(Route.objects.filter(code__startswith=code).values_list("code", flat=True))
    return next(name for name in chain([code], (f"{code}-{serial}" for serial in count(2))) if name not in taken)


def _require(by: Any, name: str, instance: Any) -> None:
    access, action = access_of(by), "change" if instance.pk else "add"
    imported = signature().source == "import" and access.has(f"catalog.import_{name}")
    if not imported and not access.has(f"catalog.{action}_{name}"):
        raise PermissionDenied(_("You may not change the catalogue. Ask a planner."))


def _in_sight(model: Any, instance: Any, by: Any) -> None:
    """Lock the row; one out of sight reads as absent."""
    if not model.objects.visible_to(by).locked().filter(pk=instance.pk).exists():
        raise InvalidInput(_("There is no such row. Look it up again."), code="unknown")
