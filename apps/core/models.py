"""What every app stands on, and the few tables that are nobody else's."""

from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


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


class JobState(models.TextChoices):
    RUNNING = "running", pgettext_lazy("job", "running")
    DONE = "done", pgettext_lazy("job", "done")
    FAILED = "failed", pgettext_lazy("job", "failed, tried again")
    DEAD = "dead", pgettext_lazy("job", "given up")
    RETRIED = "retried", pgettext_lazy("job", "retried by hand")


class JobRun(models.Model):
    """One job on its way through the worker: counted before each start, so that one that kills its worker is counted, too."""

    key = models.CharField(max_length=64, unique=True, help_text="The queue's own name for it: each delivery of it comes back here.")
    name = models.CharField(pgettext_lazy("job", "job"), max_length=100)
    arguments = models.JSONField(pgettext_lazy("job", "about"), default=list, encoder=DjangoJSONEncoder)
    state = models.CharField(_("state"), max_length=10, choices=JobState, default=JobState.RUNNING)
    attempts = models.PositiveSmallIntegerField(pgettext_lazy("job", "attempts"), default=0)
    lock = models.CharField(max_length=100, default="", help_text="Its name, while no second one of it may run.")
    request_id = models.CharField(_("request"), max_length=64)
    host = models.CharField(_("machine"), max_length=255, default="")
    started_at = models.DateTimeField(pgettext_lazy("job", "started at"))
    finished_at = models.DateTimeField(pgettext_lazy("job", "finished at"), null=True)
    milliseconds = models.PositiveIntegerField(pgettext_lazy("job", "took (ms)"), null=True)
    problem = models.TextField(pgettext_lazy("job", "problem"), default="")
    told_at = models.DateTimeField(null=True, help_text="When the administrators were told that it was given up.")

    class Meta:
        verbose_name = _("background job")
        verbose_name_plural = _("background jobs")
        ordering = ["-started_at", "-pk"]
        indexes = [
            models.Index(fields=["state", "started_at"], name="job_by_state"),
            models.Index(fields=["-started_at"], name="job_newest"),
        ]
        constraints = [models.UniqueConstraint(fields=["lock"], condition=~models.Q(lock=""), name="job_runs_alone")]
        permissions = [("retry_jobrun", "Can retry background jobs")]

    def __str__(self) -> str:
        return f"{self.name} {' '.join(map(str, self.arguments))}".strip()


class Tally(models.Model):
    """Something that is only counted, for the whole installation: refused sign-ins."""

    name = models.CharField(max_length=64, unique=True)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = _("tally")
        verbose_name_plural = _("tallies")

    @classmethod
    def add(cls, name: str) -> None:
        """Count one more. One query, two the first time."""
        if not cls.objects.filter(name=name).update(count=models.F("count") + 1):
            cls.objects.get_or_create(name=name)
            cls.objects.filter(name=name).update(count=models.F("count") + 1)
