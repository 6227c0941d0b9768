"""What every app stands on, and the few tables that are nobody else's."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _


class Versioned(models.Model):
    """A row whose `version` grows with every save, so that a stale form or a stale `If-Match` is noticed."""

    version = models.PositiveIntegerField(_("version"), default=1, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            self.version += 1
            fields = kwargs.get("update_fields")
            if fields is not None:
                kwargs["update_fields"] = {*fields, "version"}
        super().save(*args, **kwargs)


class Bucket(models.Model):
    """A limit on tries, counted in the database, so that it holds for every process and machine together."""

    key = models.CharField(max_length=128, unique=True)
    tokens = models.FloatField()
    updated_at = models.FloatField(help_text="Seconds since 1970, as the application's clock has it.")

    class Meta:
        verbose_name = _("limit")
        verbose_name_plural = _("limits")


class IdempotencyKey(models.Model):
    """The answer that the first request with this key got. The row commits together with the effect."""

    owner = models.CharField(max_length=64, help_text="Whose key it is: one user's keys say nothing to another.")
    key = models.CharField(max_length=128)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="idempotency_key_once_per_owner")]


class Heartbeat(models.Model):
    """The last sign of life of a part that runs beside the web: the worker writes one through its own queue."""

    name = models.CharField(max_length=64, unique=True)
    beat_at = models.DateTimeField()
    process_group = models.PositiveIntegerField(null=True, help_text="Of the cluster, so that a restart can end orphans.")
    host = models.CharField(max_length=255, default="")

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")


class Hold(models.Model):
    """What stands still until somebody lets it go again: after a restore, the jobs, the schedules and the mail."""

    name = models.CharField(max_length=64, unique=True)
    since = models.DateTimeField()

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
