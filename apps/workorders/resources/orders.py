"""How orders come in from tables: each row is a line, rows with the same order number, or external number and customer, are one order."""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Count, Max, Sum
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget

from apps.accounts.access import access_of
from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.catalog.models import Customer, Product
from apps.core.errors import InvalidInput, RuleError
from apps.core.reading import (
    is_blank,
    label_words,
    plain,
    read_choice,
    read_colours,
    read_date,
    read_known,
    read_quantity,
    read_text,
    read_unit,
    shown,
)
from apps.core.units import Unit
from apps.imports.base import Column, OptionsForm, Outcome, Planned, ServiceResource
from apps.imports.models import ImportRow
from apps.imports.registry import register
from apps.imports.tables import ROW
from apps.workorders.models import MOST, OrderLine, PrintingType, WorkOrder
from apps.workorders.services import NewOrder, check_orders, create_orders, refuse_unless_editable, revise_order, withdraw_order
from apps.workorders.states import OrderStatus, Priority

MOST_INSTRUCTIONS = WorkOrder._meta.get_field("instructions").max_length
MOST_REMEMBERED = 20_000  # cells that were read
PRIORITIES = {
    "低": Priority.LOW, "普通": Priority.NORMAL, "高": Priority.HIGH, "紧急": Priority.URGENT,
    "一般": Priority.NORMAL, "正常": Priority.NORMAL, "加急": Priority.URGENT,
    "low": Priority.LOW, "normal": Priority.NORMAL, "high": Priority.HIGH, "urgent": Priority.URGENT,
}  # fmt: skip
PRINTING = {
    "无": PrintingType.NONE, "不印刷": PrintingType.NONE, "正面": PrintingType.FRONT, "单面": PrintingType.FRONT, "反面": PrintingType.BACK,
    "背面": PrintingType.BACK, "自反": PrintingType.WORK_AND_TURN, "反咬口": PrintingType.WORK_AND_TUMBLE, "套版": PrintingType.REGISTER,
    "none": PrintingType.NONE, "front": PrintingType.FRONT, "back": PrintingType.BACK, "work and turn": PrintingType.WORK_AND_TURN,
    "work-and-turn": PrintingType.WORK_AND_TURN, "work and tumble": PrintingType.WORK_AND_TUMBLE,
    "work-and-tumble": PrintingType.WORK_AND_TUMBLE, "register": PrintingType.REGISTER,
}  # fmt: skip


def _words_for(choices: Any, written: dict[str, Any]) -> dict[str, Any]:
    """The labels, then what offices write."""
    return label_words(choices) | written


def makers() -> Any:
    """Who can be named as the maker of imported orders."""
    return User.objects.with_role(Role.MAKER)


