"""Who sees which customers, products and tools."""

from typing import Any, Self

from django.db.models import Q

from apps.accounts.access import access_of
from apps.accounts.roles import Role
from apps.core.querysets import ScopedQuerySet


class CustomerQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """Makers, supervisors and see-all roles see every customer, a salesperson his own; nobody else any."""
        access = access_of(user)
        if access.sees_all or access.roles & {Role.MAKER, Role.SUPERVISOR}:
            return self
        if access.is_(Role.SALESPERSON):
            return self.filter(salesperson=access.user_id)
        return self.none()

    def active(self) -> Self:
        return self.filter(is_active=True)


class ShopQuerySet(ScopedQuerySet):
    """What the whole shop shares: processes, products, routes. Whoever holds a role sees it."""

    def visible_to(self, user: Any) -> Self:
        access = access_of(user)
        return self if access.is_superuser or access.roles else self.none()

    def active(self) -> Self:
        return self.filter(is_active=True)


class ToolQuerySet(ShopQuerySet):
    def visible_to(self, user: Any) -> Self:
        """The office sees tools; a customer's own tools only who sees the customer. The floor sees them on its tasks."""
        access = access_of(user)
        if access.sees_all or access.roles & {Role.MAKER, Role.SUPERVISOR}:
            return self
        if access.is_(Role.SALESPERSON):
            return self.filter(Q(customer=None) | Q(customer__salesperson=access.user_id))
        return self.none()

    def confirmed(self) -> Self:
        return self.exclude(confirmed_at=None)
