"""A customer's own codes: scanned once together with an order, they stand for it from then on."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.core.context import acting
from apps.core.errors import InvalidInput, RuleError
from apps.scanning.codes import BadCode
from apps.scanning.models import LinkedCode
from apps.scanning.services import finding
from apps.workorders.models import WorkOrder


def link_code(text: str, order: WorkOrder, *, by: Any) -> LinkedCode:
    """Let a code that is not ours stand for `order`, which `by` sees. The same again changes nothing.

    Raises InvalidInput for a code of Docket itself, RuleError where it stands for another order.
    """
    code = finding.plain(text)
    if not len(code) >= 3:
        raise InvalidInput(_("This is too short for a code. Scan it again."), field="code", code="too_short")
    try:
        finding.read_code(text)
    except BadCode as refusal:
        if refusal.code == "wrong_layout":
            raise
    else:
        raise InvalidInput(_("This is a code of Docket itself. Scan the customer's own code."), field="code", code="own_code")
    if not access_of(by).has("scanning.add_linkedcode"):
        raise PermissionDenied(_("You may not link codes. Ask the office or your supervisor."))
    with acting(by):
        try:
            with transaction.atomic():
                return LinkedCode.objects.create(code=code, order=order, linked_by=by)
        except IntegrityError:
            link = LinkedCode.objects.get(code=code)
        if link.order_id != order.pk:
            seen = LinkedCode.objects.visible_to(by).filter(pk=link.pk).select_related("order").first()
            named = _("order %(number)s") % {"number": seen.order.number} if seen else _("another order")
            raise RuleError(
                _("This code stands for %(order)s already. Take that link away first.") % {"order": named}, code="linked_already"
            )
        return link
