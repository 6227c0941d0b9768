"""How orders are made: one by one or many at once, by the same rules, in a number of queries that does not grow with the orders."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.catalog.models import Customer, Tool
from apps.core.context import Signature, acting, signature, signed
from apps.core.errors import InvalidInput, RuleError
from apps.core.history import create_with_history
from apps.core.validation import refusals
from apps.workorders.generation import Making, Routes, StepPlan, default_runs, generate, plan_all_tasks
from apps.workorders.models import OrderLine, OrderMaterial, WorkOrder
from apps.workorders.numbering import take_numbers
from apps.workorders.states import OrderStatus
from apps.workorders.transitions import one_insert, record


@dataclass
class NewOrder:
    """An unsaved order with its parts. Its history bears the reason, and its event the import's row, in force where this was made.

    `check_orders` writes what it found: `refusal`, or the steps that the order is to have, and its tools.
    """

    order: WorkOrder
    lines: Sequence[OrderLine]
    materials: Sequence[OrderMaterial] = ()
    tools: Iterable[Tool] = ()
    signature: Signature = field(default_factory=signature)
    refusal: RuleError | PermissionDenied | None = None
    plans: Sequence[StepPlan] | None = None


def create_order(
    order: WorkOrder, *, lines: Sequence[OrderLine], materials: Sequence[OrderMaterial] = (), tools: Iterable[Tool] = (), by: Any
) -> WorkOrder:
    """Save an unsaved order with its parts as a draft: number, steps and draft tasks at once.

    Without `tools` it takes the newest confirmed ones of its products; without a run quantity, what its lines need.
    Raises InvalidInput with every field that is wrong. Nothing is saved then.
    """
    with acting(by):
        return create_orders([NewOrder(order, lines, materials, tools)], by=by)[0]


def create_orders(drafts: Sequence[NewOrder], *, by: Any) -> list[WorkOrder]:
    """`create_order` for many, which all come through the same door. Raises the first refusal, and saves nothing then: who wants to
    know of each asks `check_orders` first, in the same transaction.
    """
    with acting(by):
        if unchecked := [draft for draft in drafts if draft.plans is None and draft.refusal is None]:
            check_orders(unchecked, by=by)
        for draft in drafts:
            if draft.refusal:
                raise draft.refusal
        orders, reasons = [draft.order for draft in drafts], [draft.signature.reason for draft in drafts]
        for order, number in zip(orders, take_numbers(timezone.localdate(), len(orders)), strict=True):
            order.number = number
        create_with_history(orders, reasons=reasons)
        for parts in ([draft.lines for draft in drafts], [draft.materials for draft in drafts]):
            _write_new_parts(drafts, parts)
        _write_tools(drafts)
        generate(
            [
                Making(draft.order, draft.plans, draft.lines, draft.materials, draft.tools, draft.signature.reason)
                for draft in drafts
            ]
        )  # fmt: skip
        with one_insert():
            for draft in drafts:
                with signed(import_run=draft.signature.import_run, import_row=draft.signature.import_row):
                    record(draft.order, "copy" if draft.order.copied_from_id else "create", by=by, to_status=OrderStatus.DRAFT)
        return orders


def check_orders(drafts: Sequence[NewOrder], *, by: Any) -> None:
    """Fill in what `create_order` fills in, and say of each draft why it cannot be made (`refusal`) or which steps it gets.

    Writes nothing. Raises PermissionDenied where `by` may make no orders at all.
    """
    access = access_of(by)
    if not (by.is_superuser or access.has("workorders.add_workorder")):
        raise PermissionDenied(_("You may not create orders. Ask a maker or a supervisor."))
    for draft in drafts:
        order = draft.order
        order.created_by = by
        if order.maker_id is None and access.roles & {Role.MAKER, Role.SALESPERSON}:
            order.maker = by
        order.run_quantity = order.run_quantity or default_runs(draft.lines, order.ups or 1)
    _refuse(drafts, check_choices([draft.order for draft in drafts], by=by))
    _refuse(drafts, refusals([draft.order for draft in drafts], exclude=["number", "created_by"]))
    for name in ("lines", "materials"):
        owned = [(draft, part) for draft in drafts for part in getattr(draft, name)]
        _refuse([draft for draft, _part in owned], refusals([part for _draft, part in owned], exclude=["order"]))
    if not (good := [draft for draft in drafts if draft.refusal is None]):
        return
    routes = Routes.of([(draft.order, draft.lines) for draft in good])
    tools = _newest([draft.lines for draft in good])
    for draft in good:
        draft.tools = list(draft.tools) or _serving(tools, draft.order, draft.lines)
        try:
            plans = routes.plan(draft.order, draft.lines)
            plan_all_tasks(draft.order, plans, draft.lines, draft.materials, draft.tools)
            draft.plans = plans
        except RuleError as refusal:
            draft.refusal = refusal


def _refuse(drafts: Iterable[NewOrder], found: Iterable[RuleError | None]) -> None:
    """Write each draft's first refusal."""
    for draft, refusal in zip(drafts, found, strict=True):
        draft.refusal = draft.refusal or refusal


