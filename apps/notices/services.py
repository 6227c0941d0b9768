"""Send and read notices. Rows are written in the transaction of what they tell about, so none is lost and none lies."""

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from apps.notices.kinds import KINDS
from apps.notices.models import Notice


def notify(recipients: Iterable[Any], kind: str, *, url: str = "", **params: Any) -> None:
    """One notice to each of `recipients` (users or ids, each once). One query."""
    if kind not in KINDS:
        raise KeyError(f"There is no kind of notice {kind!r}.")
    ids = {getattr(user, "pk", user) for user in recipients} - {None}
    Notice.objects.bulk_create(Notice(user_id=pk, kind=kind, params=params, url=url) for pk in sorted(ids))


def mark_read(notice: Notice) -> Notice:
    """Mark one notice as read; a read one stays as it is."""
    if notice.read_at is None:
        notice.read_at = timezone.now()
        notice.save(update_fields=["read_at"])
    return notice


def mark_all_read(user: Any) -> int:
    """Mark all notices of `user` as read and say how many there were."""
    return Notice.objects.visible_to(user).unread().update(read_at=timezone.now())
