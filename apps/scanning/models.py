"""The floor: handhelds and badges, everything that was scanned, and the paper that codes are printed on."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.accounts.models import Department
from apps.core.context import current_request_id
from apps.core.history import Tracked
from apps.core.models import Versioned
from apps.scanning.codes import Kind, encode
from apps.scanning.querysets import BadgeQuerySet, DeviceQuerySet, OfOrderQuerySet, OperatorSessionQuerySet, ScanQuerySet
from apps.workorders.models import Task, WorkOrder


class Device(Versioned):
    """A handheld with a token of its own. Alone it resolves codes and signs people in; it does nothing without a person."""

    name = models.CharField(_("name"), max_length=80, unique=True, help_text=_("As it is written on the handheld."))
    department = models.ForeignKey(
        Department, verbose_name=_("department"), on_delete=models.PROTECT, related_name="devices", help_text=_("Where it is used.")
    )
    prefix = models.CharField(_("token begins with"), max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    registered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("registered by"), null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(_("registered at"), auto_now_add=True)
    last_seen_at = models.DateTimeField(_("last seen"), null=True, editable=False)
    clock_offset_ms = models.BigIntegerField(
        _("clock offset"), null=True, editable=False, help_text="The handheld's clock minus the server's, in milliseconds, when last told."
    )
    revoked_at = models.DateTimeField(_("revoked at"), null=True, editable=False)
    objects = DeviceQuerySet.as_manager()
    history = Tracked(excluded_fields=["digest", "last_seen_at", "clock_offset_ms"])

    class Meta:
        verbose_name = _("handheld")
        verbose_name_plural = _("handhelds")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Badge(Versioned):
    """What a person scans to sign in on a handheld; its code is `E` and the row's number. A person has one that counts."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, verbose_name=_("person"), on_delete=models.PROTECT, related_name="badges")
    pin = models.CharField(max_length=128, editable=False, help_text="The PIN's argon2 hash.")
    issued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("issued by"), editable=False, on_delete=models.PROTECT, related_name="+"
    )
    issued_at = models.DateTimeField(_("issued at"), default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(_("last used at"), null=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, editable=False)
    objects = BadgeQuerySet.as_manager()
    history = Tracked(excluded_fields=["pin", "last_used_at"])

    class Meta:
        verbose_name = _("badge")
        verbose_name_plural = _("badges")
        ordering = ["-pk"]
        permissions = [("issue_badge", "Can issue badges and new PINs")]
        constraints = [models.UniqueConstraint(fields=["user"], condition=Q(revoked_at=None), name="badge_one_live_for_each_person")]

    def __str__(self) -> str:
        return f"{self.user} · {encode(Kind.BADGE, self.pk)}" if self.pk else str(self.user)


class OperatorSession(models.Model):
    """A person signed in on a handheld by badge and PIN: short when idle, over at sign-out. Only the token's HMAC is kept."""

    device = models.ForeignKey(Device, verbose_name=_("handheld"), on_delete=models.PROTECT, related_name="sessions")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, verbose_name=_("person"), on_delete=models.PROTECT, related_name="floor_sessions")
    badge = models.ForeignKey(Badge, verbose_name=_("badge"), on_delete=models.PROTECT, related_name="sessions")
    prefix = models.CharField(_("token begins with"), max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    started_at = models.DateTimeField(pgettext_lazy("session", "started at"), default=timezone.now)
    last_used_at = models.DateTimeField(_("last used at"), default=timezone.now)
    expires_at = models.DateTimeField(_("ends at the latest"))
    ended_at = models.DateTimeField(_("ended at"), null=True)
    objects = OperatorSessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session on a handheld")
        verbose_name_plural = _("sessions on handhelds")
        ordering = ["-pk"]
        indexes = [models.Index(fields=["device", "-id"], name="floor_session_of_device")]

    def __str__(self) -> str:
        return f"{self.user} · {self.device}"


class Outcome(models.TextChoices):
    """What became of a scan. `received` and `blocked` are not final: sent again, or swept, they are looked at anew."""

    RECEIVED = "received", pgettext_lazy("scan", "received")
    APPLIED = "applied", pgettext_lazy("scan", "applied")
    REFUSED = "refused", _("refused")
    HELD = "held", _("held for the supervisor")
    BLOCKED = "blocked", _("behind a refused one")


class Decision(models.TextChoices):
    """What a supervisor did with a late scan."""

    APPLIED = "applied", pgettext_lazy("scan", "applied")
    CORRECTED = "corrected", _("corrected")
    DISMISSED = "dismissed", _("dismissed")


class Scan(models.Model):
    """One scan as it came, stored before it is understood, and what became of it. Never changed but in its outcome and decision."""

    device = models.ForeignKey(Device, verbose_name=_("handheld"), null=True, on_delete=models.PROTECT, related_name="scans")
    session = models.ForeignKey(OperatorSession, null=True, on_delete=models.PROTECT, related_name="scans", verbose_name=_("session"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, verbose_name=_("person"), on_delete=models.PROTECT, related_name="scans")
    client_event_id = models.UUIDField(_("event id"), help_text="Made by the client when the code was captured; counts once for ever.")
    source = models.CharField(_("from"), max_length=16, default="scan", help_text="scan, or hand: entered by a supervisor.")
    entered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("entered by"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    code = models.CharField(_("code"), max_length=300)
    verb = models.CharField(_("what"), max_length=20, blank=True)
    quantity = models.PositiveIntegerField(_("good"), default=0)
    scrap = models.PositiveIntegerField(_("scrap"), default=0)
    reason = models.CharField(_("reason"), max_length=1000, blank=True)
    badge = models.CharField(_("badge"), max_length=40, blank=True)
    captured_at = models.DateTimeField(_("captured at"), null=True, help_text=_("As the handheld's clock had it."))
    sent_at = models.DateTimeField(_("sent at"), null=True, help_text=_("As the handheld's clock had it."))
    received_at = models.DateTimeField(pgettext_lazy("scan", "received at"), default=timezone.now)
    happened_at = models.DateTimeField(_("happened at"), default=timezone.now, help_text=_("Captured, by the server's clock."))
    is_clock_off = models.BooleanField(_("clock off"), default=False)
    lane = models.CharField(max_length=64, blank=True)
    seq = models.BigIntegerField(null=True)
    raw = models.JSONField(help_text="The item as it was sent.")
    outcome = models.CharField(_("outcome"), max_length=8, choices=Outcome, default=Outcome.RECEIVED)
    outcome_code = models.CharField(max_length=40, blank=True)
    answer = models.JSONField(null=True, help_text="What the client was told, and is told again.")
    task = models.ForeignKey(Task, verbose_name=_("task"), null=True, on_delete=models.SET_NULL, related_name="scans")
    order = models.ForeignKey(WorkOrder, verbose_name=_("order"), null=True, on_delete=models.SET_NULL, related_name="scans")
    attempts = models.PositiveSmallIntegerField(default=0)
    decision = models.CharField(_("decision"), max_length=9, choices=Decision, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("decided by"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    decided_at = models.DateTimeField(_("decided at"), null=True)
    decision_reason = models.CharField(_("why"), max_length=1000, blank=True)
    request_id = models.CharField(_("request id"), max_length=64, default=current_request_id)
    objects = ScanQuerySet.as_manager()

    class Meta:
        verbose_name = _("scan")
        verbose_name_plural = _("scans")
        ordering = ["-pk"]
        permissions = [("decide_scan", "Can decide on late scans"), ("enter_scan", "Can enter a scan by hand")]
        constraints = [
            models.UniqueConstraint(fields=["device", "client_event_id"], condition=Q(device__isnull=False), name="scan_once_per_device"),
            models.UniqueConstraint(fields=["user", "client_event_id"], condition=Q(device=None), name="scan_once_per_person"),
        ]
        indexes = [
            models.Index(fields=["task", "-id"], name="scan_of_task"),
            models.Index(fields=["user", "-id"], name="scan_of_person"),
            models.Index(fields=["outcome", "decision", "id"], name="scan_by_outcome"),
            models.Index(fields=["device", "outcome", "received_at"], name="scan_of_device"),
        ]

    def __str__(self) -> str:
        return f"{self.verb or self.code} · {self.pk}"


class LinkedCode(models.Model):
    """A customer's own code (on his paper, his sample, his crate) that stands for one of our orders since somebody scanned both."""

    code = models.CharField(_("code"), max_length=300, unique=True)
    order = models.ForeignKey(WorkOrder, verbose_name=_("order"), on_delete=models.CASCADE, related_name="linked_codes")
    linked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("linked by"), editable=False, on_delete=models.PROTECT, related_name="+"
    )
    linked_at = models.DateTimeField(_("linked at"), default=timezone.now, editable=False)
    objects = OfOrderQuerySet.as_manager()

    class Meta:
        verbose_name = _("customer's code")
        verbose_name_plural = _("customers' codes")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.code


class Paper(models.TextChoices):
    TICKET = "ticket", _("job ticket")
    LABELS = "labels", _("task labels")


class Printout(models.Model):
    """Who printed an order's paper, when, of which revision. The second one of a kind is a reprint."""

    order = models.ForeignKey(WorkOrder, verbose_name=_("order"), on_delete=models.CASCADE, related_name="printouts")
    paper = models.CharField(_("paper"), max_length=10, choices=Paper)
    revision = models.PositiveIntegerField(_("revision"))
    printed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("printed by"), editable=False, on_delete=models.PROTECT, related_name="+"
    )
    printed_at = models.DateTimeField(_("printed at"), default=timezone.now, editable=False)
    objects = OfOrderQuerySet.as_manager()

    class Meta:
        verbose_name = _("printout")
        verbose_name_plural = _("printouts")
        ordering = ["-pk"]
        indexes = [models.Index(fields=["order", "paper", "-id"], name="printout_of_order")]

    def __str__(self) -> str:
        return f"{self.get_paper_display()} {self.order}"
