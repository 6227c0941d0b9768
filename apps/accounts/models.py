"""People, the departments that they work in, and what they sign in with."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.contrib.sessions.base_session import AbstractBaseSession
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from apps.accounts.querysets import AccessTokenQuerySet, DepartmentQuerySet, MembershipQuerySet, UserQuerySet
from apps.core.history import Tracked
from apps.core.models import Versioned

SYSTEM = "system"


class Users(UserManager.from_queryset(UserQuerySet)):
    """Django's user manager over the scoped queryset."""

    def active_in(self, department: Any) -> UserQuerySet:
        return self.filter(is_active=True, memberships__department=department)


class User(Versioned, AbstractUser):
    """Somebody who signs in. Roles are groups (accounts.roles), places of work are memberships."""

    name = models.CharField(_("name"), max_length=80, blank=True, help_text=_("As colleagues say it."))
    absent_until = models.DateField(
        _("absent until"), null=True, blank=True, help_text=_("The last day of the absence. No task is dispatched to an absent person.")
    )
    objects = Users()
    history = Tracked(excluded_fields=["password", "last_login"])

    class Meta(AbstractUser.Meta):
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ["username"]
        permissions = [
            ("view_deleted", "Can read the history of deleted rows"),
            ("import_user", "Can import people"),
            ("export_user", "Can export people"),
        ]

    def __str__(self) -> str:
        return self.name or self.username

    def get_full_name(self) -> str:
        return self.name or super().get_full_name() or self.username

    get_short_name = get_full_name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Signing in is no change of the account: `last_login` alone grows no version and writes no history."""
        if set(kwargs.get("update_fields") or ()) == {"last_login"}:
            type(self).objects.filter(pk=self.pk).update(last_login=self.last_login)
            return
        super().save(*args, **kwargs)

    @property
    def is_system(self) -> bool:
        """The user that jobs and commands act as. Nobody can sign in as it."""
        return self.username == SYSTEM

    def is_absent(self, on: Any = None) -> bool:
        return bool(self.absent_until and self.absent_until >= (on or timezone.localdate()))


class Bilingual(models.Model):
    """A thing of the shop that people call by an English and a Chinese name."""

    name = models.CharField(_("name"), max_length=80)
    name_zh = models.CharField(_("Chinese name"), max_length=80, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The name in the reader's language."""
        return self.name_zh if (get_language() or "").startswith("zh") and self.name_zh else self.name


MAX_LEVELS = 3


class Department(Versioned, Bilingual):
    """A part of the shop: a tree of at most three levels."""

    code = models.SlugField(_("code"), max_length=40, unique=True)
    parent = models.ForeignKey("self", verbose_name=_("part of"), null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    position = models.PositiveSmallIntegerField(_("position"), default=100, help_text=_("The smaller comes first."))
    is_active = models.BooleanField(_("active"), default=True)
    members = models.ManyToManyField(User, through="Membership", related_name="departments", verbose_name=_("members"))
    objects = DepartmentQuerySet.as_manager()
    history = Tracked()

    class Meta:
        verbose_name = _("department")
        verbose_name_plural = _("departments")
        ordering = ["position", "code"]

    def clean(self) -> None:
        """Refuse cycles and a fourth level."""
        above, seen = self.parent, 1
        while above is not None:
            seen += 1
            if above.pk == self.pk and self.pk is not None:
                raise ValidationError({"parent": _("A department cannot be part of itself. Choose another one.")})
            if seen > MAX_LEVELS:
                break
            above = above.parent
        if seen + self._levels_below() > MAX_LEVELS:
            message = _("Departments have at most %(levels)s levels. Choose one higher up.")
            raise ValidationError({"parent": message % {"levels": MAX_LEVELS}})

    def _levels_below(self) -> int:
        """How many levels hang below this department. One query a level."""
        levels, row = 0, [self.pk] if self.pk else []
        while row and levels <= MAX_LEVELS:
            row = list(Department.objects.filter(parent__in=row).exclude(pk=self.pk).values_list("pk", flat=True))
            levels += bool(row)
        return levels


class Membership(Versioned):
    """A user works in a department; a lead is its supervisor."""

    user = models.ForeignKey(User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="memberships")
    department = models.ForeignKey(Department, verbose_name=_("department"), on_delete=models.CASCADE, related_name="memberships")
    is_lead = models.BooleanField(_("lead"), default=False, help_text=_("Leads the department and everything below it."))
    objects = MembershipQuerySet.as_manager()
    history = Tracked()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "department"],
                name="membership_once",
                violation_error_message=_("This person belongs to the department already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.department}"


class AccessToken(models.Model):
    """A token that signs in to the API. Only its HMAC is kept; it expires and can be revoked."""

    user = models.ForeignKey(User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="tokens")
    prefix = models.CharField(_("begins with"), max_length=12)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"))
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    objects = AccessTokenQuerySet.as_manager()
    device = None  # what a request came with may belong to a handheld; this belongs to a person alone

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.prefix}…"


class OpenSession(AbstractBaseSession):
    """A session of the office pages, with whose it is and where it was opened: accounts.sessions writes and ends it."""

    # Without a constraint: a session that is saved at the moment in which its user is deleted is nobody's, and no fault.
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, db_constraint=False, related_name="open_sessions")
    signed_in_at = models.DateTimeField(null=True)
    address = models.CharField(max_length=45, default="")
    browser = models.CharField(max_length=40, default="")

    class Meta(AbstractBaseSession.Meta):
        verbose_name = _("session")
        verbose_name_plural = _("sessions")

    @classmethod
    def get_session_store_class(cls) -> Any:
        from apps.accounts.sessions import SessionStore

        return SessionStore

    @property
    def since(self) -> datetime:
        return self.signed_in_at or self.expire_date - timedelta(seconds=settings.SESSION_COOKIE_AGE)


class SecondFactor(models.Model):
    """The phone that shows a user's codes. Nothing in it is of use without SECRET_KEY: accounts.second_factor."""

    user = models.OneToOneField(User, verbose_name=_("user"), on_delete=models.CASCADE, related_name="second_factor")
    sealed = models.CharField(max_length=80, editable=False)
    confirmed_at = models.DateTimeField(_("on since"), null=True)
    last_step = models.BigIntegerField(default=0, editable=False, help_text="The last half minute whose code was taken: each counts once.")
    recovery = models.JSONField(default=list, editable=False, help_text="Digests of the recovery codes that are left.")

    class Meta:
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")
