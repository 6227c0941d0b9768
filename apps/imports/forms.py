"""The form that takes a file in."""

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.imports.base import OptionsForm
from apps.imports.models import ImportProfile, SavedExport
from apps.imports.registry import Kind
from apps.imports.tables import ENCODINGS, SEPARATORS, Reading

FROM_ITS_LIST = _("Open the list that you want to export, and choose Save as export there.")


class UploadForm(forms.Form):
    """The file. Whether it is a safe one is for the service to say."""

    file = forms.FileField(
        label=_("File"),
        allow_empty_file=True,
        max_length=255,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".xlsx,.ods,.csv,.txt,.tsv"}),
        help_text=_("A workbook (.xlsx, .ods) or a table as text (.csv); at most 20 MB and 100,000 rows. English or Chinese headers."),
        error_messages={"max_length": _("The name of the file is too long. Give it a shorter one.")},
    )
    encoding = forms.ChoiceField(
        label=_("Encoding"),
        choices=[("", _("recognised")), *ENCODINGS.items()],
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("Of a text file: choose it where the plan shows wrong signs."),
    )
    separator = forms.ChoiceField(
        label=_("Separator"),
        choices=[("", _("recognised")), *((sign if sign != "\t" else "tab", name) for sign, name in SEPARATORS.items())],
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("What stands between two cells of a text file."),
    )

    profile = forms.ChoiceField(
        label=_("Columns as in"),
        choices=(),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("A profile that was saved for files of this sender."),
    )
    by_hand = forms.BooleanField(
        label=_("Let me choose the columns"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("You are asked anyway where a needed column is not recognised."),
    )

    def __init__(self, *args: Any, kind: Kind, by: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.profiles = {str(one.pk): one for one in ImportProfile.objects.visible_to(by).filter(resource=kind.key).select_related("owner")}
        if self.profiles:
            named = [(pk, str(one) if one.owner_id == by.pk else f"{one} ({one.owner})") for pk, one in self.profiles.items()]
            self.fields["profile"].choices = [("", _("recognised")), *named]
        else:
            del self.fields["profile"]

    def chosen_profile(self) -> ImportProfile | None:
        return self.profiles.get(self.cleaned_data.get("profile", ""))

    def reading(self) -> Reading:
        separator = self.cleaned_data["separator"]
        return Reading(self.cleaned_data["encoding"], "\t" if separator == "tab" else separator)


class SaveProfileForm(forms.Form):
    """Whether the chosen columns are kept for the next file of the same sender."""

    save_as = forms.CharField(
        label=_("Save as profile"),
        required=False,
        max_length=80,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("A name, such as the sender's. Leave it empty to use these columns only now."),
    )
    is_shared = forms.BooleanField(
        label=_("Shared"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("Everybody who may import the same can choose it too. A profile that is shared stays so; its own page ends that."),
    )


class CorrectedForm(forms.Form):
    """The workbook of rows that could not be imported, after somebody corrected them."""

    file = forms.FileField(
        label=_("Corrected rows"),
        max_length=255,
        allow_empty_file=True,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".xlsx,.ods,.csv"}),
        error_messages={"max_length": _("The name of the file is too long. Give it a shorter one.")},
    )


def options_forms(kind: Kind, *args: Any, by: Any) -> list[OptionsForm]:
    """What the resources of `kind` ask beside the file."""
    return [resource.options_form(*args, by=by) for resource in kind.resources if resource.options_form]


class SavedExportForm(forms.ModelForm):
    """What of which list, and when. The list and its filter come from the page of the list."""

    columns = forms.MultipleChoiceField(
        label=_("Columns"), required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget, help_text=_("None chosen: all of them.")
    )

    class Meta:
        model = SavedExport
        fields = ("resource", "query", "name", "format", "columns", "every", "weekday", "hour")
        widgets: ClassVar = {"resource": forms.HiddenInput, "query": forms.HiddenInput}

    offered: ClassVar[dict[str, list[tuple[str, str]]]] = {}  # the columns of each list that the person may export

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen = self.instance.resource or self.data.get("resource") or self.initial.get("resource", "")
        self.fields["columns"].choices = self.offered.get(chosen, [])
        if self.instance.pk:
            self.fields["resource"].disabled = self.fields["query"].disabled = True

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if data.get("resource") not in self.offered:
            raise forms.ValidationError(FROM_ITS_LIST)  # of the whole form: the field is hidden, and so would its error be
        return data
