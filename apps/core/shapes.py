"""What a JSON body may look like: strict pieces for serializers, so that a mistake is told and never guessed at."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.drainage import set_override
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.errors import InvalidInput

LARGEST_NUMBER = 2**53 - 1  # what JSON readers agree on


class Body(serializers.Serializer):
    """A JSON object of known members only: a misspelt name is told, not ignored."""

    default_error_messages = {
        "invalid": gettext_lazy("Send a JSON object: members in braces."),
        "unknown_field": gettext_lazy("There is no field of this name here. Known fields: %(known)s."),
    }

    def to_internal_value(self, data: Any) -> dict:
        if isinstance(data, Mapping):
            known = [name for name, field in self.fields.items() if not field.read_only]
            unknown = [name for name in data if name not in known]
            if unknown:
                sentence = str(self.error_messages["unknown_field"]) % {"known": ", ".join(known) or "-"}
                raise serializers.ValidationError(
                    {str(name)[:60]: [serializers.ErrorDetail(sentence, code="unknown_field")] for name in unknown[:10]}
                )
        return super().to_internal_value(data)


class Nothing(Body):
    """The command needs no more than its address."""


class Text(serializers.CharField):
    """A JSON string. A number or a truth value is a mistake, not a text. Empty only where `allow_blank`."""

    def __init__(self, **kwargs: Any) -> None:
        if not kwargs.get("allow_blank"):
            kwargs.setdefault("min_length", 1)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """A whole number: as a JSON number, or in digits of any script. `true`, 1.5 and "1e3" are none."""

    default_error_messages = {"invalid": gettext_lazy("Enter a whole number, like 500.")}

    def __init__(self, *, max_value: int = LARGEST_NUMBER, **kwargs: Any) -> None:
        super().__init__(max_value=max_value, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and len(data) <= 20 and data.strip().isdecimal():
            data = int(data.strip())
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return data


@extend_schema_field({"type": "string", "format": "decimal", "pattern": r"^(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)$"})
class Percent(serializers.DecimalField):
    """From 0 to 100, with at most two decimals."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(5, 2, min_value=0, max_value=100, **kwargs)


@extend_schema_field({"type": "string", "format": "decimal", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})?$"})
class Amount(serializers.DecimalField):
    """How much of a material: not negative, with at most three decimals."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(12, 3, min_value=0, **kwargs)


class Truth(serializers.BooleanField):
    """true or false, nothing else."""

    default_error_messages = {"invalid": gettext_lazy("Enter true or false.")}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


@extend_schema_field(
    {"oneOf": [{"type": "integer", "minimum": 1, "maximum": LARGEST_NUMBER}, {"type": "string", "minLength": 1, "maxLength": 60}]}
)
class Reference(serializers.Field):
    """Points to a row: its id as a number, or its code as a text. `resolve` finds it among the rows that the user sees."""

    default_error_messages = {"invalid": gettext_lazy("Enter an id (a number) or a code (a text).")}

    def to_internal_value(self, data: Any) -> int | str:
        if isinstance(data, str) and 0 < len(data.strip()) <= 60:
            return data.strip()
        if isinstance(data, int) and not isinstance(data, bool) and 0 < data <= LARGEST_NUMBER:
            return data
        self.fail("invalid")
        return ""

    def to_representation(self, value: Any) -> Any:
        return value


class Choice(serializers.Field):
    """One of a closed set, by its name in lower case or by its value: priority "urgent" or 4."""

    default_error_messages = {"invalid_choice": gettext_lazy("Use one of: %(allowed)s.")}

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        self.by_name = {member.name.lower(): member for member in choices}
        self.by_value = {member.value: member for member in choices}
        told = [{"type": "string", "enum": list(self.by_name)}, {"type": "integer", "enum": list(self.by_value)}]
        set_override(self, "field", {"oneOf": told})
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str) and data.strip().lower() in self.by_name:
            return self.by_name[data.strip().lower()]
        if isinstance(data, str | int) and not isinstance(data, bool) and data in self.by_value:
            return self.by_value[data]
        message = str(self.error_messages["invalid_choice"]) % {"allowed": ", ".join(self.by_name)}
        raise serializers.ValidationError(message, code="invalid_choice")

    def to_representation(self, value: Any) -> Any:
        return self.by_value[value].name.lower()


def resolve(wanted: Mapping[str, int | str], rows: QuerySet, *, code: str = "code") -> dict[str, Any]:
    """The row behind each reference, by the field that named it, among `rows` (already what the user sees). One query.

    Raises InvalidInput that names every field whose row is absent or out of sight, in the same words for both.
    """
    ids = {value for value in wanted.values() if isinstance(value, int)}
    codes = {value for value in wanted.values() if isinstance(value, str)}
    found: dict[int | str, Any] = {}
    if ids:
        found |= {row.pk: row for row in rows.filter(pk__in=ids)}
    if codes:
        found |= {getattr(row, code): row for row in rows.filter(**{f"{code}__in": codes})}
    problems = [
        InvalidInput(
            _("There is no %(kind)s “%(value)s” that you may use.") % {"kind": rows.model._meta.verbose_name, "value": value},
            field=field,
            code="unknown",
        )
        for field, value in wanted.items()
        if value not in found
    ]
    if problems:
        raise InvalidInput(problems=problems)
    return {field: found[value] for field, value in wanted.items()}
