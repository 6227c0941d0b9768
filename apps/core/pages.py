"""Pages of a list whose cost does not grow with the table: no COUNT unless asked for, no deep OFFSET, a cursor for long walks."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext as _
from rest_framework.pagination import BasePagination
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from apps.core.errors import InvalidInput

PAGE_SIZE = 20
LARGEST_PAGE = 200
DEEPEST = 10_000  # rows that `page` reaches; beyond, a cursor costs less
PARAMETERS = ("page", "page_size", "cursor", "count")


@dataclass(frozen=True)
class Key:
    """One part of an ordering: a public name, the field path behind it, and the direction. Rows without a value come last."""

    name: str
    path: str
    falling: bool

    @property
    def expression(self) -> Any:
        if self.path == "pk":
            return "-pk" if self.falling else "pk"
        return F(self.path).desc(nulls_last=True) if self.falling else F(self.path).asc(nulls_last=True)

    def __str__(self) -> str:
        return f"-{self.name}" if self.falling else self.name


def ordering_of(view: Any, request: Any) -> list[Key]:
    """The keys that `ordering` asks for, or the view's default, always ending in the primary key. Raises InvalidInput."""
    allowed: dict[str, str] = view.orderings
    keys: list[Key] = []
    for word in filter(None, request.query_params.get("ordering", "").split(",") or []):
        name = word.strip().removeprefix("-")
        if name not in allowed:
            raise InvalidInput(
                _("The list cannot be ordered by “%(name)s”. Use one of: %(allowed)s.")
                % {"name": name[:40], "allowed": ", ".join(allowed)},
                field="ordering",
                code="unknown_ordering",
            )
        if name not in {key.name for key in keys}:
            keys.append(Key(name, allowed[name], word.strip().startswith("-")))
    if not keys:
        first = view.default_ordering
        keys = [Key(first.removeprefix("-"), allowed[first.removeprefix("-")], first.startswith("-"))]
    if keys[-1].path != "pk":
        keys.append(Key("id", "pk", keys[-1].falling))
    return keys


class Pages(BasePagination):
    """`{next, previous, results}`, with `count` where it is known anyway or asked for with `count=1`."""

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> list:
        self.request = request
        self.keys = ordering_of(view, request)
        self.size = _whole(request, "page_size", PAGE_SIZE, LARGEST_PAGE)
        self.total = queryset.order_by().count() if _flag(request, "count") else None
        self.cursor = request.query_params.get("cursor")
        self.page = 1
        start = 0
        if self.cursor is None:
            self.page = _whole(request, "page", 1, 10**9)
            start = (self.page - 1) * self.size
            if start + self.size > DEEPEST:
                raise InvalidInput(
                    _("Pages reach %(rows)s rows. Go further with cursor= (empty to begin) and follow `next`.") % {"rows": DEEPEST},
                    field="page",
                    code="too_deep",
                )
        elif "page" in request.query_params:
            raise InvalidInput(_("Send page or cursor, not both."), field="cursor", code="page_and_cursor")
        elif self.cursor:
            queryset = queryset.filter(_after(self.keys, _values(queryset.model, self.keys, self.cursor)))
        rows = self._rows(queryset, view, start)
        self.has_next = len(rows) > self.size
        self.rows = rows[: self.size]
        if self.total is None and self.cursor is None and not self.has_next and (rows or self.page == 1):
            self.total = start + len(rows)
        return self.rows

    def _rows(self, queryset: Any, view: Any, start: int) -> list:
        """The page's rows and one more, in two queries: what is sorted is narrow, what a row shows is loaded for the page only.

        In one, PostgreSQL joins the whole table before it looks which rows are meant: it plans eight tables at a time.
        """
        order = [key.expression for key in self.keys]
        page = list(queryset.order_by(*order).values_list("pk", flat=True)[start : start + self.size + 1])
        return list(view.rows(queryset.model._default_manager.filter(pk__in=page)).order_by(*order))

    def get_paginated_response(self, data: Any) -> Response:
        count = {} if self.total is None else {"count": self.total}
        return Response(count | {"next": self._next(), "previous": self._previous(), "results": data})

    def _next(self) -> str | None:
        if not self.has_next:
            return None
        here = self.request.build_absolute_uri()
        if self.cursor is not None:
            return replace_query_param(here, "cursor", _cursor(self.keys, self.rows[-1]))
        if (self.page + 1) * self.size > DEEPEST:
            return replace_query_param(remove_query_param(here, "page"), "cursor", _cursor(self.keys, self.rows[-1]))
        return replace_query_param(here, "page", self.page + 1)

    def _previous(self) -> str | None:
        if self.cursor is not None or self.page == 1:
            return None
        return replace_query_param(self.request.build_absolute_uri(), "page", self.page - 1)

    def get_paginated_response_schema(self, schema: dict) -> dict:
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "count": {"type": "integer", "description": "Only where it is known anyway, or with count=1.", "example": 42},
                "next": link | {"example": "https://docket.example.com/api/tasks/?page=2"},
                "previous": link | {"example": None},
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict]:
        def parameter(name: str, kind: dict, text: str) -> dict:
            return {"name": name, "required": False, "in": "query", "description": text, "schema": kind}

        one = f"-?({'|'.join(view.orderings)})"
        return [
            parameter("page", {"type": "integer", "minimum": 1, "maximum": DEEPEST}, f"Pages reach {DEEPEST} rows."),
            parameter("page_size", {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE_SIZE}, "Rows of a page."),
            parameter("cursor", {"type": "string"}, "For long walks: empty to begin, then follow `next`."),
            parameter("count", {"type": "string", "enum": ["1", "0", "true", "false"]}, "1: count all rows as well."),
            parameter(
                "ordering",
                {"type": "string", "pattern": f"^({one}(,{one})*)?$"},
                f"One or more of {', '.join(view.orderings)}, with commas; - turns it round.",
            ),
        ]


