"""The model's own checks, told in the services' way."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from apps.core.errors import InvalidInput, RuleError


def validated(instance: Any, *, exclude: Iterable[str] = ()) -> None:
    """Run `full_clean`. Raises InvalidInput with every problem, field by field."""
    try:
        instance.full_clean(exclude=set(exclude))
    except ValidationError as error:
        raise InvalidInput(
            problems=[
                RuleError(message, field="" if name == NON_FIELD_ERRORS else name, code="invalid")
                for name, messages in error.message_dict.items()
                for message in messages
            ]
        ) from error
