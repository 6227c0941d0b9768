"""Forms for signing in and for the people's admin."""

from typing import Any

from django import forms
from django.contrib.auth.forms import UsernameField
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from unfold.forms import AdminPasswordChangeForm, AuthenticationForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextInputWidget

from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.accounts.second_factor import factor_of
from apps.accounts.services import client_address, sign_in
from apps.accounts.signing_in import wait_for_code
from apps.accounts.sudo import confirm, password_field
from apps.core.errors import RuleError

OFFICE = _("May use these pages")
OFFICE_HELP = _("Without it the person signs in to the API only, as a handheld does.")


class SignInForm(AuthenticationForm):
    """The admin's sign-in, under the same limits as the API's."""

    def clean(self) -> dict[str, Any]:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username is not None and password:
            try:
                user = sign_in(username, password, client_address(self.request))
            except RuleError as refusal:
                raise forms.ValidationError(str(refusal), code=refusal.code) from refusal
            self.confirm_login_allowed(user)
            if factor_of(user) is not None:
                wait_for_code(self.request, user)
                raise forms.ValidationError(_("Type the code of your phone."), code="second_factor")
            self.user_cache = user
        return self.cleaned_data

    def confirm_login_allowed(self, user: User) -> None:
        if not user.is_staff:
            raise forms.ValidationError(
                _("Your account is for handhelds only and has no pages here. Ask an administrator to open them."), code="no_office"
            )


class CodeForm(forms.Form):
    """The second step of signing in, and the first use of a new phone."""

    code = forms.CharField(
        label=pgettext_lazy("sign-in", "Code"),
        max_length=40,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "one-time-code", "autofocus": True, "autocapitalize": "off"}),
    )


class ConfirmForm(forms.Form):
    """The password, once more."""

    password = password_field()

    def __init__(self, *args: Any, request: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_password(self) -> str:
        try:
            confirm(self.request, self.cleaned_data["password"])
        except RuleError as refusal:
            raise forms.ValidationError(str(refusal), code=refusal.code) from refusal
        return ""


class RolesField(forms.MultipleChoiceField):
    """Roles as checkboxes, in the words of the reader."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=Role.choices, required=False, label=_("Roles"), **kwargs)


class UserForm(forms.ModelForm):
    """An account. Roles are saved by accounts.people.set_roles."""

    roles = RolesField(help_text=_("What the person may do. Several roles add up."))

    class Meta:
        model = User
        fields = ("username", "name", "email", "absent_until", "is_staff", "is_superuser")
        field_classes = {"username": UsernameField}
        labels = {"is_staff": OFFICE}
        help_texts = {"is_staff": OFFICE_HELP}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "roles" in self.fields and self.instance.pk:
            held = self.instance.groups.filter(name__in=Role.values)
            self.initial["roles"] = list(held.values_list("name", flat=True))


class NewUserForm(UserCreationForm):
    """A new account with its first password."""

    usable_password = None  # everybody signs in with one
    roles = RolesField(help_text=_("What the person may do. Several roles add up."))

    class Meta:
        model = User
        fields = ("username", "name", "email", "is_staff")
        field_classes = {"username": UsernameField}
        labels = {"is_staff": OFFICE}
        help_texts = {"is_staff": OFFICE_HELP}


class NewPasswordForm(AdminPasswordChangeForm):
    """A new password for somebody else."""

    usable_password = None


def roles_of(person: User) -> list[str]:
    """The labels of the person's roles, in their own order. No query where the groups are prefetched."""
    held = {group.name for group in person.groups.all()}
    return [str(role.label) for role in Role if role.value in held]
