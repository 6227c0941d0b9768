"""Who sees which handhelds, badges, scans and papers."""

from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Greatest

from apps.accounts.access import access_of
from apps.accounts.models import Membership
from apps.accounts.roles import Role
from apps.core.querysets import ScopedQuerySet
from apps.workorders.querysets import order_scope, task_scope

# When a session is used is written at most once a minute, so it may live a minute longer than it is idle.
STAMP_EVERY = timedelta(minutes=1)


def longest_idle() -> timedelta:
    """A session that was last noted to be in use so long ago has ended."""
    return timedelta(minutes=settings.DOCKET_BADGE_MINUTES) + STAMP_EVERY


class DeviceQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """Administrators and see-all roles see every handheld; a supervisor those of his departments."""
        access = access_of(user)
        if access.sees_all or access.is_(Role.ADMINISTRATOR):
            return self
        return self.filter(department__in=access.leads)

    def live(self) -> Self:
        return self.filter(revoked_at=None)

    def with_last_seen(self) -> Self:
        """Adds `seen_at`: when the handheld, or somebody signed in on it, last sent anything; None if never."""
        from apps.scanning.models import OperatorSession

        # One session at a time is open on a handheld, so the last one was used last.
        last = OperatorSession.objects.filter(device=OuterRef("pk")).order_by("-pk").values("last_used_at")[:1]
        used = Subquery(last)
        return self.annotate(seen_at=Greatest(Coalesce("last_seen_at", used), Coalesce(used, "last_seen_at")))

    def with_refusals(self, since: Any) -> Self:
        """Adds `refusals`: how many scans of the handheld were refused since then."""
        from apps.scanning.models import Scan

        refused = Scan.objects.filter(device=OuterRef("pk"), outcome="refused", received_at__gte=since).order_by()
        counted = refused.values("device").annotate(number=Count("pk")).values("number")
        return self.annotate(refusals=Coalesce(Subquery(counted), 0))


class BadgeQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """Administrators and see-all roles see every badge; a supervisor those of his people; everybody his own."""
        access = access_of(user)
        if access.sees_all or access.is_(Role.ADMINISTRATOR):
            return self
        return self.filter(Q(user=access.user_id) | Q(user__in=Membership.objects.filter(department__in=access.leads).values("user")))

    def live(self) -> Self:
        return self.filter(revoked_at=None)


class OperatorSessionQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """As handhelds are seen; everybody sees his own."""
        access = access_of(user)
        if access.sees_all or access.is_(Role.ADMINISTRATOR):
            return self
        return self.filter(Q(user=access.user_id) | Q(device__department__in=access.leads))

    def open(self, at: datetime) -> Self:
        """Those that sign somebody in at that time: what services.devices.is_over says of one."""
        return self.filter(
            ended_at=None,
            expires_at__gt=at,
            last_used_at__gt=at - longest_idle(),
            badge__revoked_at=None,
            device__revoked_at=None,
            user__is_active=True,
        )


class ScanQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """The scans of the tasks that one sees, one's own, and for a supervisor what his departments' handhelds sent."""
        access = access_of(user)
        if access.sees_all:
            return self
        own = Q(user=access.user_id) if access.user_id else Q(pk__in=[])
        if access.leads:
            own |= Q(task__isnull=False) & task_scope(access, "task__") | Q(task=None, device__department__in=access.leads)
        return self.filter(own)

    def in_inbox(self) -> Self:
        """Late scans that nobody has decided on."""
        return self.filter(outcome="held", decision="")


class OfOrderQuerySet(ScopedQuerySet):
    def visible_to(self, user: Any) -> Self:
        """What hangs on an order is seen by who sees the order."""
        return self.filter(order_scope(access_of(user), "order__"))
