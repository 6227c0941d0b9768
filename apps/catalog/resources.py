"""How customers, products with their routes, and tools come in from tables."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.catalog.models import Customer, Process, Product, Route, Tool, ToolKind
from apps.catalog.services import remove, save_customer, save_product, save_tool
from apps.core.context import signature
from apps.core.reading import (
    by_names,
    is_blank,
    label_words,
    plain,
    read_choice,
    read_codes,
    read_known,
    read_person,
    read_quantity,
    read_text,
    read_unit,
    unknown,
)
from apps.imports.base import Column
from apps.imports.keyed import KeyedResource, values_of
from apps.imports.models import ImportRow
from apps.imports.registry import register


def code_of(value: Any) -> str:
    """A code as it is compared: narrow, in capitals."""
    return plain(read_text(value)).upper()


def _code(_resource: Any, value: Any) -> str:
    return code_of(value)


def text_of(field: str, model: Any) -> Any:
    """A reader of text that fits the model's field."""
    most = model._meta.get_field(field).max_length
    return lambda resource, value: read_text(value, most)


class CatalogResource(KeyedResource):
    """Rows with a code."""

    def read_key(self, row: dict[str, Any]) -> str:
        return code_of(row.get("code") or "")

    def load(self, keys: set[str]) -> tuple[dict[str, Any], set[str]]:
        model = self._meta.model
        known = {row.code.upper(): row for row in model.objects.visible_to(self.by).filter(code__in=keys).locked()}
        return known, set(model.objects.filter(code__in=keys).values_list("code", flat=True)) - {row.code for row in known.values()}

    def label_of(self, instance: Any) -> str:
        return f"{instance.code} · {instance.name}"

    def remove(self, instance: Any) -> None:
        remove(instance, by=self.by)


def _salesperson(resource: "CustomerResource", value: Any) -> User:
    return read_person(value, resource.people, _("salesperson (write the user name)"))


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
        self.people = by_names(User.objects.with_role(Role.SALESPERSON))

    def store(self, instance: Customer, *, is_new: bool) -> None:
        before = None if is_new else self.told(Customer.objects.select_related("salesperson").get(pk=instance.pk))
        if before is None or self.told(instance) != before:
            self.save(instance)
        self.planned(instance, before)

    def save(self, instance: Customer) -> None:
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
        if before is None or values_of(wanted) != values_of(before):
            save_product(instance, by=self.by, route_codes=codes)
        self.planned(instance, before)

    def take_back(self, row: ImportRow) -> None:
        """The route that was made for it goes with it: its history names the row of the import, as this change does."""
        super().take_back(row)
        made = Route.history.filter(history_type="+", history_change_reason=signature().reason).values("id")
        for route in Route.objects.filter(pk__in=made).locked():
            remove(route, by=self.by)

    def save(self, instance: Product) -> None:
        save_product(instance, by=self.by)


TOOL_WORDS = {
    "版": ToolKind.ARTWORK, "印版": ToolKind.ARTWORK, "图稿": ToolKind.ARTWORK, "模切版": ToolKind.DIE, "刀模": ToolKind.DIE,
    "烫金版": ToolKind.FOIL_PLATE, "击凸版": ToolKind.EMBOSSING_PLATE,
}  # fmt: skip


def _kind(_resource: Any, value: Any) -> ToolKind:
    words = label_words(ToolKind) | {kind.value: kind for kind in ToolKind} | TOOL_WORDS
    return read_choice(value, words, _("kind of tool"))


def _owner(resource: "ToolResource", value: Any) -> Customer:
    return read_known(value, resource.customers, _("customer"), called="name")


def _products(resource: "ToolResource", value: Any) -> list[str]:
    codes = read_codes(value)
    for code in codes:
        if code not in resource.products:
            raise unknown(code, _("product code"), resource.products)
    return codes


class ToolResource(KeyedResource):
    """Artworks, dies and plates, by kind, code and revision. Whether one is confirmed is never read: that is a verb."""

    permission = "catalog.import_tool"
    sheet_names = ("版具", "工装", "tools", "tool")
    fields_told = ("name", "customer")

    kind = Column("kind", gettext_lazy("Kind"), "种类", "类型", "版具类型", "tool kind", read=_kind, required=True)
    code = Column("code", gettext_lazy("Code"), "编码", "版号", "版具编码", "tool code", read=text_of("code", Tool), required=True)
    revision = Column("revision", gettext_lazy("Revision"), "版本", "版次", "version", read=lambda _r, value: read_quantity(value, 999))
    name = Column("name", gettext_lazy("Name"), "名称", "版具名称", "tool name", read=text_of("name", Tool))
    customer = Column("customer", gettext_lazy("Customer"), "客户", "客户编码", "customer code", read=_owner)
    products = Column("product_codes", gettext_lazy("Product codes"), "产品编码", "适用产品", "products", read=_products)

    class Meta:
        model = Tool

    def prepare(self, rows: list[dict[str, Any]]) -> None:
        customers = Customer.objects.visible_to(self.by).active()
        self.customers = {plain(key).casefold(): one for one in customers for key in (one.name, one.code)}
        products = Product.objects.visible_to(self.by).active()
        self.products = {one.code.upper(): one for one in products}
        super().prepare(rows)

    def read_key(self, row: dict[str, Any]) -> Any:
        code = read_text(row.get("code") or "")
        if not code or is_blank(row.get("kind")):
            return ""
        revision = row.get("revision")
        return _kind(self, row["kind"]).value, code, 1 if is_blank(revision) else read_quantity(revision, 999)

    def load(self, keys: set[Any]) -> tuple[dict[Any, Tool], set[Any]]:
        named = Tool.objects.filter(code__in={code for _kind, code, _revision in keys})
        seen = named.visible_to(self.by).select_related("customer").prefetch_related("products").locked()
        known = {(one.kind, one.code, one.revision): one for one in seen}
        return known, set(named.values_list("kind", "code", "revision")) - known.keys()

    def told(self, instance: Tool) -> list[tuple[str, str, str]]:
        return self._told(instance, [one.code for one in instance.products.all()])

    def _told(self, instance: Tool, codes: list[str]) -> list[tuple[str, str, str]]:
        label = str(instance._meta.get_field("products").verbose_name)
        return [*super().told(instance), ("products", label, ", ".join(sorted(codes)))]

    def snapshot(self, instance: Tool) -> dict[str, Any]:
        return super().snapshot(instance) | {"products": sorted(one.pk for one in instance.products.all())}

    def store(self, instance: Tool, *, is_new: bool) -> None:
        codes = getattr(instance, "product_codes", None)
        before = None if is_new else self.told(Tool.objects.select_related("customer").get(pk=instance.pk))
        if before is None or self._told(instance, codes if codes is not None else [one.code for one in instance.products.all()]) != before:
            save_tool(instance, by=self.by, products=None if codes is None else [self.products[code] for code in codes])
        self.planned(instance if is_new else Tool.objects.select_related("customer").get(pk=instance.pk), before)

    def remove(self, instance: Tool) -> None:
        remove(instance, by=self.by)

    def restore(self, instance: Tool, before: dict[str, Any]) -> None:
        instance.name, instance.customer_id = before["name"], before["customer"]
        save_tool(instance, by=self.by, products=Product.objects.filter(pk__in=before["products"]))


register("catalogue", gettext_lazy("Customers and products"), CustomerResource, ProductResource)
register("customers", gettext_lazy("Customers"), CustomerResource)
register("products", gettext_lazy("Products with their routes"), ProductResource)
register("tools", gettext_lazy("Tools"), ToolResource)