def check_choices(orders: Sequence[WorkOrder], *, by: Any) -> list[InvalidInput | None]:
    """What the orders point to must be in sight of `by`; who is out of sight reads as absent. Two queries."""
    customers = {order.customer_id for order in orders} - {None}
    makers = {order.maker_id for order in orders} - {None, by.pk}
    seen = set(Customer.objects.visible_to(by).filter(pk__in=customers).values_list("pk", flat=True)) if customers else set()
    people = User.objects.filter(pk__in=makers, is_active=True, groups__name__in=[Role.MAKER, Role.SALESPERSON, Role.SUPERVISOR])
    makers -= set(people.values_list("pk", flat=True)) if makers else set()
    found: list[InvalidInput | None] = []
    for order in orders:
        if order.customer_id and order.customer_id not in seen:
            found.append(InvalidInput(_("There is no such customer. Choose one from the list."), field="customer", code="unknown"))
        elif order.maker_id in makers:
            found.append(InvalidInput(_("This person does not make orders. Choose a maker."), field="maker", code="unknown"))
        else:
            found.append(None)
    return found


def newest_tools(order: WorkOrder, lines: Sequence[OrderLine]) -> list[Tool]:
    """The newest confirmed revision of each tool of the lines' products: the customer's own and the shop's. Two queries."""
    return _serving(_newest([lines]), order, lines)


def _newest(orders: Iterable[Sequence[OrderLine]]) -> dict[int, list[Tool]]:
    """The confirmed tools of each product, by revision."""
    products = {line.product_id for lines in orders for line in lines}
    links = Tool.products.through.objects.filter(product__in=products).values_list("product", "tool")
    serving: dict[int, list[Tool]] = {}
    if pairs := list(links):
        tools = {tool.pk: tool for tool in Tool.objects.confirmed().filter(is_active=True, pk__in={tool for _product, tool in pairs})}
        for product, tool in sorted(pairs, key=lambda pair: tools[pair[1]].revision if pair[1] in tools else 0):
            if tool in tools:
                serving.setdefault(product, []).append(tools[tool])
    return serving


def _serving(tools: dict[int, list[Tool]], order: WorkOrder, lines: Sequence[OrderLine]) -> list[Tool]:
    newest: dict[tuple[str, str], Tool] = {}
    found = {tool.pk: tool for line in lines for tool in tools.get(line.product_id, ())}
    for tool in sorted(found.values(), key=lambda one: one.revision):
        if tool.customer_id in (None, order.customer_id):
            newest[tool.kind, tool.code] = tool
    return list(newest.values())


def _write_new_parts(drafts: Sequence[NewOrder], parts: Sequence[Sequence[Any]]) -> None:
    rows, reasons = [], []
    for draft, own in zip(drafts, parts, strict=True):
        for part in own:
            part.order = draft.order
            rows.append(part)
            reasons.append(draft.signature.reason)
    create_with_history(rows, reasons=reasons)


def _write_tools(drafts: Sequence[NewOrder]) -> None:
    """Give the orders their tools; the first history row of each tells them too. Three queries, none where no order has any."""
    through, history = WorkOrder.tools.through, WorkOrder.history.model
    links = [through(workorder=draft.order, tool=tool) for draft in drafts for tool in draft.tools]
    if links:
        through.objects.bulk_create(links)
        first = dict(history.objects.filter(id__in={link.workorder_id for link in links}).values_list("id", "history_id"))
        told = history.tools.model
        told.objects.bulk_create(
            told(history_id=first[link.workorder_id], id=link.pk, workorder=link.workorder, tool=link.tool) for link in links
        )
