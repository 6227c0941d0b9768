"""What people in charge of the installation see above their home page when something is down."""

from typing import Any

from django import template
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.core.models import Hold
from apps.ops.doctor import backup, worker
from apps.ops.models import Backup, BackupState

register = template.Library()


@register.simple_tag(takes_context=True)
def operations_alerts(context: Any) -> list[str]:
    """A sentence for each thing that is down. No query for anybody else, four for those in charge."""
    access = access_of(context["request"].user)
    if not access.has("ops.view_backup"):
        return []
    said = []
    if Hold.objects.exists():
        said.append(_("This is a restored copy: jobs, schedules and mail stand still until it is released (manage.py release)."))
    elif worker().level == "error":
        said.append(_("The worker is down: nothing is dispatched, no scan is swept, no backup is made. Start it: manage.py worker"))
    last = Backup.objects.order_by("-started_at").values_list("state", flat=True).first()
    if backup().level == "error" or last in (BackupState.FAILED, BackupState.MADE):
        said.append(_("The last backup is not proved. See the page of backups."))
    return said
