"""The verbs of administrators: roles, and accounts in and out of use. Nobody shuts himself out, nobody lifts himself up."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.access import access_of, forget_access
from apps.accounts.models import Department, Membership, User
from apps.accounts.roles import Role
from apps.accounts.sessions import end_sessions
from apps.core import activation
from apps.core.context import acting
from apps.core.depending import refuse_if_needed
from apps.core.errors import RuleError
from apps.core.validation import validated


def may_change(by: Any, person: User) -> bool:
    """Administrators change people; a superuser is changed by superusers only, the system's own account by nobody."""
    if not access_of(by).has("accounts.change_user") or person.is_system:
        return False
    return by.is_superuser or not person.is_superuser


def _require(by: Any, person: User) -> None:
    if not may_change(by, person):
        raise PermissionDenied(_("You may not change the account of %(name)s. Ask an administrator.") % {"name": person})


def set_roles(person: User, roles: Iterable[str], *, by: Any) -> User:
    """Give `person` exactly these roles. Groups that are no roles stay. The change is the reason of a history row."""
    wanted = {str(role) for role in roles}
    with acting(by):
        _require(by, person)
        groups = {group.name: group for group in Group.objects.filter(name__in=Role.values)}
        present = set(person.groups.filter(name__in=Role.values).values_list("name", flat=True))
        if wanted == present:
            return person
        if person.pk == by.pk and Role.ADMINISTRATOR in present - wanted:
            said = _("You cannot take the administrator's role from yourself. Ask another administrator.")
            raise RuleError(said, code="own_account", field="roles")
        person.groups.remove(*(groups[role] for role in present - wanted))
        person.groups.add(*(groups[role] for role in wanted - present))
        with acting(by, reason=f"roles: {', '.join(sorted(present)) or '-'} -> {', '.join(sorted(wanted)) or '-'}"):
            person.save()
        forget_access(person)
        return person


def save_person(person: User, *, by: Any, roles: Iterable[str] | None = None, places: Mapping[str, bool] | None = None) -> User:
    """Save a new or changed account. `places` says for each code of a department whether the person leads it; None leaves them.

    A new account has no password: nobody signs in with it before an administrator sets one. Raises InvalidInput with every wrong field.
    """
    with acting(by):
        if person.pk:
            _require(by, person)
        elif not access_of(by).has("accounts.add_user"):
            raise PermissionDenied(_("You may not add accounts. Ask an administrator."))
        else:
            person.is_superuser = False
            person.set_unusable_password()
        refuse_shutting_out(person, by=by)
        validated(person, exclude=["password"])
        person.save()
        if places is not None:
            _set_places(person, places)
        return person if roles is None else set_roles(person, roles, by=by)


def _set_places(person: User, places: Mapping[str, bool]) -> None:
    """Just these departments; each membership is saved by itself, for its history."""
    present = {one.department.code: one for one in person.memberships.select_related("department")}
    for code, membership in present.items():
        if code not in places:
            membership.delete()
        elif membership.is_lead != places[code]:
            membership.is_lead = places[code]
            membership.save()
    for department in Department.objects.filter(code__in=places.keys() - present.keys()).order_by("code"):
        Membership.objects.create(user=person, department=department, is_lead=places[department.code])


def remove_person(person: User, *, by: Any) -> None:
    """Delete an account that nothing carries the name of. Raises RuleError that says what does."""
    with acting(by):
        _require(by, person)
        if not access_of(by).has("accounts.delete_user") or person.pk == by.pk:
            raise PermissionDenied(_("You may not delete accounts. Ask an administrator."))
        refuse_if_needed(person, by=by, parts=(Membership,))
        person.delete()


def refuse_shutting_out(person: User, *, by: Any) -> None:
    """Raise RuleError if this save would keep `by` himself from signing in to the office pages."""
    if person.pk != by.pk:
        return
    if not person.is_staff:
        said = _("You cannot take the office pages from yourself. Ask another administrator.")
        raise RuleError(said, code="own_account", field="is_staff")
    if by.is_superuser and not person.is_superuser:
        raise RuleError(_("You cannot take this from yourself. Ask another superuser."), code="own_account", field="is_superuser")


def deactivate_user(person: User, *, by: Any) -> User:
    """Nobody signs in with the account any more, at once and with any token; what the person did stays in the books."""
    with acting(by):
        _require(by, person)
        if person.pk == by.pk:
            raise RuleError(_("You cannot deactivate your own account. Ask another administrator."), code="own_account")
        end_sessions(person)
        return activation.deactivate(person, by=by)


def activate_user(person: User, *, by: Any) -> User:
    """The account signs in again, with the roles that it had."""
    with acting(by):
        _require(by, person)
        return activation.activate(person, by=by)


def sign_out_everywhere(person: User, *, by: Any) -> User:
    """End every session and every access token of somebody: whoever it is has to sign in again."""
    with acting(by, reason="signed out everywhere"):
        _require(by, person)
        end_sessions(person)
        person.tokens.filter(revoked_at=None).update(revoked_at=timezone.now())
        person.save()
        return person
