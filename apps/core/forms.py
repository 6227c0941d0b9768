"""Forms of the admin: edits that notice a stale page, and dialogs that ask what a verb needs."""

import uuid
from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget

from apps.core.changes import changes_since
from apps.core.errors import InvalidInput, RuleError
from apps.core.models import Versioned
from apps.core.querysets import ScopedQuerySet

LONGEST_KEY = 18  # digits of the largest row number


def could_be_key(value: Any) -> bool:
    """Whether `value`, as a form or an address sends it, could be the key of a row."""
    text = str(value)
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_KEY


class SaneKeys(forms.ModelForm):
    """A chosen key that no row can have is answered as any other unknown one, before a widget or a database chokes on it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.is_bound:
            return
        for name, field in self.fields.items():
            key = self.add_prefix(name)
            if not isinstance(field, forms.ModelChoiceField) or not hasattr(self.data, "getlist"):
                continue
            chosen = self.data.getlist(key)
            if any(value and not could_be_key(value) for value in chosen):
                self.data = self.data.copy()
                self.data.setlist(key, ["0" if value and not could_be_key(value) else value for value in chosen])


class GuardedForm(SaneKeys):
    """Mixed into every admin form: refuses a save over somebody else's, and says what a service refused.

    `changes` lists what was saved meanwhile, for the panel above the form. The instance has to be locked when the form is bound.
    """

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    refusal: RuleError | None = None
    parts: Iterable[Any] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.changes: list = []
        for field in self.fields.values():
            field.show_hidden_initial = False  # the row itself says what it was
        if isinstance(self.instance, Versioned) and self.instance.pk:
            self.initial["version"] = self.instance.version
        else:
            self.fields.pop("version", None)
        if self.instance.pk:
            self._keep_present_choices()

    def _keep_present_choices(self) -> None:
        """What the row points to already stays a valid choice, in sight or not: saving a form must not lose it."""
        for name, field in self.fields.items():
            queryset = getattr(field, "queryset", None)
            if not isinstance(queryset, ScopedQuerySet):
                continue
            try:
                present = self.instance._meta.get_field(name)
            except FieldDoesNotExist:
                continue
            pks = getattr(self.instance, name).values("pk") if present.many_to_many else [getattr(self.instance, present.attname)]
            if present.many_to_many or pks != [None]:
                everything = queryset.model._default_manager.order_by(*queryset.query.order_by)
                field.queryset = everything.filter(Q(pk__in=queryset.order_by().values("pk")) | Q(pk__in=pks))

    def full_clean(self) -> None:
        super().full_clean()
        if not self.is_bound or not hasattr(self, "cleaned_data"):
            return
        if "version" in self.fields:
            self._refuse_stale(self.cleaned_data.get("version"))
        if self.refusal is not None:
            tell(self, self.refusal)

    def _refuse_stale(self, shown: int | None) -> None:
        current = self.initial["version"]
        if shown == current:
            return
        self.changes = changes_since(self.instance, shown or 0, self.parts)
        self.add_error(
            None,
            forms.ValidationError(
                _("Somebody saved this meanwhile. Nothing of yours is saved yet: see what changed, correct your entries, and save again."),
                code="stale",
            ),
        )


def tell(form: forms.BaseForm, refusal: RuleError) -> None:
    """Show a service's refusal on the form, at its field where the form has it."""
    problems = refusal.problems if isinstance(refusal, InvalidInput) else [refusal]
    for problem in problems:
        form.add_error(problem.field if problem.field in form.fields else None, forms.ValidationError(str(problem), code=problem.code))


class DialogForm(forms.Form):
    """What a verb asks. `obj` is the object that it is about; `objects` are all of them, in a bulk action.

    `once` makes a double click count once: its value is spent in the transaction of the effect.
    """

    once = forms.UUIDField(required=False, widget=forms.HiddenInput)
    before_template: str = ""

    def __init__(self, *args: Any, request: Any, obj: Any = None, objects: Any = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request, self.obj, self.objects = request, obj, objects
        self.initial.setdefault("once", uuid.uuid4())

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments for the service."""
        return {name: value for name, value in self.cleaned_data.items() if name != "once"}

    def before_context(self) -> dict[str, Any]:
        """What `before_template` shows above the fields."""
        return {}


class OptionalReasonForm(DialogForm):
    """A verb that may be explained."""

    reason = forms.CharField(label=_("Reason"), max_length=1000, required=False, widget=UnfoldAdminTextareaWidget({"rows": 3}))


class ReasonForm(DialogForm):
    """A verb that has to be explained."""

    reason = forms.CharField(label=_("Reason"), max_length=1000, widget=UnfoldAdminTextareaWidget({"rows": 3, "autofocus": True}))
