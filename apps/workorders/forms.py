"""What the verbs of orders and tasks ask, and the order's own form."""

from collections.abc import Iterable
from datetime import datetime, time
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from apps.accounts.access import access_of
from apps.accounts.models import Department, Membership, User
from apps.accounts.roles import Role
from apps.catalog.models import Tool
from apps.core.errors import InvalidInput
from apps.core.forms import DialogForm, ReasonForm
from apps.core.reading import read_quantity
from apps.workorders.checks import problems_before_submit
from apps.workorders.generation import warnings
from apps.workorders.models import MOST, OrderMaterial, ReasonCode, ShareLevel, Task, WorkOrder
from apps.workorders.services.shares import SHARES

COUNTER = {"inputmode": "numeric", "autocomplete": "off"}


class OrderForm(forms.ModelForm):
    """An order's own fields. Quantities may stay empty: the shop computes them."""

    class Meta:
        model = WorkOrder
        fields = (
            "customer", "external_number", "maker", "priority", "order_date", "due_date", "run_quantity", "allowance", "ups",
            "over_tolerance", "under_tolerance", "printing_type", "process_colours", "spot_colours", "route", "steps_text", "tools",
            "instructions",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("run_quantity", "allowance", "ups"):
            if name in self.fields:
                self.fields[name].required = False
                self.fields[name].widget.attrs |= COUNTER

    def clean_run_quantity(self) -> int:
        return self.cleaned_data["run_quantity"] or 0

    def clean_allowance(self) -> int:
        return self.cleaned_data["allowance"] or 0

    def clean_ups(self) -> int:
        return 1 if self.cleaned_data["ups"] is None else self.cleaned_data["ups"]


class QuantityField(forms.CharField):
    """Pieces, as people write them: 1500, 1,500, １５００, 1.5万."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("widget", UnfoldAdminTextInputWidget(COUNTER))
        super().__init__(max_length=40, **kwargs)

    def clean(self, value: Any) -> int:
        text = super().clean(value)
        if not text:
            return 0
        try:
            return read_quantity(text, MOST)
        except InvalidInput as error:
            raise forms.ValidationError(str(error), code="bad_number") from error


class SubmitForm(DialogForm):
    """Shows what is missing before the button is pressed."""

    before_template = "docket/orders/submit.html"

    def before_context(self) -> dict[str, Any]:
        return {"problems": problems_before_submit(self.obj), "warnings": warnings(self.obj)}


class CommentForm(DialogForm):
    comment = forms.CharField(label=_("Comment"), max_length=1000, required=False, widget=UnfoldAdminTextareaWidget({"rows": 3}))


class PauseForm(DialogForm):
    reason_code = forms.ChoiceField(
        label=_("Reason"), choices=[("", "–"), *ReasonCode.choices], required=False, widget=UnfoldAdminSelectWidget
    )
    reason = forms.CharField(label=_("Explanation"), max_length=1000, required=False, widget=UnfoldAdminTextareaWidget({"rows": 2}))


class StartForm(DialogForm):
    """Who leads the department may start what is not ready, with a reason."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        required=False,
        widget=UnfoldAdminTextareaWidget({"rows": 2}),
        help_text=_("Only to start although something is missing."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.obj.department_id not in access_of(self.request.user).leads:
            del self.fields["reason"]


class ReportForm(DialogForm):
    """An increment: what was made since the last report."""

    before_template = "docket/tasks/counts.html"
    quantity = QuantityField(label=_("Good"), required=False)
    scrap = QuantityField(label=_("Scrap"), required=False)
    reason_code = forms.ChoiceField(
        label=_("Reason for the scrap"), choices=[("", "–"), *ReasonCode.choices], required=False, widget=UnfoldAdminSelectWidget
    )
    reason = forms.CharField(label=_("Explanation"), max_length=1000, required=False, widget=UnfoldAdminTextareaWidget({"rows": 2}))
    note = forms.CharField(label=_("Note"), max_length=1000, required=False, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["quantity"].widget.attrs |= {"autofocus": True, "placeholder": str(self.obj.left)}

    def before_context(self) -> dict[str, Any]:
        return {"task": self.obj}

    def arguments(self) -> dict[str, Any]:
        values = super().arguments()
        return {"good": values.pop("quantity"), **values}


class CompleteForm(ReportForm):
    """A last report, with what is left proposed, and the completion in one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("quantity", self.obj.left)
        self.fields["reason_code"].label = _("Reason for the scrap, or for ending short")


class SplitForm(DialogForm):
    before_template = "docket/tasks/counts.html"
    quantities = forms.CharField(
        label=_("Quantities to split off"),
        max_length=400,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off", "autofocus": True}),
        help_text=_("One for each new task, with spaces between them: 300 200. The rest stays with this task."),
    )
    reason = forms.CharField(label=_("Reason"), max_length=1000, required=False, widget=UnfoldAdminTextareaWidget({"rows": 2}))

    def before_context(self) -> dict[str, Any]:
        return {"task": self.obj}

    def clean_quantities(self) -> list[int]:
        try:
            return [read_quantity(part, MOST) for part in self.cleaned_data["quantities"].replace(";", " ").replace("；", " ").split()]
        except InvalidInput as error:
            raise forms.ValidationError(str(error), code="bad_number") from error


def open_minutes(people: Iterable[int]) -> dict[int, int]:
    """Open work of each of `people`, in minutes. One query."""
    rows = Task.objects.open().filter(operator__in=people).order_by().values("operator").annotate(minutes=Task.objects.open_minutes())
    return {row["operator"]: int(row["minutes"] or 0) for row in rows}


class LoadedChoiceField(forms.ModelChoiceField):
    """People to choose from, each with the open work that he has."""

    loads: dict[int, int] = {}

    def label_from_instance(self, user: User) -> str:
        return gettext("%(person)s · %(minutes)s min open") % {"person": user, "minutes": self.loads.get(user.pk, 0)}


class AssignForm(DialogForm):
    """To a person, or to a department's queue. Offers the departments that the reader looks after and their members."""

    operator = LoadedChoiceField(label=_("Operator"), queryset=User.objects.none(), required=False, widget=UnfoldAdminSelectWidget)
    department = forms.ModelChoiceField(
        label=_("Department"),
        queryset=Department.objects.none(),
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text=_("Without an operator the task waits in the department's queue."),
    )
    reason = forms.CharField(label=_("Reason"), max_length=1000, required=False, widget=UnfoldAdminTextareaWidget({"rows": 2}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        departments = self._departments()
        members = Membership.objects.filter(department__in=departments.order_by().values("pk")).values("user")
        people = User.objects.visible_to(self.request.user).filter(pk__in=members, is_active=True)
        self.fields["department"].queryset = departments
        self.fields["department"].empty_label = _("as it is")
        self.fields["operator"].queryset = people
        self.fields["operator"].empty_label = _("nobody: leave it to be claimed")
        if not self.is_bound:
            self.fields["operator"].loads = open_minutes(people.order_by().values("pk"))

    def _departments(self) -> QuerySet[Department]:
        """Active departments in the reader's care that can do the process, or one of the processes, at hand."""
        access = access_of(self.request.user)
        mine = Department.objects.active().visible_to(self.request.user)
        if not access.sees_all:
            mine = mine.filter(pk__in=access.leads)
        tasks = [self.obj] if self.obj else self.objects
        return mine.filter(
            pk__in=Department.processes.through.objects.filter(process__in={task.step.process_id for task in tasks}).values("department")
        )


class ReceiveForm(DialogForm):
    material = forms.ModelChoiceField(label=_("Material"), queryset=OrderMaterial.objects.none(), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["material"].queryset = OrderMaterial.objects.visible_to(self.request.user).filter(order=self.obj)


class ConfirmForm(DialogForm):
    tool = forms.ModelChoiceField(label=_("Tool"), queryset=Tool.objects.none(), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["tool"].queryset = Tool.objects.visible_to(self.request.user).filter(pk__in=self.obj.tools.values("pk"))


class RoleChoiceField(forms.ModelChoiceField):
    """Roles to choose from, in the reader's language."""

    def label_from_instance(self, group: Group) -> str:
        return str(Role(group.name).label)


class ShareForm(DialogForm):
    """With one person, by user name, or with everybody of a role. Nobody is listed who is out of the reader's sight."""

    person = forms.CharField(
        label=_("Person"),
        max_length=150,
        required=False,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "off"}),
        help_text=_("The user name."),
    )
    group = RoleChoiceField(label=_("or everybody who is"), queryset=Group.objects.none(), required=False, widget=UnfoldAdminSelectWidget)
    level = forms.ChoiceField(
        label=pgettext_lazy("share", "May"), choices=ShareLevel.choices, initial=ShareLevel.VIEW, widget=UnfoldAdminSelectWidget
    )
    until = forms.DateField(
        label=_("Until"),
        required=False,
        widget=UnfoldAdminSingleDateWidget({"type": "date"}, format="%Y-%m-%d"),
        help_text=_("The last day. Empty: until it is taken back."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["group"].queryset = Group.objects.filter(name__in=Role.values).order_by("name")
        if isinstance(self.obj, WorkOrder):
            del self.fields["level"]

    def clean_person(self) -> User | None:
        name = self.cleaned_data["person"].strip()
        if not name:
            return None
        try:
            return User.objects.get(Q(username=name), is_active=True)
        except User.DoesNotExist:
            raise forms.ValidationError(_("There is no active person of this user name."), code="unknown") from None

    def arguments(self) -> dict[str, Any]:
        values = super().arguments()
        until = values.pop("until")
        end = timezone.make_aware(datetime.combine(until, time.max)) if until else None
        return {"user": values.pop("person"), "expires_at": end, **values}


class UnshareForm(DialogForm):
    share = forms.ChoiceField(label=_("Share"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["share"].choices = [(f"{kind}:{row.pk}", str(receiver)) for kind, row, receiver in shares_of(self.obj)]

    def arguments(self) -> dict[str, Any]:
        chosen = self.cleaned_data["share"]
        return {"row": next(row for kind, row, _receiver in shares_of(self.obj) if f"{kind}:{row.pk}" == chosen)}


def shares_of(thing: WorkOrder | Task) -> list[tuple[str, Any, Any]]:
    """(kind, share, with whom) of every share of the thing. Two queries."""
    users = SHARES[type(thing), User].objects.filter(content_object=thing).select_related("user", "shared_by")
    groups = SHARES[type(thing), Group].objects.filter(content_object=thing).select_related("group", "shared_by")
    return [("user", row, row.user) for row in users] + [
        ("group", row, Role(row.group.name).label if row.group.name in Role.values else row.group) for row in groups
    ]


class CorrectForm(ReasonForm):
    """Taking a report back."""

    before_template = "docket/events/correct.html"

    def before_context(self) -> dict[str, Any]:
        return {"event": self.obj}
