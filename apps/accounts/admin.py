"""People, departments, memberships and tokens. Roles are code, so there is no page for groups."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Case, CharField, F, IntegerField, Prefetch, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, DropdownFilter
from unfold.decorators import display

from apps.accounts.forms import NewPasswordForm, NewUserForm, UserForm, roles_of
from apps.accounts.models import AccessToken, Department, Membership, User
from apps.accounts.people import activate_user, deactivate_user, may_change, refuse_shutting_out, set_roles, sign_out_everywhere
from apps.accounts.roles import Role
from apps.accounts.second_factor import factor_of, reset
from apps.accounts.services import revoke_token
from apps.accounts.sessions import end_sessions, open_sessions
from apps.accounts.sudo import SudoForm, SudoPages, to_confirm
from apps.core import activation
from apps.core.admin import BulkVerb, ScopedAdmin, ScopedFilter, ScopedInline, Verb, VerbsOnlyAdmin
from apps.core.context import acting

admin.site.unregister(Group)


class RoleFilter(DropdownFilter):
    """By role; who has none yet is the one to look for."""

    title = _("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*Role.choices, ("none", _("no role"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() == "none":
            return queryset.exclude(pk__in=User.objects.filter(groups__name__in=Role.values).values("pk"))
        if self.value() in Role.values:
            return queryset.filter(pk__in=User.objects.filter(groups__name=self.value()).values("pk"))
        return queryset


class AbsentFilter(DropdownFilter):
    title = _("absence")
    parameter_name = "absent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("absent now"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(absent_until__gte=timezone.localdate()) if self.value() == "yes" else queryset


class PlaceInline(ScopedInline):
    """Where a person works."""

    model = Membership
    fields = ("department", "is_lead")
    hide_title = True
    verbose_name = _("department")
    verbose_name_plural = _("departments")


class MemberInline(ScopedInline):
    """Who works in a department."""

    model = Membership
    fields = ("user", "is_lead")
    hide_title = True
    autocomplete_fields = ("user",)
    verbose_name = _("member")
    verbose_name_plural = _("members")


@admin.register(User)
class UserAdmin(SudoPages, ScopedAdmin, DjangoUserAdmin):
    """Accounts: only administrators change them. An account with a past is deactivated, not deleted."""

    form = UserForm
    add_form = NewUserForm
    add_form_template = ScopedAdmin.change_form_template
    change_password_form = NewPasswordForm
    list_display = ("person", "roles", "places", "absence", "last_login", "in_use")
    list_filter = (RoleFilter, ("memberships__department", ScopedFilter), ("is_active", BooleanRadioFilter), AbsentFilter)
    search_fields = ("username", "name", "email")
    ordering = ("username",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined", "in_use", "password_link", "signed_in", "code_too")
    inlines = (PlaceInline,)
    change_form_template = ScopedAdmin.change_form_template
    quick_links = (
        (_("In use"), "is_active__exact=1"),
        (_("Without a role"), "role=none&is_active__exact=1"),
        (_("Absent now"), "absent=yes"),
        (_("Out of use"), "is_active__exact=0"),
    )
    verbs = (
        Verb(
            "deactivate", _("Deactivate"), deactivate_user, SudoForm, icon="person_off", variant="danger",
            text=_("The account signs in nowhere any more, from now on. Orders, tasks and history keep the name."),
            done=_("%(object)s is deactivated."), when=lambda user, obj: obj.is_active and may_change(user, obj) and user.pk != obj.pk,
        ),
        Verb(
            "activate", _("Activate"), activate_user, SudoForm, icon="person_check",
            text=_("The account signs in again, with the roles that it had."), done=_("%(object)s is in use again."),
            when=lambda user, obj: not obj.is_active and may_change(user, obj),
        ),
        Verb(
            "sign_out", _("Sign out everywhere"), sign_out_everywhere, icon="logout",
            text=_("Every session of these pages and every access token ends now. The password stays: change it too, if others know it."),
            done=_("%(object)s is signed out everywhere."),
            when=lambda user, obj: obj.is_active and may_change(user, obj) and user.pk != obj.pk,
        ),
        Verb(
            "reset_second_factor", _("Reset second factor"), reset, SudoForm, icon="phonelink_off", variant="danger",
            text=_("For who lost the phone and the recovery codes. Make sure whom you talk to: from now on the password alone signs in."),
            done=_("%(object)s signs in with the password alone."),
            when=lambda user, obj: may_change(user, obj) and user.pk != obj.pk and factor_of(obj) is not None,
        ),
    )  # fmt: skip
    bulk_verbs = (BulkVerb("deactivate", _("Deactivate"), deactivate_user, SudoForm, permission="accounts.change_user"),)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        places = Prefetch("memberships", Membership.objects.select_related("department"))
        return super().get_queryset(request).prefetch_related("groups", places)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> list:
        if obj is None:
            return [
                (None, {"fields": ("username", "name", "email")}),
                (_("Password"), {"fields": ("password1", "password2")}),
                (_("Rights"), {"fields": ("roles", "is_staff")}),
            ]
        highest = ("is_superuser",) if request.user.is_superuser else ()
        changes = self.has_change_permission(request, obj)
        account, told = (("password_link",), ("signed_in", "code_too")) if changes else ((), ())
        return [
            (None, {"fields": ("username", "name", "email", "absent_until", *account)}),
            (_("Rights"), {"fields": ("roles", "is_staff", *highest)}),
            (_("Account"), {"fields": ("in_use", "last_login", "date_joined", *told)}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple:
        return self.readonly_fields if obj is not None else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"is_staff": True} | super().get_changeform_initial_data(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (not isinstance(obj, User) or may_change(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = super().has_delete_permission(request, obj)
        return allowed and (not isinstance(obj, User) or (may_change(request.user, obj) and obj.pk != request.user.pk))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list, dict, set, list]:
        """Whoever did something stays in the books: say so, and what to do instead."""
        named, counts, needed, protected = super().get_deleted_objects(objs, request)
        if protected:
            said = _("Orders, tasks or events carry this name, so the account stays. Deactivate it instead: then nobody signs in with it.")
            protected = [said]
        return named, counts, needed, protected

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if not request.user.is_superuser and not change:
            obj.is_superuser = False
        refuse_shutting_out(obj, by=request.user)
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: list, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if "roles" in form.cleaned_data:
            set_roles(form.instance, form.cleaned_data["roles"], by=request.user)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Signed like every other change; a new password is in the history as a change without values."""
        if self._asks(request, id):
            return to_confirm(request)
        with acting(request.user, reason="password"):
            response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            own = unquote(id) == str(request.user.pk)
            end_sessions(User(pk=unquote(id)), but=request.session.session_key if own else None)
        return response

    @display(description=_("person"), ordering="username", header=True)
    def person(self, obj: User) -> list[str]:
        return [str(obj), obj.username]

    @display(description=_("roles"))
    def roles(self, obj: User) -> str:
        return ", ".join(roles_of(obj)) or "–"

    @display(description=_("departments"))
    def places(self, obj: User) -> str:
        return ", ".join(f"{one.department.label} ★" if one.is_lead else one.department.label for one in obj.memberships.all()) or "–"

    @display(description=_("absent until"), ordering="absent_until")
    def absence(self, obj: User) -> str:
        if not obj.is_absent():
            return "–"
        return format_html('<span class="docket-label docket-warning">{}</span>', date_format(obj.absent_until, "SHORT_DATE_FORMAT"))

    @display(description=_("in use"), ordering="is_active", boolean=True)
    def in_use(self, obj: User) -> bool:
        return obj.is_active

    @display(description=_("signed in"))
    def signed_in(self, obj: User) -> str:
        rows = [
            (row.browser or "?", row.address or "?", date_format(timezone.localtime(row.since), "SHORT_DATETIME_FORMAT"))
            for row in open_sessions(obj)
        ]
        return format_html_join("", "<p>{} · {} · {}</p>", rows) or "–"

    @display(description=_("second factor"), boolean=True)
    def code_too(self, obj: User) -> bool:
        return factor_of(obj) is not None

    @display(description=_("password"))
    def password_link(self, obj: User) -> str:
        return format_html('<a class="home-link" href="../password/">{}</a>', _("Set a new password"))


