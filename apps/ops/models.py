"""What the operations of one installation remember."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class BackupState(models.TextChoices):
    RUNNING = "running", pgettext_lazy("backup", "running")
    MADE = "made", pgettext_lazy("backup", "made, not proved")
    PROVED = "proved", pgettext_lazy("backup", "proved")
    FAILED = "failed", pgettext_lazy("backup", "failed")
    REMOVED = "removed", pgettext_lazy("backup", "removed")


class Backup(models.Model):
    """One run of the backup, and what became of its archive. A failed run leaves a row and no archive."""

    name = models.CharField(pgettext_lazy("backup", "name"), max_length=60, unique=True)
    state = models.CharField(_("state"), max_length=10, choices=BackupState, default=BackupState.RUNNING)
    started_at = models.DateTimeField(pgettext_lazy("backup", "started at"), db_index=True)
    made_at = models.DateTimeField(pgettext_lazy("backup", "made at"), null=True, blank=True)
    proved_at = models.DateTimeField(pgettext_lazy("backup", "proved at"), null=True, blank=True, db_index=True)
    drilled_at = models.DateTimeField(_("last drill"), null=True, blank=True, help_text=_("When a restore of it was last rehearsed."))
    copied_at = models.DateTimeField(_("copied off site at"), null=True, blank=True)
    host = models.CharField(_("machine"), max_length=255, blank=True)
    size = models.BigIntegerField(pgettext_lazy("backup", "size"), default=0)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    key_fingerprint = models.CharField(
        _("backup key"),
        max_length=16,
        blank=True,
        help_text=_("The fingerprint of the key that opens it. Without one it is not encrypted."),
    )
    release = models.CharField(pgettext_lazy("software", "version"), max_length=40, blank=True)
    rows = models.BigIntegerField(_("rows"), default=0)
    events = models.BigIntegerField(_("events"), default=0)
    problem = models.TextField(pgettext_lazy("backup", "problem"), blank=True)

    class Meta:
        verbose_name = _("backup")
        verbose_name_plural = _("backups")
        ordering = ["-started_at", "-pk"]
        permissions = [("download_backup", "Can download backups"), ("view_operations", "Can look at how the installation runs")]

    def __str__(self) -> str:
        return self.name
