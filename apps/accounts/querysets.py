"""Who sees which people and departments."""

from typing import Any, Self

from django.db.models import Case, FilteredRelation, Q, Value, When

from apps.accounts.access import access_of
from apps.accounts.roles import Role
from apps.core.querysets import ScopedQuerySet


class DepartmentQuerySet(ScopedQuerySet):
    """Departments, in the order of the shop's own list."""

    def standing_of(self, user: Any) -> Any:
        """("department", pk, parent, standing) of every department; the user's standing is lead, member or ""."""
        mine = FilteredRelation("memberships", condition=Q(memberships__user=user))
        standing = Case(When(mine__is_lead=True, then=Value("lead")), When(mine__is_lead=False, then=Value("member")), default=Value(""))
        return self.order_by().annotate(mine=mine).values_list(Value("department"), "pk", "parent_id", standing)

    def active(self) -> Self:
        return self.filter(is_active=True)

    def visible_to(self, user: Any) -> Self:
        """Office and see-all roles see the whole tree; the floor sees its own departments and those that it leads."""
        access = access_of(user)
        office = {Role.ADMINISTRATOR, Role.MAKER, Role.SALESPERSON}
        if access.sees_all or access.roles & office:
            return self
        return self.filter(pk__in=access.member_of | access.leads)


class UserQuerySet(ScopedQuerySet):
    """People."""

    def visible_to(self, user: Any) -> Self:
        """Administrators and see-all roles see everybody; a supervisor the members of his departments; everybody himself."""
        access = access_of(user)
        if access.sees_all or access.is_(Role.ADMINISTRATOR):
            return self
        own = Q(pk=access.user_id)
        if access.leads:
            from apps.accounts.models import Membership

            own |= Q(pk__in=Membership.objects.filter(department__in=access.leads).values("user"))
        return self.filter(own)

    def with_role(self, role: str) -> Self:
        return self.filter(is_active=True, groups__name=role)


class MembershipQuerySet(ScopedQuerySet):
    def leading(self, departments: Any) -> Self:
        """The memberships of the supervisors of `departments` (ids or a subquery) and of what is above them."""
        above = Q(department__children__in=departments) | Q(department__children__children__in=departments)
        return self.filter(Q(department__in=departments) | above, is_lead=True, user__is_active=True, user__groups__name=Role.SUPERVISOR)

    def visible_to(self, user: Any) -> Self:
        access = access_of(user)
        if access.sees_all or access.is_(Role.ADMINISTRATOR):
            return self
        return self.filter(Q(department__in=access.leads) | Q(user=access.user_id))


class AccessTokenQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """Administrators and auditors see every token's record (never its value); everybody his own."""
        access = access_of(user)
        if access.is_superuser or access.roles & {Role.ADMINISTRATOR, Role.AUDITOR}:
            return self
        return self.filter(user=access.user_id)
