"""Handhelds, badges and who is signed in where. A token or a PIN is shown once, on the page that made it."""

from datetime import timedelta
from typing import Any

import segno
from django import forms
from django.contrib import admin
from django.db.models import BooleanField, Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.accounts.access import access_of
from apps.accounts.sudo import SudoForm, SudoPages
from apps.core.admin import ReasonForm, ScopedAdmin, ScopedFilter, Secret, Verb, VerbsOnlyAdmin
from apps.core.errors import InvalidInput
from apps.scanning.admin.printing import BADGE, BADGES_IN_BULK
from apps.scanning.clocks import clock_in_words, is_clock_off
from apps.scanning.models import Badge, Device, OperatorSession, Outcome
from apps.scanning.services import devices

RECENT = timedelta(hours=24)
PAIR = "/floor/#pair="
NOT_REVOKED = ("live", _("in use"))
# A page that shows a secret comes after saving, whichever button was pressed: there is one.
ONE_BUTTON = {"show_save_and_add_another": False, "show_save_and_continue": False}


class StateFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [NOT_REVOKED, ("revoked", _("revoked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        states = {"live": Q(revoked_at=None), "revoked": Q(revoked_at__isnull=False)}
        return queryset.filter(states.get(self.value() or "", Q()))


def _label(kind: str, words: Any) -> str:
    return format_html('<span class="docket-label docket-{}">{}</span>', kind, words)


def _standing(revoked: bool) -> str:
    """The state on a row's own page, where no list draws it."""
    return _label("danger", gettext("revoked")) if revoked else _label("success", gettext("in use"))


def pairing(request: HttpRequest, made: tuple[Device, str]) -> Secret:
    """The token of a handheld, with the address that gives it to the floor page when it is scanned there."""
    _device, text = made
    code = segno.make(request.build_absolute_uri(PAIR + text), error="m", micro=False)
    return Secret(
        _("Token of the handheld"),
        text,
        _("Scan the code with the handheld's camera, or open the floor page on it and type the token in. Then people sign in by badge."),
        code.svg_data_uri(scale=4, border=4, light="#fff"),
    )


@admin.register(Device)
class DeviceAdmin(SudoPages, ScopedAdmin):
    """Registered once, renamed at will, never deleted: what it sent names it for ever."""

    list_display = ("called", "department", "seen", "clock", "refused", "state")
    list_filter = (StateFilter, ("department", ScopedFilter))
    search_fields = ("name", "prefix", "department__name", "department__name_zh")
    ordering = ("name",)
    readonly_fields = ("standing", "seen", "clock", "refused", "begins_with", "registered_by", "created_at", "revoked_at")
    quick_links = ((_("In use"), "state=live"), (_("Revoked"), "state=revoked"))
    verbs = (
        Verb(
            "renew", _("New token"), devices.renew_token, SudoForm, icon="key", tells=pairing,
            text=_("The old token ends at once, and whoever is signed in on the handheld is out. A revoked one is in use again."),
            when=lambda user, obj: user.has_perm("scanning.change_device"),
        ),
        Verb(
            "revoke", _("Revoke"), devices.revoke_device, ReasonForm, icon="phonelink_erase", variant="danger",
            text=_("It signs nobody in any more, from now on, and whoever is signed in on it is out. Scans that wait on it stay there."),
            done=_("%(object)s is revoked."),
            when=lambda user, obj: obj.revoked_at is None and user.has_perm("scanning.change_device"),
        ),
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        rows = super().get_queryset(request).select_related("department", "registered_by")
        reads = Value(access_of(request.user).has("scanning.view_scan"), output_field=BooleanField())
        return rows.with_last_seen().with_refusals(timezone.now() - RECENT).annotate(reads_scans=reads)

    def get_fieldsets(self, request: HttpRequest, obj: Device | None = None) -> list:
        if obj is None:
            return [(None, {"fields": ("name", "department")})]
        revoked = ("revoked_at",) if obj.revoked_at else ()
        return [
            (None, {"fields": ("name", "department", "standing", *revoked)}),
            (_("How it goes"), {"fields": ("seen", "clock", "refused")}),
            (_("Registration"), {"fields": ("begins_with", "registered_by", "created_at")}),
        ]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, ONE_BUTTON | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: Device, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        device, text = devices.register_device(obj.name, obj.department, by=request.user)
        obj.pk = device.pk
        request.told = pairing(request, (device, text))

    def response_add(self, request: HttpRequest, obj: Device, post_url_continue: str | None = None) -> HttpResponse:
        super().response_add(request, obj, post_url_continue)
        return self.tell_once(request, obj, request.told, title=_("Handheld registered"))

    @display(description=_("name"), ordering="name")
    def called(self, obj: Device) -> str:
        return obj.name

    @display(description=_("token begins with"))
    def begins_with(self, obj: Device) -> str:
        return f"{obj.prefix}…"

    @display(description=_("last seen"), ordering="seen_at")
    def seen(self, obj: Device) -> str:
        seen = getattr(obj, "seen_at", None)
        if seen is None:
            return gettext("never")
        now = timezone.now()
        return gettext("now") if now - seen < timedelta(minutes=2) else gettext("%(time)s ago") % {"time": timesince(seen, now)}

    @display(description=_("clock"), ordering="clock_offset_ms")
    def clock(self, obj: Device) -> str:
        words = clock_in_words(obj.clock_offset_ms)
        return _label("warning", words) if obj.clock_offset_ms is not None and is_clock_off(obj.clock_offset_ms) else words

    @display(description=_("refused in 24 hours"), ordering="refusals")
    def refused(self, obj: Device) -> str:
        number = getattr(obj, "refusals", 0)
        if not number:
            return "–"
        words = ngettext("%(count)s scan", "%(count)s scans", number) % {"count": number}
        if not obj.reads_scans:
            return _label("warning", words)
        address = f"{reverse('admin:scanning_scan_changelist')}?device__id__exact={obj.pk}&outcome__exact={Outcome.REFUSED}"
        return format_html('<a class="docket-label docket-warning" href="{}">{}</a>', address, words)

    @display(description=_("state"))
    def standing(self, obj: Device) -> str:
        return _standing(obj.revoked_at is not None)

    @display(description=_("state"), label={"live": "success", "revoked": "danger"})
    def state(self, obj: Device) -> tuple[str, Any]:
        return ("revoked", _("revoked")) if obj.revoked_at else NOT_REVOKED


class PinForm(SudoForm):
    """The PIN that the person wants, or none."""

    pin = forms.CharField(
        label=_("PIN"),
        max_length=40,
        required=False,
        widget=UnfoldAdminTextInputWidget({"inputmode": "numeric", "autocomplete": "off"}),
        help_text=_("4 to 8 digits. Leave it empty and one is made up."),
    )


class BadgeForm(forms.ModelForm):
    """For whom, and the PIN that he wants, or none."""

    chosen = PinForm.base_fields["pin"]

    class Meta:
        model = Badge
        fields = ("user",)

    def clean_chosen(self) -> str:
        pin = self.cleaned_data["chosen"]
        try:
            return devices.checked_pin(pin) if pin else ""
        except InvalidInput as refusal:
            raise forms.ValidationError(str(refusal), code=refusal.code) from refusal


def new_pin(badge: Badge, *, by: Any, pin: str) -> tuple[Badge, str]:
    """The verb, with the badge that its answer is about."""
    return badge, devices.new_pin(badge, by=by, pin=pin)


def told_pin(request: HttpRequest, made: tuple[Badge, str]) -> Secret:
    badge, pin = made
    said = gettext("Tell it to %(person)s alone. Badge %(code)s and this PIN sign in on every handheld of the shop.")
    return Secret(_("PIN"), pin, said % {"person": badge.user, "code": devices.code_of(badge)})


@admin.register(Badge)
class BadgeAdmin(SudoPages, VerbsOnlyAdmin):
    """A badge is issued for a person and revoked; nothing of it is edited."""

    add_form = BadgeForm
    list_display = ("person", "code", "issued_at", "issued_by", "last_used_at", "state")
    list_filter = (StateFilter, ("user", ScopedFilter))
    list_select_related = ("user", "issued_by")
    search_fields = ("user__username", "user__name")
    ordering = ("user__username", "-pk")
    readonly_fields = ("user", "code", "standing", "issued_at", "issued_by", "last_used_at", "revoked_at")
    quick_links = ((_("In use"), "state=live"), (_("Revoked"), "state=revoked"))
    verbs = (
        BADGE,
        Verb(
            "pin", _("New PIN"), new_pin, PinForm, icon="pin", tells=told_pin,
            text=_("The old PIN ends at once, and so do the sessions of the badge. A badge that wrong PINs have locked is open again."),
            when=lambda user, obj: obj.revoked_at is None and devices.may_issue(user, obj.user),
        ),
        Verb(
            "revoke", _("Revoke"), devices.revoke_badge, ReasonForm, icon="no_accounts", variant="danger",
            text=_("Nobody signs in with this badge any more, and whoever did is out. The person can get another one."),
            done=_("Badge %(object)s is revoked."),
            when=lambda user, obj: obj.revoked_at is None and devices.may_issue(user, obj.user),
        ),
    )  # fmt: skip
    bulk_verbs = (BADGES_IN_BULK,)

    def get_fieldsets(self, request: HttpRequest, obj: Badge | None = None) -> list:
        if obj is None:
            return [(None, {"fields": ("user", "chosen")})]
        revoked = ("revoked_at",) if obj.revoked_at else ()
        return [(None, {"fields": ("user", "code", "standing", "issued_at", "issued_by", "last_used_at", *revoked)})]

    def get_readonly_fields(self, request: HttpRequest, obj: Badge | None = None) -> tuple:
        return self.readonly_fields if obj is not None else ()

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet:
        """Who may get one: people in use who have none. Whether this user may give it, the verb says."""
        rows = super().get_field_queryset(db, db_field, request)
        return rows.filter(is_active=True).exclude(pk__in=Badge.objects.live().values("user")) if db_field.name == "user" else rows

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("scanning.issue_badge")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, ONE_BUTTON | (extra_context or {}))

    def save_model(self, request: HttpRequest, obj: Badge, form: Any, change: bool) -> None:
        badge, pin = devices.issue_badge(obj.user, by=request.user, pin=form.cleaned_data["chosen"])
        obj.pk = badge.pk
        request.told = told_pin(request, (badge, pin))

    def response_add(self, request: HttpRequest, obj: Badge, post_url_continue: str | None = None) -> HttpResponse:
        super().response_add(request, obj, post_url_continue)
        return self.tell_once(request, obj, request.told, title=_("Badge issued"))

    @display(description=_("person"), ordering="user__username", header=True)
    def person(self, obj: Badge) -> list[str]:
        return [str(obj.user), obj.user.username]

    @display(description=_("code"), ordering="pk")
    def code(self, obj: Badge) -> str:
        return format_html('<span class="docket-code">{}</span>', devices.code_of(obj))

    @display(description=_("state"))
    def standing(self, obj: Badge) -> str:
        return _standing(obj.revoked_at is not None)

    @display(description=_("state"), label={"live": "success", "revoked": "danger"})
    def state(self, obj: Badge) -> tuple[str, Any]:
        return ("revoked", _("revoked")) if obj.revoked_at else NOT_REVOKED


class SignedInFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("signed in")), ("over", _("ended"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() not in ("open", "over"):
            return queryset
        signed_in = OperatorSession.objects.open(timezone.now())
        return queryset.filter(pk__in=signed_in.values("pk")) if self.value() == "open" else queryset.exclude(pk__in=signed_in.values("pk"))


@admin.register(OperatorSession)
class OperatorSessionAdmin(VerbsOnlyAdmin):
    """Who is signed in on which handheld, and who was. To read, and to sign somebody out."""

    list_display = ("user", "device", "started_at", "last_used_at", "ended", "state")
    list_filter = (SignedInFilter, ("device", ScopedFilter), ("user", ScopedFilter))
    list_select_related = ("user", "device", "badge")
    search_fields = ("user__username", "user__name", "device__name")
    ordering = ("-pk",)
    fields = ("user", "device", "code", "started_at", "last_used_at", "expires_at", "ended_at", "standing")
    readonly_fields = fields
    quick_links = ((_("Signed in"), "state=open"),)
    verbs = (
        Verb(
            "end", _("Sign out"), devices.end_session, icon="logout", variant="danger",
            text=_("The person has to sign in on the handheld again. What waits there unsent stays there."),
            done=_("%(object)s is signed out."),
            when=lambda user, obj: not devices.is_over(obj, timezone.now())
            and (obj.user_id == user.pk or access_of(user).has("scanning.issue_badge")),
        ),
    )  # fmt: skip

    @display(description=_("badge"))
    def code(self, obj: OperatorSession) -> str:
        return format_html('<span class="docket-code">{}</span>', devices.code_of(obj.badge))

    @display(description=_("ended at"), ordering="ended_at")
    def ended(self, obj: OperatorSession) -> Any:
        return obj.ended_at or "–"

    @display(description=_("state"))
    def standing(self, obj: OperatorSession) -> str:
        return _label("plain", gettext("ended")) if devices.is_over(obj, timezone.now()) else _label("success", gettext("signed in"))

    @display(description=_("state"), label={"open": "success", "over": "default"})
    def state(self, obj: OperatorSession) -> tuple[str, Any]:
        return ("over", _("ended")) if devices.is_over(obj, timezone.now()) else ("open", _("signed in"))
