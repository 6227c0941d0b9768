"""The model's own checks, told in the services' way."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import ForeignKey

from apps.core.errors import InvalidInput, RuleError


def validated(instance: Any, *, exclude: Iterable[str] = ()) -> None:
    """Run `full_clean`. Raises InvalidInput with every problem, field by field."""
    try:
        instance.full_clean(exclude=set(exclude))
    except ValidationError as error:
        raise _told(error) from error


def refusals(instances: Sequence[Any], *, exclude: Iterable[str] = ()) -> list[InvalidInput | None]:
    """What is wrong with each of these unsaved rows of one model, None for a good one: one query for each foreign key, none for a row.

    Unlike `validated`, constraints and unique columns are left to the database.
    """
    fields, left_out = instances[0]._meta.concrete_fields if instances else (), set(exclude)
    keys = [field for field in fields if isinstance(field, ForeignKey) and field.name not in left_out]
    known = {field: _known(field, {getattr(one, field.attname) for one in instances} - {None}) for field in keys}
    return [_refusal(one, known, left_out) for one in instances]


def _known(field: ForeignKey, values: set[Any]) -> set[Any]:
    """Which of the values `field` may point to."""
    if not values:
        return set()
    name = field.target_field.name
    rows = field.remote_field.model._base_manager.filter(**{f"{name}__in": values}).complex_filter(field.get_limit_choices_to())
    return set(rows.values_list(name, flat=True))


def _refusal(instance: Any, known: dict[ForeignKey, set[Any]], exclude: set[str]) -> InvalidInput | None:
    problems: dict[str, list[str]] = {}
    present = {field: value for field in known if (value := getattr(instance, field.attname)) is not None}
    for field, value in present.items():
        if value not in known[field]:
            told = {
                "model": field.remote_field.model._meta.verbose_name,
                "pk": value,
                "field": field.remote_field.field_name,
                "value": value,
            }
            problems[field.name] = [str(field.error_messages["invalid"]) % told]
    try:
        instance.clean_fields(exclude=exclude | {field.name for field in present})
        instance.clean()
    except ValidationError as error:
        problems = error.update_error_dict(problems)
    return _told(ValidationError(problems)) if problems else None


def _told(error: ValidationError) -> InvalidInput:
    return InvalidInput(
        problems=[
            RuleError(message, field="" if name == NON_FIELD_ERRORS else name, code="invalid")
            for name, messages in error.message_dict.items()
            for message in messages
        ]
    )
