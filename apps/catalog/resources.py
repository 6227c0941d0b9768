"""How customers and products with their routes come in from tables."""

from copy import copy
from typing import Any

from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.catalog.models import Customer, Process, Product, Route
from apps.catalog.services import remove, save_customer, save_product
from apps.core.errors import InvalidInput, RuleError
from apps.core.reading import plain, read_codes, read_text, read_unit, shown, unknown
from apps.imports.base import Column, Planned, ServiceResource
from apps.imports.models import ImportRow
from apps.imports.registry import register
from apps.imports.tables import ROW


def code_of(value: Any) -> str:
    """A code as it is compared: narrow, in capitals."""
    return plain(read_text(value)).upper()


def _code(_resource: Any, value: Any) -> str:
    return code_of(value)


def text_of(field: str, model: Any) -> Any:
    """A reader of text that fits the model's field."""
    most = model._meta.get_field(field).max_length
    return lambda resource, value: read_text(value, most)


class CatalogResource(ServiceResource):
    """Rows with a code: a known code changes its row, a new one adds one, the same values leave it alone."""

    fields_told: tuple[str, ...] = ()

    def prepare(self, rows: list[dict[str, Any]]) -> None:
        codes = {self._code(row) for row in rows} - {""}
        model = self._meta.model
        self.known = {row.code.upper(): row for row in model.objects.visible_to(self.by).filter(code__in=codes).locked()}
        self.hidden = set(model.objects.filter(code__in=codes).values_list("code", flat=True)) - {row.code for row in self.known.values()}

    def begin(self) -> None:
        super().begin()
        self.first_row: dict[str, int] = {}

    def unit_of(self, row: dict[str, Any]) -> Any:
        return self._code(row) or row[ROW]

    @staticmethod
    def _code(row: dict[str, Any]) -> str:
        try:
            return code_of(row.get("code") or "")
        except InvalidInput:
            return ""

    def find(self, row: dict[str, Any]) -> Any:
        found = self.known.get(self._code(row))
        return copy(found) if found else None

    def init_instance(self, row: Any = None) -> Any:
        return self._meta.model()

    def before_import_row(self, row: dict[str, Any], **kwargs: Any) -> None:
        super().before_import_row(row, **kwargs)
        code = self._code(row)
        if code and self.first_row.setdefault(code, row[ROW]) != row[ROW]:
            message = _("%(code)s stands in row %(row)s already. Delete one of the two.") % {
                "code": shown(code),
                "row": self.first_row[code],
            }
            self.problem(message, column="code", value=row.get("code"))
        elif code in self.hidden:
            self.problem(_("This code cannot be used. Ask a planner."), column="code", value=row.get("code"))

    def told(self, instance: Any) -> list[tuple[str, str, str]]:
        """(column, label, value in words) of what the plan shows of an object."""
        shown_values = []
        for name in self.fields_told:
            field = instance._meta.get_field(name)
            value = getattr(instance, f"get_{name}_display")() if field.choices else getattr(instance, name)
            shown_values.append((name, str(field.verbose_name), "" if value is None else str(value)))
        return shown_values

    def planned(self, instance: Any, before: list[tuple[str, str, str]] | None) -> None:
        """Write into the plan what happened to the row: created, changed (old -> new), or the same as before."""
        after = self.told(instance)
        if before is None:
            details = [f"{label}: {value}" for _name, label, value in after if value]
            action = "create"
        else:
            details = [f"{label}: {old} → {new}" for (_n, label, old), (_m, _l, new) in zip(before, after, strict=True) if old != new]
            action = "update" if details else "same"
        what = str(self._meta.model._meta.verbose_name)
        told = Planned(self.row_number, action, what, f"{instance.code} · {instance.name}", details, address=self.link_to(instance))
        told.seen, told.after = self.seen, instance.version
        if action == "update":
            told.undo = {"before": self.before}
        self.plan.append(told)

    def import_instance(self, instance: Any, row: dict[str, Any], **kwargs: Any) -> None:
        """What the row was before is remembered for taking the import back."""
        self.seen = instance.version if instance.pk else None
        self.before = {name: getattr(instance, instance._meta.get_field(name).attname) for name in self.fields_told}
        super().import_instance(instance, row, **kwargs)

    def take_back(self, row: ImportRow) -> None:
        """A row that was added is deleted, one that was changed gets its old values, if nobody saved it since."""
        instance = self._meta.model.objects.visible_to(self.by).locked().filter(pk=row.address.rpartition(":")[2]).first()
        if instance is None:
            raise RuleError(_("%(what)s is not there any more.") % {"what": row.label}, code="gone")
        if instance.version != row.after:
            raise RuleError(_("%(what)s was changed after the import.") % {"what": row.label}, code="changed")
        if row.action == "create":
            remove(instance, by=self.by)
        else:
            for name, value in row.undo["before"].items():
                setattr(instance, instance._meta.get_field(name).attname, value)
            self.save_again(instance)
        for pk in row.undo.get("routes", []):
            remove(Route.objects.locked().get(pk=pk), by=self.by)

    def save_again(self, instance: Any) -> None:
        """Save a row whose old values were put back."""
        raise NotImplementedError

    @staticmethod
    def link_to(instance: Any) -> str:
        """What the result page links to."""
        return f"{instance._meta.label_lower}:{instance.pk}"


