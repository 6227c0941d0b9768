"""The doors of the office pages: the password, the code of the phone, the password once more; and setting up the phone."""

from typing import Any

import segno
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts import second_factor as factors
from apps.accounts.forms import CodeForm, ConfirmForm
from apps.accounts.models import SecondFactor
from apps.accounts.second_factor import VERIFIED
from apps.accounts.sessions import note_sign_in
from apps.accounts.signing_in import sign_in_with_code, who_waits
from apps.accounts.sudo import is_fresh, to_confirm
from apps.core.errors import RuleError


@never_cache
@sensitive_post_parameters()
def sign_in(request: HttpRequest) -> HttpResponse:
    """The admin's own page, in place of it: who has a second factor goes on to its page, and the session learns where it was opened."""
    response = admin.site.login(request)
    if getattr(request, "waits_for_code", False):
        return redirect(f"{reverse('dashboard:sign_in_code')}?{urlencode({'next': _next(request)})}")
    if request.method == "POST" and response.status_code == 302 and request.user.is_authenticated:
        note_sign_in(request)
    return response


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_code(request: HttpRequest) -> HttpResponse:
    """The second step of signing in. Whoever has not shown a password a moment ago is sent to the first."""
    user = who_waits(request)
    if user is None:
        return redirect("admin:login")
    form = CodeForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            sign_in_with_code(request, user, form.cleaned_data["code"])
            return HttpResponseRedirect(_next(request))
        except RuleError as refusal:
            form.add_error("code", str(refusal))
    context = {**admin.site.each_context(request), "title": _("Second factor"), "form": form, "next": _next(request)}
    return TemplateResponse(request, "admin/dashboard/sign_in_code.html", context)


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """The password once more, and then on to what asked for it."""
    form = ConfirmForm(request.POST if request.method == "POST" else None, request=request)
    if form.is_bound and form.is_valid():
        return HttpResponseRedirect(_next(request))
    context = {**admin.site.each_context(request), "title": _("Your password once more"), "form": form, "next": _next(request)}
    return TemplateResponse(request, "admin/dashboard/confirm.html", context)


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """Set the second factor up, turn it off, make new recovery codes: each after the password."""
    if not is_fresh(request, times=3 if request.method == "POST" else 1):
        return to_confirm(request)
    user, codes, form = request.user, [], CodeForm()
    if request.method == "POST":
        try:
            action = request.POST.get("action")
            if action == "begin":
                factors.begin(user)
            elif action == "enrol":
                form = CodeForm(request.POST)
                if form.is_valid():
                    codes = factors.enrol(user, form.cleaned_data["code"])
                    request.session[VERIFIED] = True
            elif action == "codes":
                codes = factors.new_recovery_codes(user)
            elif action == "off":
                factors.turn_off(user)
                messages.success(request, _("The second factor is off: your password alone signs you in."))
                return redirect("dashboard:account")
        except RuleError as refusal:
            form.errors  # noqa: B018  (reading them makes the form ready to take one)
            if form.is_bound:
                form.add_error("code", str(refusal))
            else:
                messages.error(request, str(refusal))
    factor = SecondFactor.objects.filter(user=user.pk).select_related("user").first()
    context = {
        **admin.site.each_context(request),
        "title": _("Second factor"),
        "form": form,
        "factor": factor,
        "codes": codes,
        "left": len(factor.recovery) if factor else 0,
        "wanted": factors.must_have(user),
        **(_phone(request, factor) if factor and factor.confirmed_at is None else {}),
    }
    return TemplateResponse(request, "admin/dashboard/second_factor.html", context, headers={"Cache-Control": "no-store"})


def _phone(request: HttpRequest, factor: SecondFactor) -> dict[str, Any]:
    """The key that waits for its first code: as a picture, and in groups for who types it."""
    key = factors.key_of(factor)
    picture = segno.make(factors.address_of(factor, request.get_host()), error="m", micro=False)
    return {
        "key": " ".join(key[start : start + 4] for start in range(0, len(key), 4)),
        "picture": picture.svg_data_uri(scale=4, border=4, light="#fff"),
    }


def _next(request: HttpRequest) -> str:
    """Where the request was going: an address of ours, or the home page."""
    url = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
    return url if safe else reverse("admin:index")
