"""The verbs of dispatch rules."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.core.context import acting
from apps.core.depending import refuse_if_needed
from apps.core.validation import validated
from apps.dispatch.models import DispatchRule


def save_rule(rule: DispatchRule, *, by: Any) -> DispatchRule:
    """Save a new or changed rule. Raises InvalidInput with every field that is wrong."""
    with acting(by):
        _require(by, "change" if rule.pk else "add")
        validated(rule)
        rule.save()
        return rule


def remove_rule(rule: DispatchRule, *, by: Any) -> None:
    """Delete a rule that no decision names. Raises RuleError where one does."""
    with acting(by):
        _require(by, "delete")
        refuse_if_needed(rule, by=by)
        rule.delete()


def _require(by: Any, action: str) -> None:
    if not access_of(by).has(f"dispatch.{action}_dispatchrule"):
        raise PermissionDenied(_("You may not change the rules of dispatch. Ask a planner."))
