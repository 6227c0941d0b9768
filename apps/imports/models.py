"""Files that people bring, and what became of them."""

from typing import Any, Self

from django.conf import settings
from django.core.files.storage import storages
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.accounts.access import access_of
from apps.core.querysets import ScopedQuerySet


def private_storage() -> Any:
    return storages["private"]


class ImportState(models.TextChoices):
    PLANNED = "planned", pgettext_lazy("import", "planned")
    FAULTY = "faulty", _("has errors")
    APPLIED = "applied", _("applied")


class ImportRunQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """A run belongs to who uploaded it; auditors see every run's record."""
        access = access_of(user)
        return self if access.sees_all else self.filter(owner=access.user_id)


class ImportRun(models.Model):
    """One file on its way in: first planned (the real import, rolled back), then applied once or not at all."""

    resource = models.CharField(_("what"), max_length=40, help_text="A key of the registry of resources.")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, verbose_name=_("uploaded by"), on_delete=models.PROTECT, related_name="import_runs")
    state = models.CharField(_("state"), max_length=10, choices=ImportState, default=ImportState.PLANNED)
    file = models.FileField(_("file"), storage=private_storage, upload_to="imports/%Y/%m")
    file_name = models.CharField(_("file name"), max_length=200)
    sha256 = models.CharField(max_length=64)
    options = models.JSONField(default=dict, blank=True)
    rows_total = models.PositiveIntegerField(_("rows"), default=0)
    rows_planned = models.PositiveIntegerField(_("planned rows"), default=0)
    plan = models.JSONField(default=list, blank=True, help_text="[{row, action, label, detail}]")
    problems = models.JSONField(default=list, blank=True, help_text="[{row, column, value, message}]")
    created_at = models.DateTimeField(_("uploaded at"), auto_now_add=True)
    applied_at = models.DateTimeField(_("applied at"), null=True, blank=True)
    objects = ImportRunQuerySet.as_manager()

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.pk} · {self.file_name}"
