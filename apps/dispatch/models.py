"""Who should do what: the rules, and the decisions with their reasons."""

from typing import Any, Self

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.accounts.access import access_of
from apps.accounts.models import Department
from apps.catalog.models import Process
from apps.core.history import Tracked
from apps.core.models import Versioned
from apps.core.querysets import ScopedQuerySet


class Strategy(models.TextChoices):
    """How a rule finds the person."""

    QUEUE = "queue", _("leave it to be claimed")
    LEAST_LOADED = "least_loaded", _("the person with the least open work")
    ROUND_ROBIN = "round_robin", _("one after the other")
    SAME_AS_PREVIOUS = "same_as_previous", _("who did the step before")


class DispatchRuleQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """See-all roles see every rule, a supervisor those of his departments."""
        access = access_of(user)
        return self if access.sees_all else self.filter(department__in=access.leads)


class DispatchRule(Versioned):
    """Tasks of `process` go to `department`. The higher priority wins; ties go to the smaller open load."""

    process = models.ForeignKey(Process, verbose_name=_("process"), on_delete=models.CASCADE, related_name="rules")
    department = models.ForeignKey(Department, verbose_name=_("department"), on_delete=models.CASCADE, related_name="rules")
    priority = models.PositiveSmallIntegerField(
        _("priority"), default=50, validators=[MaxValueValidator(100)], help_text=_("0 to 100; the higher wins.")
    )
    strategy = models.CharField(_("person"), max_length=20, choices=Strategy, default=Strategy.QUEUE)
    wip_limit = models.PositiveSmallIntegerField(
        _("open tasks per person"), null=True, blank=True, help_text=_("Nobody is given more than so many. Empty: no limit.")
    )
    is_active = models.BooleanField(_("active"), default=True)
    last_operator = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+",
        help_text="Where the round robin stands.",
    )  # fmt: skip
    objects = DispatchRuleQuerySet.as_manager()
    history = Tracked(excluded_fields=["last_operator"])

    class Meta:
        verbose_name = _("dispatch rule")
        verbose_name_plural = _("dispatch rules")
        ordering = ["process__position", "-priority", "pk"]
        permissions = [("import_dispatchrule", "Can import dispatch rules"), ("export_dispatchrule", "Can export dispatch rules")]
        constraints = [
            models.UniqueConstraint(
                fields=["process", "department"],
                name="dispatch_rule_once",
                violation_error_message=_("There is a rule for this process and department already. Change that one."),
            ),
            models.CheckConstraint(condition=Q(priority__lte=100), name="dispatch_rule_priority_to_100"),
        ]

    def __str__(self) -> str:
        return f"{self.process} → {self.department} ({self.priority})"


class DispatchDecisionQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """The decisions on the tasks that one sees."""
        tasks = self.model._meta.get_field("task").related_model.objects
        return self.filter(task__in=tasks.visible_to(user).order_by().values("pk"))


class DispatchDecision(models.Model):
    """Why a task is where it is: what was chosen, from which candidates, and the reason. Append-only."""

    task = models.ForeignKey("workorders.Task", verbose_name=_("task"), on_delete=models.CASCADE, related_name="decisions")
    task_version = models.PositiveIntegerField(help_text="The task's version that the decision was made for.")
    department = models.ForeignKey(Department, verbose_name=_("department"), null=True, on_delete=models.PROTECT, related_name="+")
    operator = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("operator"), null=True, on_delete=models.PROTECT, related_name="+"
    )
    rule = models.ForeignKey(DispatchRule, verbose_name=_("rule"), null=True, on_delete=models.SET_NULL, related_name="+")
    applied = models.BooleanField(default=True)
    candidates = models.JSONField(
        _("candidates"), default=list, help_text="[{kind, id, name, name_zh, load, verdict}] as the policy saw them."
    )
    reasons = models.JSONField(_("reasons"), default=list, help_text="[[code, params]] as dispatch.policy.explain reads them.")
    made_at = models.DateTimeField(_("made at"), auto_now_add=True)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, verbose_name=_("made by"), null=True, on_delete=models.PROTECT, related_name="+")
    objects = DispatchDecisionQuerySet.as_manager()

    class Meta:
        verbose_name = _("dispatch decision")
        verbose_name_plural = _("dispatch decisions")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["task", "task_version"], condition=Q(applied=True), name="one_decision_per_task_version")
        ]

    def __str__(self) -> str:
        return self.reason

    @property
    def reason(self) -> str:
        """The reason in words, in the reader's language."""
        from apps.dispatch.policy import explain

        return " ".join(explain(code, params) for code, params in self.reasons)
