"""What a user is, read once for each request: roles, permissions and departments. One query, cached on the user object."""

from dataclasses import dataclass, field
from typing import Any

from django.db.models import BigIntegerField, Value

from apps.accounts.roles import ROLES, SEES_ALL, Role


@dataclass(frozen=True)
class Access:
    """`member_of` are the departments that the user belongs to; `leads` those that he leads, with everything below them.

    `memo` is where higher apps keep what they read once for each request, such as shares.
    """

    user_id: int | None
    is_superuser: bool
    roles: frozenset[str]
    permissions: frozenset[str]
    member_of: frozenset[int]
    leads: frozenset[int]
    groups: frozenset[int]
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def sees_all(self) -> bool:
        return self.is_superuser or bool(self.roles & SEES_ALL)

    def has(self, permission: str) -> bool:
        return self.is_superuser or permission in self.permissions

    def is_(self, role: str) -> bool:
        return role in self.roles


NOBODY = Access(None, False, frozenset(), frozenset(), frozenset(), frozenset(), frozenset())


def access_of(user: Any) -> Access:
    """The user's Access. An inactive or anonymous user has none. A changed right counts from the next request on."""
    if not user or not user.is_authenticated or not user.is_active:
        return NOBODY
    # By attribute, not by __dict__: a request's user is a wrapper, and both it and what it wraps ask.
    cached = getattr(user, "_access", None)
    if cached is None:
        cached = user._access = _read(user)
    return cached


def forget_access(user: Any) -> None:
    """Read the rights of this very object again: for whoever has just changed them."""
    user._access = None


def _read(user: Any) -> Access:
    from apps.accounts.models import Department

    # Both in one statement: every request pays for it. The columns are kind, key, parent department, name or standing.
    no_parent = Value(None, output_field=BigIntegerField())
    held = user.groups.order_by().values_list(Value("group"), "pk", no_parent, "name")
    rows = list(Department.objects.standing_of(user).union(held, all=True))
    groups = {pk: name for kind, pk, _parent, name in rows if kind == "group"}
    departments = [(pk, parent, standing) for kind, pk, parent, standing in rows if kind == "department"]
    roles = frozenset(set(groups.values()) & set(Role.values))
    permissions: frozenset[str] = frozenset().union(*(ROLES[role] for role in roles))
    member_of = frozenset(pk for pk, _parent, standing in departments if standing)
    leads: set[int] = set()
    if Role.SUPERVISOR in roles:
        leads = {pk for pk, _parent, standing in departments if standing == "lead"}
        grown = True
        while grown:
            below = {pk for pk, parent, _standing in departments if parent in leads} - leads
            leads |= below
            grown = bool(below)
    return Access(user.pk, user.is_superuser, roles, permissions, member_of, frozenset(leads), frozenset(groups))
