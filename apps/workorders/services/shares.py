"""Sharing one order or task with one person or role, until a day, never more than the sharer has himself."""

from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.access import access_of, forget_access
from apps.accounts.models import User
from apps.core.context import acting
from apps.core.errors import InvalidInput
from apps.workorders.models import (
    ShareLevel,
    Task,
    TaskGroupShare,
    TaskUserShare,
    WorkOrder,
    WorkOrderGroupShare,
    WorkOrderUserShare,
)
from apps.workorders.moves import may_task, require_order, require_task
from apps.workorders.services.locking import lock_order, lock_task
from apps.workorders.transitions import record

SHARES = {
    (WorkOrder, User): WorkOrderUserShare,
    (WorkOrder, Group): WorkOrderGroupShare,
    (Task, User): TaskUserShare,
    (Task, Group): TaskGroupShare,
}


def share(
    thing: WorkOrder | Task,
    *,
    by: Any,
    user: User | None = None,
    group: Group | None = None,
    level: str = ShareLevel.VIEW,
    expires_at: datetime | None = None,
) -> Any:
    """Let `user` or the people of `group` see the thing, or work on a task, until `expires_at` (None: until taken back).

    Sharing again with the same one changes level and day. Raises InvalidInput for an impossible choice.
    """
    receiver = user or group
    if (user is None) == (group is None) or (user and not user.is_active):
        raise InvalidInput(_("Choose one active person, or one role, to share it with."), field="user", code="nobody")
    if level not in ShareLevel.values or (level == ShareLevel.WORK and isinstance(thing, WorkOrder)):
        raise InvalidInput(_("An order is shared to be seen. Share its task to let somebody work on it."), field="level", code="bad_level")
    if expires_at and expires_at <= timezone.now():
        raise InvalidInput(_("The end of the share is in the past. Choose a later day."), field="expires_at", code="past")
    with acting(by):
        fresh = lock_order(thing, by=by) if isinstance(thing, WorkOrder) else lock_task(thing, by=by)
        _require(by, fresh)
        if level == ShareLevel.WORK and not may_task(access_of(by), "start", fresh):
            raise PermissionDenied(_("You cannot share more than you may do yourself."))
        model = SHARES[type(fresh), type(receiver)]
        codename = "work_task" if level == ShareLevel.WORK else f"view_{fresh._meta.model_name}"
        permission = Permission.objects.get(content_type__app_label="workorders", codename=codename)
        target = {"user": user} if user else {"group": group}
        model.objects.filter(content_object=fresh, **target).delete()
        made = model.objects.create(content_object=fresh, permission=permission, level=level, expires_at=expires_at, shared_by=by, **target)
        _record(fresh, "share", by=by, receiver=receiver, level=level)
        forget_access(receiver)
        return made


def unshare(row: Any, *, by: Any) -> None:
    """Take a share back."""
    with acting(by):
        thing = row.content_object
        fresh = lock_order(thing, by=by) if isinstance(thing, WorkOrder) else lock_task(thing, by=by)
        _require(by, fresh)
        receiver = getattr(row, "user", None) or row.group
        row.delete()
        forget_access(receiver)
        _record(fresh, "unshare", by=by, receiver=receiver, level=row.level)


def _require(by: Any, thing: WorkOrder | Task) -> None:
    require = require_order if isinstance(thing, WorkOrder) else require_task
    require(by, "share", thing)


def _record(thing: WorkOrder | Task, verb: str, *, by: Any, receiver: Any, level: str) -> None:
    order, task = (thing, None) if isinstance(thing, WorkOrder) else (thing.order, thing)
    data = {"with": str(receiver), "is_role": isinstance(receiver, Group), "level": str(level)}
    record(order, verb, by=by, task=task, data=data)
