"""The password once more, before something dangerous: a browser that somebody left open is not enough.

Whoever signed in, or showed the password, a few minutes ago is not asked again. A form that was opened in that time may be
sent for three times as long, so that nobody loses what he typed.
"""

import time
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget

from apps.accounts.services import confirm_password
from apps.accounts.sessions import CONFIRMED_AT
from apps.core.errors import RuleError
from apps.core.forms import DialogForm


def is_fresh(request: Any, *, times: int = 1) -> bool:
    """Whether this session's user showed the password in the last minutes. No query."""
    age = time.time() - request.session.get(CONFIRMED_AT, 0)
    return age < settings.DOCKET_SUDO_MINUTES * 60 * times


def confirm(request: Any, password: str) -> None:
    """The password, shown again. Raises BadCredentials or TooManyTries."""
    confirm_password(request.user, password)
    request.session[CONFIRMED_AT] = time.time()


def to_confirm(request: HttpRequest) -> HttpResponse:
    """To the page that asks for the password, and from there back to where the request was going."""
    url = f"{reverse('dashboard:confirm')}?{urlencode({'next': request.get_full_path()})}"
    return HttpResponse(headers={"HX-Redirect": url}) if request.headers.get("HX-Request") else HttpResponseRedirect(url)


def password_field() -> forms.CharField:
    widget = UnfoldAdminPasswordWidget({"autocomplete": "current-password", "autofocus": True})
    return forms.CharField(label=_("Your password"), max_length=1000, strip=False, widget=widget)


class SudoForm(DialogForm):
    """The dialog of a dangerous verb. `always`: however fresh the last time is."""

    always = False
    password = password_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.always and is_fresh(self.request):
            del self.fields["password"]

    def clean_password(self) -> str:
        """Not in the verb: its transaction would give a wrong try back."""
        try:
            confirm(self.request, self.cleaned_data["password"])
        except RuleError as refusal:
            raise forms.ValidationError(str(refusal), code=refusal.code) from refusal
        return ""

    def arguments(self) -> dict[str, Any]:
        return {name: value for name, value in super().arguments().items() if name != "password"}


class SudoPages:
    """Mixed into the admin of rows that give rights: its forms ask for the password first. Who only reads is never asked."""

    def _asks(self, request: HttpRequest, object_id: str | None) -> bool:
        if is_fresh(request, times=3 if request.method == "POST" else 1):
            return False
        if object_id is None:
            return self.has_add_permission(request)
        obj = self.get_object(request, unquote(object_id))
        return obj is not None and self.has_change_permission(request, obj)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return (
            to_confirm(request) if self._asks(request, object_id) else super().changeform_view(request, object_id, form_url, extra_context)
        )

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return to_confirm(request) if self._asks(request, object_id) else super().delete_view(request, object_id, extra_context)