def _whole(request: Any, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.isdecimal() and len(text) < 12 and 1 <= int(text) <= most:
        return int(text)
    raise InvalidInput(_("%(name)s must be a whole number from 1 to %(most)s.") % {"name": name, "most": most}, field=name, code="invalid")


def _flag(request: Any, name: str) -> bool:
    text = request.query_params.get(name, "0").lower()
    if text not in ("0", "1", "true", "false"):
        raise InvalidInput(_("%(name)s must be 1 or 0.") % {"name": name}, field=name, code="invalid")
    return text in ("1", "true")


def _value(row: Any, path: str) -> Any:
    for name in path.split("__"):
        row = getattr(row, name, None)
    return row


def _cursor(keys: Sequence[Key], row: Any) -> str:
    values = [_value(row, key.path) for key in keys]
    text = json.dumps([",".join(map(str, keys)), *(value if isinstance(value, int | None) else str(value) for value in values)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _values(model: type[models.Model], keys: Sequence[Key], cursor: str) -> list:
    """What the cursor points behind, as Python values. Whatever was tampered with reads as a wrong cursor."""
    try:
        ordering, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if ordering != ",".join(map(str, keys)) or len(values) != len(keys) or isinstance(values[-1], bool | None):
            raise ValueError(ordering)
        read = [None if value is None else _field(model, key.path).to_python(value) for key, value in zip(keys, values, strict=True)]
        if any(isinstance(value, int) and abs(value) >= 2**63 for value in read):
            raise ValueError(read)
        return read
    except (ValueError, TypeError, ValidationError, binascii.Error, RecursionError) as error:
        raise InvalidInput(
            _("This cursor is not one of this list and ordering. Begin again with an empty cursor=."), field="cursor", code="bad_cursor"
        ) from error


def _field(model: type[models.Model], path: str) -> Any:
    *relations, last = path.split("__")
    for name in relations:
        model = model._meta.get_field(name).related_model
    return model._meta.pk if last == "pk" else model._meta.get_field(last)


def _after(keys: Sequence[Key], values: Sequence[Any]) -> Q:
    """The rows behind `values` in the ordering of `keys`."""
    after, same = Q(pk__in=[]), Q()
    for key, value in zip(keys, values, strict=True):
        if value is None:  # nothing but more rows without a value comes behind
            same &= Q(**{f"{key.path}__isnull": True})
            continue
        behind = Q(**{f"{key.path}__{'lt' if key.falling else 'gt'}": value})
        if key.path != "pk":
            behind |= Q(**{f"{key.path}__isnull": True})
        after |= same & behind
        same &= Q(**{key.path: value})
    return after