class OrderOptions(OptionsForm):
    """Who completes the orders, and the day that dates without a year follow."""

    maker = forms.ModelChoiceField(
        label=gettext_lazy("Maker"), queryset=User.objects.none(), widget=UnfoldAdminSelectWidget,
        help_text=gettext_lazy("Who completes and submits these orders."),
    )  # fmt: skip
    order_date = forms.DateField(
        label=gettext_lazy("Order date"), widget=UnfoldAdminSingleDateWidget,
        help_text=gettext_lazy("For rows that name none. No due date may be before it."),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["maker"].queryset = makers()
        self.fields["order_date"].initial = timezone.localdate
        is_maker = access_of(self.by).is_(Role.MAKER)
        self.fields["maker"].initial = self.by.pk if is_maker else makers().values_list("pk", flat=True).first()

    def stored(self) -> dict[str, Any]:
        return {"maker": self.cleaned_data["maker"].pk, "order_date": self.cleaned_data["order_date"].isoformat()}


@dataclass
class OrderRow:
    """One row as read. What is about the whole order may stand in any row of it."""

    row: int
    number: str = ""
    external_number: str = ""
    customer: Customer | None = None
    product: Product | None = None
    product_name: str = ""
    quantity: int = 0
    unit: str = ""
    specification: str = ""
    order_date: dt.date | None = None
    due_date: dt.date | None = None
    priority: int | None = None
    printing_type: str | None = None
    colours: tuple[str, str] | None = None
    notes: str = ""
    instructions: str | None = None


def _customer(resource: "OrderResource", value: Any) -> Customer:
    return read_known(value, resource.customers, _("customer"), called="name")


def _product(resource: "OrderResource", value: Any) -> Product:
    return read_known(value, resource.products, _("product code"))


def _text(model: Any, field: str) -> Callable[[Any, Any], str]:
    most = model._meta.get_field(field).max_length
    return lambda _resource, value: read_text(value, most)


class OrderResource(ServiceResource):
    """Orders with their lines. All rows of an order are read before it is made."""

    permission = "workorders.import_workorder"
    sheet_names = ("施工单", "orders", "work orders")
    options_form = OrderOptions
    in_sets = True

    order_number = Column("number", gettext_lazy("Order number"), "施工单号", read=lambda _r, value: plain(value))
    external_number = Column(
        "external_number", gettext_lazy("External no."), "外部单号", "客户单号", "订单号", "external number", "po", "po number",
        read=_text(WorkOrder, "external_number"),
    )  # fmt: skip
    customer = Column("customer", gettext_lazy("Customer"), "客户", "客户名称", "客户编码", "customer code", read=_customer, required=True)
    product = Column("product", gettext_lazy("Product code"), "产品编码", "产品代码", "编码", "code", read=_product, required=True)
    product_name = Column("product_name", gettext_lazy("Product name"), "产品名称", "产品", "product", read=_text(Product, "name"))
    quantity = Column(
        "quantity",
        gettext_lazy("Quantity"),
        "数量",
        "qty",
        "订单数量",
        read=lambda _r, value: read_quantity(value, MOST),
        required=True,
        tell=True,
    )
    unit = Column("unit", gettext_lazy("Unit"), "单位", read=lambda _r, value: read_unit(value))
    specification = Column("specification", gettext_lazy("Specification"), "规格", "spec", read=_text(OrderLine, "specification"))
    order_date = Column(
        "order_date",
        gettext_lazy("Order date"),
        "下单日期",
        "订单日期",
        read=lambda resource, value: read_date(value, resource.today),
        tell=True,
    )
    due_date = Column(
        "due_date", gettext_lazy("Due date"), "交货日期", "交期", "交货期", "delivery date",
        read=lambda resource, value: read_date(value, resource.today), tell=True,
    )  # fmt: skip
    priority = Column(
        "priority",
        gettext_lazy("Priority"),
        "优先级",
        "紧急程度",
        read=lambda _r, value: read_choice(value, _words_for(Priority, PRIORITIES), _("priority")),
    )
    printing_type = Column(
        "printing_type", gettext_lazy("Printing"), "印刷形式", "印刷方式", "printing type",
        read=lambda _r, value: read_choice(value, _words_for(PrintingType, PRINTING), _("kind of printing")),
    )  # fmt: skip
    colours = Column("colours", gettext_lazy("Colours"), "颜色", "色数", "colors", read=lambda _r, value: read_colours(value))
    notes = Column("notes", gettext_lazy("Notes"), "备注", "说明", "remarks", "note", read=lambda _r, value: read_text(value, 1000))
    instructions = Column("instructions", gettext_lazy("Instructions"), "生产要求", read=_text(WorkOrder, "instructions"))

    class Meta:
        model = WorkOrder

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = self.options.get("order_date")
        self.today = dt.date.fromisoformat(given) if given else timezone.localdate()
        self.maker = makers().filter(pk=self.options.get("maker")).first()
        self.known_at: tuple | None = None

    def begin(self) -> None:
        super().begin()
        self.rows: list[OrderRow] = []

    def renew(self, run: Any) -> None:
        """What was read before holds as long as no customer or product changes: `prepare` looks."""
        self.by, self.run = run.owner, run

    def prepare(self, rows: list[dict[str, Any]]) -> None:
        """Every customer and product in sight, by code and name, where any was changed since. The rows' customers are locked, so that
        no second import runs into this one.
        """
        if self.maker is None:
            raise InvalidInput(_("Choose who completes these orders."), field="maker", code="unknown")
        state = (access_of(self.by), _state_of(Customer), _state_of(Product))
        if state != self.known_at:
            self.known_at = state
            customers = list(Customer.objects.visible_to(self.by).active())
            self.customers = {plain(key).casefold(): one for one in customers for key in (one.code, one.name)}
            self.products = {plain(one.code).casefold(): one for one in Product.objects.visible_to(self.by).active()}
            self._reads.clear()
        elif len(self._reads) > MOST_REMEMBERED:
            self._reads.clear()
        named = {self._customer_of(row) for row in rows} - {None}
        # Not against makers, whose new orders point to them.
        list(Customer.objects.filter(pk__in=named).order_by("pk").select_for_update(of=("self",), no_key=True).values_list("pk"))
        numbers = {_key(row, "order_number") for row in rows} - {""}
        self.numbered = {order.number: order for order in self._seen(WorkOrder.objects.filter(number__in=numbers))} if numbers else {}
        written = [row.get("external_number") or "" for row in rows]
        self.present = self._present({text for one in written for text in (plain(one), str(one).strip())} - {""}, named)

    def _customer_of(self, row: dict[str, Any]) -> int | None:
        found = self.customers.get(plain(row.get("customer") or "").casefold())
        return found.pk if found else None

    def unit_of(self, row: dict[str, Any]) -> Any:
        """Rows with one order number, or one external number and customer, are one order; a row without is one of its own."""
        customer, external = self._customer_of(row), _key(row, "external_number")
        return _key(row, "order_number") or ((external, customer) if customer and external else row[ROW])

    def init_instance(self, row: Any = None) -> OrderRow:
        return OrderRow(self.row_number)

    def when_blank(self, name: str, row: dict[str, Any]) -> InvalidInput:
        called = row.get("product_name")
        if name == "product" and not is_blank(called):
            named = [one.code for one in self.products.values() if plain(one.name) == plain(called)]
            if len(named) == 1:
                message = _("The product code is blank. %(name)s has the code %(code)s: did you mean that?")
                return InvalidInput(message % {"name": shown(called), "code": named[0]}, code="blank", nearest=named[0])
        return super().when_blank(name, row)

    def import_instance(self, instance: OrderRow, row: dict[str, Any], **kwargs: Any) -> None:
        super().import_instance(instance, row, **kwargs)
        self.rows.append(instance)
        ordered = instance.order_date or self.today
        if instance.due_date and instance.due_date < ordered:
            message = _("%(due)s is before the order date %(ordered)s. Write a later day, or correct the order date.")
            self.problem(message % {"due": instance.due_date, "ordered": ordered}, column="due_date", value=row.get("due_date"))
        if instance.product and instance.product_name and plain(instance.product_name) != plain(instance.product.name):
            message = _("The code %(code)s is %(name)s: the code counts.") % {"code": instance.product.code, "name": instance.product.name}
            self.problem(message, column="product_name", value=instance.product_name, level="warning")

    def finish(self) -> None:
        """All rows of the order are read: what becomes of it."""
        first = self.rows[0]
        key = (first.external_number, first.customer.pk if first.customer else None)
        if not _repeats_a_product(self.numbered.get(first.number) if first.number else self.present.get(key)):
            self._refuse_repeats(self.rows)
        if first.number:
            self._refuse_another_order(self.rows, self.numbered.get(first.number))
        if not self.is_good(one.row for one in self.rows):
            return
        with self.signing(first.row):
            try:
                order, lines = self._built(self.rows)
                if first.number:
                    self._compare(self.numbered[first.number], order, lines)
                elif first.external_number and key in self.present:
                    self._compare(self.present[key], order, lines)
                else:
                    self._tell(NewOrder(order, lines), self.rows)
            except RuleError as error:
                self.refused(error, first.row)

    def check(self, outcomes: Sequence[Outcome], *, writing: bool) -> None:
        new = [outcome for outcome in outcomes if isinstance(outcome.planned.change, NewOrder)]
        try:
            check_orders([outcome.planned.change for outcome in new], by=self.by)
        except PermissionDenied as error:
            for outcome in new:
                self.drop(outcome, error)
            return
        for outcome in new:
            if refusal := outcome.planned.change.refusal:
                self.drop(outcome, refusal)
        if not writing:
            for outcome in outcomes:
                if outcome.planned and isinstance(outcome.planned.change, Revision):
                    self._try_out(outcome)

    def _try_out(self, outcome: Outcome) -> None:
        """Change the order, and take that back: whatever the verb refuses is told by the plan."""
        try:
            with transaction.atomic():
                self._revise(outcome.planned)
                transaction.set_rollback(True)
        except (RuleError, PermissionDenied) as refusal:
            self.drop(outcome, refusal)

    def write(self, outcomes: Sequence[Outcome]) -> None:
        new = [outcome.planned for outcome in outcomes if isinstance(outcome.planned.change, NewOrder)]
        if new:
            with self.signing(new[0].row):
                create_orders([planned.change for planned in new], by=self.by)
        for planned in new:
            order = planned.change.order
            planned.address, planned.name, planned.after = f"{order._meta.label_lower}:{order.pk}", order.number, order.version
        for outcome in outcomes:
            if isinstance(outcome.planned.change, Revision):
                outcome.planned.after = self._revise(outcome.planned).version

    def _revise(self, planned: Planned) -> WorkOrder:
        change = planned.change
        with self.signing(planned.row):
            return revise_order(change.order, lines=change.lines, by=self.by, version=planned.seen)

    def _present(self, numbers: set[str], customers: set[int | None]) -> dict[tuple[str, int], WorkOrder | None]:
        """The live orders that have these external numbers already, the newest of each; None for one out of sight. Three queries.

        By number first: asked for both at once, SQLite goes through all orders of the customers.
        """
        orders = WorkOrder.objects.filter(external_number__in=numbers).exclude(status=OrderStatus.CANCELLED).order_by("pk")
        named = orders.values_list("pk", "external_number", "customer")
        keys = [(pk, external, customer) for pk, external, customer in named if customer in customers]
        seen = {order.pk: order for order in self._seen(WorkOrder.objects.filter(pk__in=[key[0] for key in keys]))} if keys else {}
        return {(external, customer): seen.get(pk) for pk, external, customer in keys}

    def _seen(self, orders: Any) -> Any:
        """Those in sight, with what a comparison reads. Two queries."""
        return orders.visible_to(self.by).select_related("customer").prefetch_related("lines__product")

    def _compare(self, present: WorkOrder | None, order: WorkOrder, lines: list[OrderLine]) -> None:
        """The order is there already: the rows change it, where they say something else than it does and it may still be changed."""
        first = self.rows[0]
        if present is None:
            message = _("%(external)s of this customer was entered already.") % {"external": first.external_number}
            self.problem(message, row=first.row, column="external_number", value=first.external_number)
            return
        revision = self._revision(present, order, lines)
        different = list(_differences(present, revision))
        if different and (why := self._why_not(present)):
            column = "order_number" if first.number else "external_number"
            message = (
                _("Order %(number)s is there with something else: %(different)s.")
                if first.number
                else _("%(external)s of this customer was entered already, as order %(number)s, with something else: %(different)s.")
            ) % {"external": first.external_number, "number": present.number, "different": "; ".join(different)}
            self.problem(f"{message} {why}", row=first.row, column=column, value=first.number or first.external_number)
            return
        counts = {"lines": len(lines), "quantity": sum(line.quantity for line in lines)}
        what, address = str(WorkOrder._meta.verbose_name), f"{present._meta.label_lower}:{present.pk}"
        label = f"{present.external_number or present.number} · {present.customer.name}"
        told = Planned(first.row, "same", what, label, different, counts, present.version, address=address, name=present.number)
        if different:
            told.action, told.change, told.undo = "update", revision, {"before": _before(present)}
            for line in present.lines.all():
                if line.product_id not in {one.product_id for one in lines}:
                    message = _("%(product)s stands in order %(number)s, but in no row of it here: its line is taken out.")
                    values = {"product": line.product.code, "number": present.number}
                    self.problem(message % values, row=first.row, column="product", level="warning")
        self.plan.append(told)

    def _why_not(self, present: WorkOrder) -> str:
        """Why these rows may not change the order, "" where they may."""
        try:
            refuse_unless_editable(present, by=self.by)
        except (RuleError, PermissionDenied) as refusal:
            return str(refusal)
        if _repeats_a_product(present):
            return _("It has several lines of one product: change it on its own page.")
        return ""

    def _revision(self, present: WorkOrder, order: WorkOrder, lines: list[OrderLine]) -> "Revision":
        """The order as the rows want it. A blank cell says nothing; all lines are named."""
        given = {name for name in ("priority", "order_date", "due_date", "printing_type") if any(getattr(one, name) for one in self.rows)}
        given |= {"process_colours", "spot_colours"} if any(one.colours for one in self.rows) else set()
        given |= {"instructions"} if any(one.notes or one.instructions for one in self.rows) else set()
        wanted = copy(present)
        for name in given:
            setattr(wanted, name, getattr(order, name))
        there, new = defaultdict(list), []
        for line in present.lines.all():
            there[line.product_id].append(line)
        for one, line in zip(self.rows, lines, strict=True):
            if not there[line.product_id]:
                new.append(line)
                continue
            kept = copy(there[line.product_id].pop(0))
            for name in ("quantity", *(name for name in ("unit", "specification") if getattr(one, name))):
                setattr(kept, name, getattr(line, name))
            new.append(kept)
        return Revision(wanted, new)

    def _refuse_another_order(self, rows: list[OrderRow], named: WorkOrder | None) -> None:
        """A number stands for an order in sight, of the customer and with the external number that its rows name."""
        for one in rows:
            if named is None:
                message = _("There is no order %(number)s among those that you see. Clear the cell for a new order, or correct the number.")
                self.problem(message % {"number": one.number}, row=one.row, column="order_number", value=one.number)
            elif one.customer and one.customer.pk != named.customer_id:
                message = _("Order %(number)s is not of this customer. Correct the customer or the order number.")
                self.problem(message % {"number": one.number}, row=one.row, column="customer", value=one.customer.name)
            elif one.external_number and one.external_number != named.external_number:
                message = _("Order %(number)s has another external number. Correct it here, or change the order on its own page.")
                self.problem(message % {"number": one.number}, row=one.row, column="external_number", value=one.external_number)

    def _refuse_repeats(self, rows: list[OrderRow]) -> None:
        products: dict[int, int] = {}
        for one in rows:
            if one.product and products.setdefault(one.product.pk, one.row) != one.row:
                message = _("%(product)s stands in row %(row)s of the same order already. Leave one of the two out, or add the quantities.")
                told = message % {"product": one.product.code, "row": products[one.product.pk]}
                self.problem(told, row=one.row, column="product", value=one.product.code)

    def _built(self, rows: list[OrderRow]) -> tuple[WorkOrder, list[OrderLine]]:
        """The order that the rows describe, not saved."""
        first = rows[0]
        process, spots = self._agreed(rows, "colours", "first") or ("", "")
        order = WorkOrder(
            external_number=first.external_number,
            customer=first.customer,
            maker=self.maker,
            priority=self._agreed(rows, "priority", "max") or Priority.NORMAL,
            order_date=self._agreed(rows, "order_date", "first") or self.today,
            due_date=self._agreed(rows, "due_date", "min"),
            printing_type=self._agreed(rows, "printing_type", "first") or PrintingType.NONE,
            process_colours=process,
            spot_colours=spots,
            instructions=self._instructions(rows),
            import_run=self.run,
        )
        if order.due_date is None:
            self.problem(_("No due date: add one before the order is submitted."), row=first.row, column="due_date", level="warning")
        lines = [
            OrderLine(
                product=one.product,
                quantity=one.quantity,
                unit=one.unit or one.product.unit,
                specification=one.specification or one.product.specification,
            )
            for one in rows
        ]
        return order, lines

    def _agreed(self, rows: Iterable[OrderRow], name: str, rule: str) -> Any:
        """What the rows say of the whole order; where they disagree, the rule decides and the plan says so."""
        given = [(one.row, getattr(one, name)) for one in rows if getattr(one, name) is not None]
        if not given:
            return None
        values = [value for _row, value in given]
        value = {"first": values[0], "min": min(values), "max": max(values)}[rule]
        if len(set(values)) > 1:
            why = {
                "first": _("The rows of this order disagree, and the first one counts: %(rows)s."),
                "min": _("The rows of this order disagree, and the earliest counts: %(rows)s."),
                "max": _("The rows of this order disagree, and the most urgent counts: %(rows)s."),
            }[rule]
            rows_of = {value: row for row, value in reversed(given)}
            told = [_("row %(row)s: %(value)s") % {"row": row, "value": shown(_words(name, value))} for value, row in rows_of.items()]
            self.problem(why % {"rows": "; ".join(reversed(told))}, row=given[0][0], column=name, level="warning")
        return value

    def _instructions(self, rows: list[OrderRow]) -> str:
        """The instructions, then the notes of all rows, each once; in an order of several lines each says which line it is about."""
        noted = [one for one in rows if one.notes]
        told = [one.notes if len(rows) == 1 else f"{one.product.name}: {one.notes}" for one in noted]
        told = [*filter(None, [self._agreed(rows, "instructions", "first")]), *told]
        text = "\n".join(dict.fromkeys(told))
        if len(text) > MOST_INSTRUCTIONS:
            raise InvalidInput(_("The notes of this order are too long together. Shorten them."), field="notes", code="too_long")
        return text

    def _tell(self, draft: NewOrder, rows: list[OrderRow]) -> None:
        order, lines = draft.order, draft.lines
        parts = [
            _("due %(day)s") % {"day": date_format(order.due_date, "Y-m-d")} if order.due_date else _("no due date"),
            _words("priority", order.priority),
            _words("printing_type", order.printing_type),
            order.colours,
        ]
        details = [" · ".join(part for part in parts if part)]
        details += [
            _("row %(row)s: %(product)s × %(quantity)s %(unit)s")
            % {"row": one.row, "product": line.product, "quantity": f"{line.quantity:,}", "unit": _words("unit", line.unit)}
            for one, line in zip(rows, lines, strict=True)
        ]
        label = f"{order.external_number or '–'} · {order.customer.name}"
        counts = {"lines": len(lines), "quantity": sum(line.quantity for line in lines)}
        self.plan.append(Planned(rows[0].row, "create", str(WorkOrder._meta.verbose_name), label, details, counts, change=draft))

    def take_back(self, row: ImportRow) -> None:
        """Delete the order that the row made, or give the one that it changed its old values, if nobody touched it since."""
        order = WorkOrder.objects.visible_to(self.by).filter(pk=row.address.rpartition(":")[2]).first()
        if order is None:
            raise RuleError(_("Order %(number)s is not there any more.") % {"number": row.name}, code="gone")
        if row.action == "create":
            withdraw_order(order, imported=self.run.pk, by=self.by)
            return
        if order.version != row.after:
            raise RuleError(_("%(what)s was changed after the import.") % {"what": row.label}, code="changed")
        before = row.undo["before"]
        for name, value in before["order"].items():
            setattr(order, name, order._meta.get_field(name).to_python(value))
        there, lines = {line.pk: line for line in order.lines.all()}, []
        for pk, values in before["lines"]:
            line = there.get(pk) or OrderLine()
            for name, value in values.items():
                setattr(line, name, value)
            lines.append(line)
        revise_order(order, lines=lines, by=self.by, version=row.after)


@dataclass
class Revision:
    """An order that is there, with the values that the rows give it, and all the lines that it is to have."""

    order: WorkOrder
    lines: list[OrderLine]


OF_ORDER = (
    "priority", "order_date", "due_date", "printing_type", "process_colours", "spot_colours", "instructions", "run_quantity",
)  # fmt: skip
OF_LINE = ("quantity", "unit", "specification")


def _repeats_a_product(order: WorkOrder | None) -> bool:
    """Whether two lines of the order are of one product, which a table cannot tell apart."""
    products = [line.product_id for line in order.lines.all()] if order else []
    return len(products) != len(set(products))


def _before(present: WorkOrder) -> dict[str, Any]:
    """What taking a change back needs, as JSON keeps it."""
    order = {name: present._meta.get_field(name).value_to_string(present) for name in OF_ORDER if getattr(present, name) is not None}
    order |= {name: None for name in OF_ORDER if getattr(present, name) is None}
    lines = [(line.pk, {name: getattr(line, name) for name in ("product_id", "notes", *OF_LINE)}) for line in present.lines.all()]
    return {"order": order, "lines": lines}


def _differences(present: WorkOrder, revision: Revision) -> Iterable[str]:
    """What the rows say that the order does not: `due date: 2026-12-01 → 2026-12-09`."""
    for name in OF_ORDER:
        old, new = getattr(present, name), getattr(revision.order, name)
        if old != new:
            yield _change(present._meta.get_field(name).verbose_name, _words(name, old), _words(name, new))
    there = {line.pk: line for line in present.lines.all()}
    for line in revision.lines:
        old = there.pop(line.pk, None)
        if old is None:
            yield _change(line.product.code, "–", line.quantity)
            continue
        for name in OF_LINE:
            if getattr(old, name) != getattr(line, name):
                what = f"{line.product.code} {line._meta.get_field(name).verbose_name}"
                yield _change(what, _words(name, getattr(old, name)), _words(name, getattr(line, name)))
    for line in there.values():
        yield _change(line.product.code, line.quantity, "–")


def _key(row: dict[str, Any], name: str) -> str:
    return plain(row.get(name) or "")


def _state_of(model: Any) -> tuple:
    """Differs after every change of any row of a model whose versions only grow. One query."""
    return tuple(model._base_manager.aggregate(rows=Count("pk"), newest=Max("pk"), saves=Sum("version")).values())


def _change(what: Any, old: Any, new: Any) -> str:
    return f"{what}: {old or '–'} → {new or '–'}"


def _words(name: str, value: Any) -> str:
    """An agreed value as the plan says it."""
    choices = {"priority": Priority, "printing_type": PrintingType, "unit": Unit}.get(name)
    if choices:
        return str(choices(value).label)
    return "+".join(part for part in value if part) if isinstance(value, tuple) else str(value)


register("orders", gettext_lazy("Orders with their lines"), OrderResource)
