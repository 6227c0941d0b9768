"""Reads JSON bodies, and refuses everything that would surprise a database or a person further in."""

import json
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import parsers

from apps.core.errors import InvalidInput
from apps.core.problems import TooLarge

LARGEST_BODY = 64 * 1024
DEEPEST = 20


class StrictJSON(parsers.JSONParser):
    """A JSON object in UTF-8, without NaN, without NUL or lone surrogates, at most 64 KiB and 20 levels deep.

    A subclass may take more at once, and leave it to its view what is in the texts (`checks_texts`).
    """

    largest = LARGEST_BODY
    checks_texts = True

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict:
        raw = stream.read(self.largest + 1)
        if len(raw) > self.largest:
            raise TooLarge(_("The body is too large. Send at most %(limit)s bytes at once.") % {"limit": self.largest})
        if not raw.strip():
            return {}
        try:
            value = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_constant)
        except UnicodeDecodeError as error:
            raise InvalidInput(_("The body is not UTF-8 text. Encode it in UTF-8."), code="malformed") from error
        except (ValueError, RecursionError) as error:
            where = f" ({error.msg}, line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
            raise InvalidInput(_("The body is not JSON that can be read%(where)s.") % {"where": where}, code="malformed") from error
        if not isinstance(value, dict):
            raise InvalidInput(_("The body is not a JSON object. Send members in braces."), code="invalid")
        if self.checks_texts:
            _check(value)
        return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _check(value: Any, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise InvalidInput(_("The body is nested more than %(levels)s levels deep.") % {"levels": DEEPEST}, code="malformed")
    if isinstance(value, dict):
        for name, below in value.items():
            _check(name, depth)
            _check(below, depth + 1)
    elif isinstance(value, list):
        for below in value:
            _check(below, depth + 1)
    elif isinstance(value, str) and any(letter == "\x00" or "\ud800" <= letter <= "\udfff" for letter in value):
        raise InvalidInput(_("A text in the body has characters that cannot be stored (NUL or half a character)."), code="malformed")
