"""The button that an order's page and a task's page have in common: taking a share back."""

from typing import Any

from django.utils.translation import gettext_lazy

from apps.core.admin import Verb
from apps.workorders import services
from apps.workorders.forms import UnshareForm
from apps.workorders.models import Task, WorkOrder


def _unshare(thing: WorkOrder | Task, *, by: Any, row: Any) -> None:
    services.unshare(row, by=by)


UNSHARE = Verb(
    "unshare",
    gettext_lazy("Take the share back"),
    _unshare,
    UnshareForm,
    done=gettext_lazy("The share is taken back."),
    in_bar=False,
)