def _salesperson(resource: "CustomerResource", value: Any) -> User:
    name = plain(value)
    if name.casefold() not in resource.people:
        raise unknown(value, _("salesperson (write the user name)"), [user.username for user in resource.people.values()])
    return resource.people[name.casefold()]


class CustomerResource(CatalogResource):
    permission = "catalog.import_customer"
    sheet_names = ("客户", "customers", "customer")
    fields_told = ("name", "salesperson", "contact", "phone", "address")

    code = Column("code", gettext_lazy("Code"), "编码", "客户编码", "客户代码", "customer code", read=_code, required=True)
    name = Column(
        "name", gettext_lazy("Name"), "名称", "客户名称", "客户", "customer", "customer name", read=text_of("name", Customer), required=True
    )
    salesperson = Column("salesperson", gettext_lazy("Salesperson"), "业务员", "sales", read=_salesperson)
    contact = Column("contact", gettext_lazy("Contact"), "联系人", "contact person", read=text_of("contact", Customer))
    phone = Column("phone", gettext_lazy("Phone"), "电话", "联系电话", "手机", "telephone", "tel", read=text_of("phone", Customer))
    address = Column("address", gettext_lazy("Address"), "地址", read=text_of("address", Customer))

    class Meta:
        model = Customer

    def prepare(self, rows: list[dict[str, Any]]) -> None:
        super().prepare(rows)
        people = User.objects.with_role(Role.SALESPERSON)
        self.people = {user.username.casefold(): user for user in people}

    def store(self, instance: Customer, *, is_new: bool) -> None:
        before = None if is_new else self.told(Customer.objects.select_related("salesperson").get(pk=instance.pk))
        if before is None or self.told(instance) != before:
            save_customer(instance, by=self.by)
        self.planned(instance, before)

    def save_again(self, instance: Customer) -> None:
        save_customer(instance, by=self.by)


def _route(resource: "ProductResource", value: Any) -> list[str]:
    codes = read_codes(value)
    for code in codes:
        if code not in resource.processes:
            raise unknown(code, _("process code"), resource.processes)
    return codes


class ProductResource(CatalogResource):
    permission = "catalog.import_product"
    sheet_names = ("产品", "products", "product")
    fields_told = ("name", "unit", "specification", "route")

    code = Column("code", gettext_lazy("Code"), "编码", "产品编码", "产品代码", "product code", read=_code, required=True)
    name = Column(
        "name", gettext_lazy("Name"), "名称", "产品名称", "产品", "product", "product name", read=text_of("name", Product), required=True
    )
    unit = Column("unit", gettext_lazy("Unit"), "单位", read=lambda _r, value: read_unit(value))
    specification = Column("specification", gettext_lazy("Specification"), "规格", "spec", read=text_of("specification", Product))
    route = Column("route_codes", gettext_lazy("Route"), "工艺路线", "工序", "工艺", "steps", read=_route)

    class Meta:
        model = Product

    def prepare(self, rows: list[dict[str, Any]]) -> None:
        super().prepare(rows)
        self.processes = set(Process.objects.active().values_list("code", flat=True))

    def told(self, instance: Product) -> list[tuple[str, str, str]]:
        codes = [step.process.code for step in instance.route.steps.select_related("process")] if instance.route_id else []
        return [*super().told(instance)[:-1], ("route", str(instance._meta.get_field("route").verbose_name), " > ".join(codes))]

    def store(self, instance: Product, *, is_new: bool) -> None:
        codes = getattr(instance, "route_codes", None)
        before = None if is_new else self.told(Product.objects.get(pk=instance.pk))
        wanted = [*self.told(instance)[:-1], ("route", "", " > ".join(codes))] if codes else self.told(instance)
        last = Route.objects.aggregate(last=Max("pk"))["last"] or 0
        if before is None or [value for _n, _l, value in wanted] != [value for _n, _l, value in before]:
            save_product(instance, by=self.by, route_codes=codes)
        self.planned(instance, before)
        if instance.route_id and instance.route_id > last:
            self.plan[-1].undo["routes"] = [instance.route_id]

    def save_again(self, instance: Product) -> None:
        save_product(instance, by=self.by)


register("catalogue", gettext_lazy("Customers and products"), CustomerResource, ProductResource)
register("customers", gettext_lazy("Customers"), CustomerResource)
register("products", gettext_lazy("Products with their routes"), ProductResource)
