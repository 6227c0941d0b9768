"""Taking things out of use and back: what others point to is never deleted, only no longer offered."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.context import acting
from apps.core.errors import RuleError
from apps.core.verbs import BulkVerb, Verb


def deactivate(thing: Model, *, by: Any) -> Model:
    """Take `thing` (a row with `is_active`) out of use. Locks it."""
    return _set(thing, False, by)


def activate(thing: Model, *, by: Any) -> Model:
    """Bring `thing` back into use. Locks it."""
    return _set(thing, True, by)


def _set(thing: Model, is_active: bool, by: Any) -> Model:
    with acting(by):
        fresh = type(thing)._default_manager.visible_to(by).locked().get(pk=thing.pk)
        opts = fresh._meta
        if not by.has_perm(f"{opts.app_label}.change_{opts.model_name}"):
            raise PermissionDenied(_("You may not change this. Ask a planner or an administrator."))
        if fresh.is_active == is_active:
            said = _("%(thing)s is in use already.") if is_active else _("%(thing)s is out of use already.")
            raise RuleError(said % {"thing": fresh}, code="wrong_state")
        fresh.is_active = is_active
        fresh.save()
        return fresh


def verbs(permission: str, text: Any) -> tuple[Verb, Verb]:
    """The two buttons of a thing that is taken out of use, not deleted; `text` says what follows from it."""
    return (
        Verb(
            "deactivate", gettext_lazy("Take out of use"), deactivate, icon="block", variant="danger", text=text,
            done=gettext_lazy("%(object)s is out of use."), when=lambda user, thing: thing.is_active and user.has_perm(permission),
        ),
        Verb(
            "activate", gettext_lazy("Bring back into use"), activate, icon="check_circle",
            text=gettext_lazy("It is offered again in every list and form."), done=gettext_lazy("%(object)s is in use again."),
            when=lambda user, thing: not thing.is_active and user.has_perm(permission),
        ),
    )  # fmt: skip


def bulk_verbs(permission: str, text: Any) -> tuple[BulkVerb, BulkVerb]:
    """The same for the rows selected in a list."""
    return (
        BulkVerb("deactivate", gettext_lazy("Take out of use"), deactivate, permission=permission, text=text),
        BulkVerb("activate", gettext_lazy("Bring back into use"), activate, permission=permission),
    )
