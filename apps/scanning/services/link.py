"""A customer's own codes: scanned once together with an order, they stand for it from then on."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.core.context import acting
from apps.core.errors import InvalidInput, RuleError
from apps.scanning.codes import BadCode
from apps.scanning.items import LONGEST_CODE
from apps.scanning.models import LinkedCode
from apps.scanning.services import finding
from apps.workorders.models import WorkOrder
from apps.workorders.services.locking import lock_order
from apps.workorders.transitions import record

SHORTEST_CODE = 3


def link_code(order: WorkOrder, *, by: Any, code: str) -> LinkedCode:
    """Let a code that is not ours stand for `order`. The same again changes nothing.

    Raises InvalidInput for a code of Docket itself, RuleError where it stands for another order.
    """
    text = _customers_code(code)
    with acting(by):
        if not access_of(by).has("scanning.add_linkedcode"):
            raise PermissionDenied(_("You may not link codes. Ask the office or your supervisor."))
        order = lock_order(order, by=by)
        try:
            with transaction.atomic():
                link = LinkedCode.objects.create(code=text, order=order, linked_by=by)
        except IntegrityError:
            return _linked_before(text, order, by)
        record(order, "link", by=by, data={"code": text})
        return link


def unlink_code(link: LinkedCode, *, by: Any) -> None:
    """Take a link away: the code stands for nothing from then on, and can be linked to another order."""
    with acting(by):
        seen = LinkedCode.objects.visible_to(by).filter(pk=link.pk).exists()
        if not (seen and access_of(by).has("scanning.delete_linkedcode")):
            raise PermissionDenied(_("You may not take this link away. Ask the office or your supervisor."))
        order = lock_order(link.order_id, by=by)
        link.delete()
        record(order, "unlink", by=by, data={"code": link.code})


def _customers_code(text: str) -> str:
    """The code as it is kept. Raises InvalidInput for what is none, one of our own, or a task's number."""
    code = finding.plain(text)
    if len(code) < SHORTEST_CODE:
        raise InvalidInput(_("This is too short for a code. Scan it again."), field="code", code="too_short")
    if len(code) > LONGEST_CODE:
        raise InvalidInput(_("This is too long for a code. Scan it again."), field="code", code="too_long")
    try:
        finding.read_code(text)
    except BadCode as refusal:
        if refusal.code in ("wrong_layout", "a_number"):
            raise
        return code
    raise InvalidInput(_("This is a code of Docket itself. Scan the customer's own code."), field="code", code="own_code")


def _linked_before(code: str, order: WorkOrder, by: Any) -> LinkedCode:
    """The link that there is already, if it is of the same order. Raises RuleError; the other order is named to who sees it."""
    link = LinkedCode.objects.get(code=code)
    if link.order_id == order.pk:
        return link
    seen = LinkedCode.objects.visible_to(by).filter(pk=link.pk).select_related("order").first()
    named = _("order %(number)s") % {"number": seen.order.number} if seen else _("another order")
    raise RuleError(_("This code stands for %(order)s already. Take that link away first.") % {"order": named}, code="linked_already")
