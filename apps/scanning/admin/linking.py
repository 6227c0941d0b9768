"""Customers' own codes on an order's page: scanned into a dialog, listed, and taken away again."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.accounts.access import access_of
from apps.core.admin import DialogForm, Verb
from apps.scanning.items import LONGEST_CODE
from apps.scanning.models import LinkedCode
from apps.scanning.services.link import link_code, unlink_code
from apps.workorders.models import WorkOrder

PANEL = "docket/orders/linked_codes.html"


class LinkForm(DialogForm):
    """The field that a scanner types into."""

    code = forms.CharField(
        label=_("Customer's code"),
        max_length=LONGEST_CODE,
        widget=UnfoldAdminTextInputWidget({"autofocus": True, "autocomplete": "off"}),
        help_text=_("Scan it from the customer's paper, his sample or his crate."),
    )


class UnlinkForm(DialogForm):
    """One of the order's codes."""

    link = forms.ModelChoiceField(label=_("Customer's code"), queryset=LinkedCode.objects.none(), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["link"].queryset = LinkedCode.objects.visible_to(self.request.user).filter(order=self.obj)


def _unlink(order: WorkOrder, *, by: Any, link: LinkedCode) -> None:
    unlink_code(link, by=by)


LINK = Verb(
    "link", _("Link a customer's code"), link_code, LinkForm, "add_link", done=_("The code stands for order %(object)s from now on."),
    text=_("Whoever scans it from then on gets this order."),
)  # fmt: skip
UNLINK = Verb(
    "unlink", _("Take the link away"), _unlink, UnlinkForm, "link_off", "danger", in_bar=False, done=_("The code stands for nothing now."),
    text=_("The code stands for nothing then, and can be linked to another order."),
)  # fmt: skip


def linking_moves(request: HttpRequest) -> Iterable[str]:
    """Which of both the user may press on an order that he sees."""
    may = access_of(request.user).has
    return [name for name, action in (("link", "add"), ("unlink", "delete")) if may(f"scanning.{action}_linkedcode")]


def linked_context(request: HttpRequest, order: WorkOrder) -> dict[str, Any]:
    """What the panel of an order's page shows. One query, none for who may not see codes."""
    access = access_of(request.user)
    if not access.has("scanning.view_linkedcode"):
        return {}
    links = LinkedCode.objects.visible_to(request.user).filter(order=order).select_related("linked_by")
    return {"linked_codes": list(links), "can_unlink": access.has("scanning.delete_linkedcode")}
