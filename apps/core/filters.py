"""Query parameters of lists, read by django-filter: what cannot be is told, not ignored."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any

import django_filters
from django import forms
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django_filters.rest_framework import DjangoFilterBackend

from apps.core import pages
from apps.core.errors import InvalidInput
from apps.core.shapes import LARGEST_NUMBER


class IdField(forms.IntegerField):
    """The id of a row, or a word from `words`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, min_value=1, max_value=LARGEST_NUMBER, **kwargs)


class IdFilter(django_filters.Filter):
    """`?workorder=12`"""

    field_class = IdField


class CodeFilter(django_filters.CharFilter):
    """`?process=PRT` or `?process=3`: a code or an id, in one of `paths` (lookups on the row that is meant, like `step__process`)."""

    def __init__(self, *args: Any, paths: tuple[str, ...] = (), code: str = "code", **kwargs: Any) -> None:
        self.paths = paths
        self.code = code
        super().__init__(*args, max_length=60, **kwargs)

    def filter(self, queryset: QuerySet, value: str) -> QuerySet:
        if not value:
            return queryset
        number = value.isdecimal() and len(value) < 16
        lookups = [{f"{path}__pk": int(value)} if number else {f"{path}__{self.code}__iexact": value} for path in self.paths]
        return queryset.filter(reduce(or_, (Q(**lookup) for lookup in lookups)))


class WordsFilter(django_filters.BaseInFilter, django_filters.ChoiceFilter):
    """`?status=pending,assigned`"""


class TruthField(forms.NullBooleanField):
    """true or false; anything else is told."""

    def clean(self, value: Any) -> bool | None:
        words = {"true": True, "1": True, "false": False, "0": False, "": None}
        text = "" if value is None else str(value).strip().lower()
        if text not in words:
            raise forms.ValidationError(_("Write true or false."), code="invalid")
        return words[text]


class TruthFilter(django_filters.BooleanFilter):
    """`?late=true`"""

    field_class = TruthField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("widget", forms.TextInput)
        super().__init__(*args, **kwargs)


def refuse_unknown(request: Any, known: Iterable[str] = ()) -> None:
    """Raise InvalidInput for every query parameter that is not `known`, or has a value that no database stores."""
    names = sorted(known)
    problems = [
        InvalidInput(
            _("There is no parameter “%(name)s” here. Known: %(known)s.") % {"name": name[:40], "known": ", ".join(names) or "–"},
            field=name[:40],
            code="unknown_parameter",
        )
        for name in request.query_params
        if name not in names
    ]
    problems += [
        InvalidInput(_("%(name)s is too long or has characters that cannot be stored.") % {"name": name[:40]}, field=name[:40])
        for name, values in request.query_params.lists()
        if any("\x00" in value or len(value) > 500 for value in values)
    ]
    if problems:
        raise InvalidInput(problems=problems)


class StrictFilters(DjangoFilterBackend):
    """django-filter, and a refusal for a parameter that no filter reads: a typing error must not answer with everything."""

    def filter_queryset(self, request: Any, queryset: QuerySet, view: Any) -> QuerySet:
        filterset = self.get_filterset_class(view, queryset)
        refuse_unknown(request, {*(filterset.base_filters if filterset else ()), *pages.PARAMETERS, "ordering"})
        return super().filter_queryset(request, queryset, view)