LEAF, BELOW_ROOT = Q(parent__parent__isnull=False), Q(parent__isnull=False)
FIRST, NAMELESS = Value(-1, output_field=IntegerField()), Value("", output_field=CharField())
# Each department right after what it is part of, siblings by position and code: in the list and in every choice of departments.
TREE = (
    Coalesce("parent__parent__position", "parent__position", "position").asc(),
    Coalesce("parent__parent__code", "parent__code", "code").asc(),
    Case(When(LEAF, then=F("parent__position")), When(BELOW_ROOT, then=F("position")), default=FIRST).asc(),
    Case(When(LEAF, then=F("parent__code")), When(BELOW_ROOT, then=F("code")), default=NAMELESS).asc(),
    Case(When(LEAF, then=F("position")), default=FIRST).asc(),
    F("code").asc(),
)
UNUSED = _("Nothing is dispatched to it any more. Its open tasks stay until somebody assigns them elsewhere.")


@admin.register(Department)
class DepartmentAdmin(SudoPages, ScopedAdmin):
    """The tree of the shop, each part below what it belongs to."""

    list_display = ("tree", "code", "leads", "people", "can_do", "is_active")
    list_display_links = ("tree",)
    list_filter = (("is_active", BooleanRadioFilter),)
    search_fields = ("code", "name", "name_zh")
    fields = ("code", "name", "name_zh", "parent", "position", "can_do")
    readonly_fields = ("can_do",)
    ordering = TREE
    sortable_by = ()
    inlines = (MemberInline,)
    verbs = activation.verbs("accounts.change_department", UNUSED)

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        members = Prefetch("memberships", Membership.objects.select_related("user").order_by("-is_lead", "user__username"))
        return super().get_queryset(request).select_related("parent__parent").prefetch_related("processes", members)

    @display(description=_("department"))
    def tree(self, obj: Department) -> str:
        level = 2 if obj.parent and obj.parent.parent_id else int(obj.parent_id is not None)
        return format_html(
            '<span class="docket-tree" style="padding-left: {}rem">{}{}</span>', level * 1.5, "└ " if level else "", obj.label
        )

    @display(description=_("leads"))
    def leads(self, obj: Department) -> str:
        return ", ".join(str(one.user) for one in obj.memberships.all() if one.is_lead) or "–"

    @display(description=_("people"))
    def people(self, obj: Department) -> int:
        return len(obj.memberships.all())

    @display(description=_("can do"))
    def can_do(self, obj: Department) -> str:
        return ", ".join(process.label for process in obj.processes.all()) or "–"


