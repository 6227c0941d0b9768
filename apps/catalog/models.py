"""What the shop makes, for whom, by which steps and with which tools."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.accounts.models import Bilingual, Department
from apps.catalog.querysets import CustomerQuerySet, ShopQuerySet, ToolQuerySet
from apps.core.history import Tracked
from apps.core.models import Versioned
from apps.core.units import Unit


class Customer(Versioned):
    """Whom the shop works for. The salesperson approves the customer's orders."""

    code = models.CharField(_("code"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=120, unique=True)
    salesperson = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("salesperson"), null=True, blank=True, on_delete=models.PROTECT, related_name="customers"
    )
    contact = models.CharField(_("contact"), max_length=120, blank=True)
    phone = models.CharField(_("phone"), max_length=40, blank=True)
    address = models.CharField(_("address"), max_length=300, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    objects = CustomerQuerySet.as_manager()
    history = Tracked()

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        ordering = ["name"]
        permissions = [("import_customer", "Can import customers"), ("export_customer", "Can export customers")]

    def __str__(self) -> str:
        return self.name


class TaskRule(models.TextChoices):
    """What a process makes one task for."""

    PER_TOOL = "per_tool", _("each tool of the order")
    PER_MATERIAL = "per_material", _("each material to be cut")
    PER_ARTWORK = "per_artwork", _("each artwork")
    PER_DIE = "per_die", _("each die")
    PER_FOIL_PLATE = "per_foil_plate", _("each foil plate")
    PER_EMBOSSING_PLATE = "per_embossing_plate", _("each embossing plate")
    PER_LINE = "per_line", _("each product line")
    SINGLE = "single", _("the order")


class ToolKind(models.TextChoices):
    ARTWORK = "artwork", _("artwork")
    DIE = "die", _("die")
    FOIL_PLATE = "foil_plate", _("foil plate")
    EMBOSSING_PLATE = "embossing_plate", _("embossing plate")


class Stage(models.TextChoices):
    """Where in a job a process belongs: preparation runs side by side and comes before printing."""

    PREPARE = "prepare", _("before printing")
    PRINT = "print", pgettext_lazy("stage", "printing")
    FINISH = "finish", _("after printing")


class Process(Versioned, Bilingual):
    """A kind of work. Plans are minutes: `setup_minutes` once, `minutes_per_1000` for each thousand."""

    code = models.CharField(_("code"), max_length=20, unique=True)
    position = models.PositiveSmallIntegerField(_("position"), default=100, help_text=_("The smaller comes first."))
    task_rule = models.CharField(_("one task for"), max_length=20, choices=TaskRule, default=TaskRule.SINGLE)
    needs_tool = models.CharField(_("needs"), max_length=20, choices=ToolKind, blank=True)
    stage = models.CharField(_("stage"), max_length=10, choices=Stage, default=Stage.FINISH)
    setup_minutes = models.PositiveIntegerField(_("minutes to set up"), default=0)
    minutes_per_1000 = models.PositiveIntegerField(_("minutes per 1,000"), default=0)
    departments = models.ManyToManyField(Department, verbose_name=_("departments that can do it"), related_name="processes", blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    objects = ShopQuerySet.as_manager()
    history = Tracked(m2m_fields=[departments])

    class Meta:
        verbose_name = _("process")
        verbose_name_plural = _("processes")
        ordering = ["position", "code"]


class Route(Versioned):
    """The ordered steps by which a product is made."""

    code = models.CharField(_("code"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=120)
    is_active = models.BooleanField(_("active"), default=True)
    objects = ShopQuerySet.as_manager()
    history = Tracked()

    class Meta:
        verbose_name = _("route")
        verbose_name_plural = _("routes")
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name


class RouteStep(Versioned):
    """One step of a route. Without `after` it follows the usual rule: preparation runs side by side, printing needs all
    of it, everything else follows the step before."""

    route = models.ForeignKey(Route, verbose_name=_("route"), on_delete=models.CASCADE, related_name="steps")
    process = models.ForeignKey(Process, verbose_name=_("process"), on_delete=models.PROTECT, related_name="route_steps")
    position = models.PositiveSmallIntegerField(_("position"))
    after = models.ManyToManyField("self", verbose_name=_("may start after"), symmetrical=False, blank=True, related_name="before")
    transfer_minimum = models.PositiveIntegerField(
        _("transfer minimum"),
        null=True,
        blank=True,
        help_text=_("So many good pieces before it are enough to start. Empty: the step before must be completed."),
    )
    objects = ShopQuerySet.as_manager()
    history = Tracked()

    class Meta:
        verbose_name = _("route step")
        verbose_name_plural = _("route steps")
        ordering = ["position", "pk"]

    def __str__(self) -> str:
        return f"{self.position} {self.process}"


class Product(Versioned):
    """What a customer orders."""

    code = models.CharField(_("code"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=120)
    unit = models.CharField(_("unit"), max_length=10, choices=Unit, default=Unit.PIECE)
    specification = models.CharField(_("specification"), max_length=300, blank=True)
    route = models.ForeignKey(Route, verbose_name=_("route"), null=True, blank=True, on_delete=models.PROTECT, related_name="products")
    is_active = models.BooleanField(_("active"), default=True)
    objects = ShopQuerySet.as_manager()
    history = Tracked()

    class Meta:
        verbose_name = _("product")
        verbose_name_plural = _("products")
        ordering = ["code"]
        permissions = [("import_product", "Can import products"), ("export_product", "Can export products")]

    def __str__(self) -> str:
        return f"{self.name} ({self.code})"


class Tool(Versioned):
    """An artwork, die or plate, in one version. A new order takes the newest confirmed tools of its products."""

    kind = models.CharField(_("kind"), max_length=20, choices=ToolKind)
    code = models.CharField(_("code"), max_length=60)
    revision = models.PositiveSmallIntegerField(_("revision"), default=1)
    name = models.CharField(_("name"), max_length=120, blank=True)
    customer = models.ForeignKey(
        Customer, verbose_name=_("customer"), null=True, blank=True, on_delete=models.PROTECT, related_name="tools",
        help_text=_("Whose it is. Empty: the shop's own."),
    )  # fmt: skip
    products = models.ManyToManyField(Product, verbose_name=_("products"), related_name="tools", blank=True)
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True, blank=True, editable=False)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("confirmed by"), null=True, blank=True, editable=False, on_delete=models.PROTECT,
        related_name="+",
    )  # fmt: skip
    is_active = models.BooleanField(_("active"), default=True)
    objects = ToolQuerySet.as_manager()
    history = Tracked(m2m_fields=[products])

    class Meta:
        verbose_name = _("tool")
        verbose_name_plural = _("tools")
        ordering = ["kind", "code", "-revision"]
        permissions = [("confirm_tool", "Can confirm tools"), ("import_tool", "Can import tools"), ("export_tool", "Can export tools")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "code", "revision"],
                name="tool_revision_once",
                violation_error_message=_("A tool of this kind has this code and revision already."),
            ),
            models.CheckConstraint(
                condition=Q(confirmed_at=None) & Q(confirmed_by=None) | ~Q(confirmed_at=None) & ~Q(confirmed_by=None),
                name="tool_confirmed_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} v{self.revision}"
