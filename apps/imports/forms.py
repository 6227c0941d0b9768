"""The form that takes a file in."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldAdminSelectWidget

from apps.imports.base import OptionsForm
from apps.imports.registry import Kind
from apps.imports.tables import ENCODINGS, SEPARATORS, Reading


class UploadForm(forms.Form):
    """The file. Whether it is a safe one is for the service to say."""

    file = forms.FileField(
        label=_("File"),
        allow_empty_file=True,
        max_length=255,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".xlsx,.csv,.txt,.tsv"}),
        help_text=_("A workbook (.xlsx) or a table as text (.csv); at most 20 MB and 2,000 rows. English or Chinese headers."),
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

    def reading(self) -> Reading:
        separator = self.cleaned_data["separator"]
        return Reading(self.cleaned_data["encoding"], "\t" if separator == "tab" else separator)


class CorrectedForm(forms.Form):
    """The workbook of rows that could not be imported, after somebody corrected them."""

    file = forms.FileField(
        label=_("Corrected rows"),
        max_length=255,
        allow_empty_file=True,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".xlsx,.csv"}),
        error_messages={"max_length": _("The name of the file is too long. Give it a shorter one.")},
    )


def options_forms(kind: Kind, *args: Any, by: Any) -> list[OptionsForm]:
    """What the resources of `kind` ask beside the file."""
    return [resource.options_form(*args, by=by) for resource in kind.resources if resource.options_form]