@admin.register(Membership)
class MembershipAdmin(SudoPages, ScopedAdmin):
    list_display = ("user", "department", "is_lead")
    list_filter = (("department", ScopedFilter), ("is_lead", BooleanRadioFilter))
    list_select_related = ("user", "department")
    search_fields = ("user__username", "user__name", "department__name", "department__name_zh")
    ordering = ("department__position", "department__code", "-is_lead", "user__username")
    autocomplete_fields = ("user",)
    quick_links = ((_("Leads"), "is_lead__exact=1"),)


class TokenStateFilter(DropdownFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("valid", _("valid")), ("expired", _("expired")), ("revoked", _("revoked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        now = timezone.now()
        states = {
            "valid": Q(revoked_at=None, expires_at__gt=now),
            "expired": Q(revoked_at=None, expires_at__lte=now),
            "revoked": Q(revoked_at__isnull=False),
        }
        return queryset.filter(states.get(self.value() or "", Q()))


@admin.register(AccessToken)
class AccessTokenAdmin(VerbsOnlyAdmin):
    """Who can sign in to the API, since when and until when. The token itself is kept nowhere."""

    list_display = ("begins_with", "user", "created_at", "expires_at", "last_used_at", "state")
    list_filter = (TokenStateFilter, ("user", ScopedFilter))
    list_select_related = ("user",)
    search_fields = ("prefix", "user__username", "user__name")
    ordering = ("-pk",)
    fields = ("begins_with", "user", "created_at", "expires_at", "last_used_at", "revoked_at")
    readonly_fields = fields
    quick_links = ((_("Valid"), "state=valid"), (_("Revoked"), "state=revoked"))
    verbs = (
        Verb(
            "revoke", _("Revoke"), revoke_token, icon="key_off", variant="danger",
            text=_("Whatever signs in with this token has to sign in again with name and password."),
            done=_("%(object)s no longer signs in."),
            when=lambda user, obj: obj.revoked_at is None and (user.pk == obj.user_id or user.has_perm("accounts.change_accesstoken")),
        ),
    )  # fmt: skip
    bulk_verbs = (BulkVerb("revoke", _("Revoke"), revoke_token, permission="accounts.change_accesstoken"),)

    @display(description=_("begins with"), ordering="prefix")
    def begins_with(self, obj: AccessToken) -> str:
        return str(obj)

    @display(description=_("state"), label={"valid": "success", "expired": "warning", "revoked": "danger"})
    def state(self, obj: AccessToken) -> tuple[str, Any]:
        if obj.revoked_at:
            return "revoked", _("revoked")
        return ("expired", _("expired")) if obj.expires_at <= timezone.now() else ("valid", _("valid"))
