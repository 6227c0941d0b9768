"""What every view of the API stands on: scope, rights, limits, ETags, idempotent commands."""

import hashlib
import re
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from apps.core import idempotency
from apps.core.context import signed
from apps.core.errors import StaleEdit, TooManyTries
from apps.core.filters import StrictFilters
from apps.core.problems import NoPrecondition
from apps.core.shapes import Body, Nothing
from apps.core.throttle import take

SAFE = ("GET", "HEAD")
KEY_PARAMETER = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": f"^[!-~]{{1,{idempotency.LONGEST}}}$"},
    OpenApiParameter.HEADER,
    description="Any text of 1 to 128 plain characters. The same key and body answers what the first one answered and does nothing more.",
)


class MaySee(BasePermission):
    """The role opens the list: `view` of the model. Which rows, `visible_to` says."""

    def has_permission(self, request: Any, view: Any) -> bool:
        meta = view.model._meta
        return request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}")


def device_of(request: Any) -> Any:
    """The handheld that sends the request, None for anybody else. No query."""
    return getattr(request.auth, "device", None)


class AccountThrottle(BaseThrottle):
    """So many requests a minute for each account, and for each handheld that nobody is signed in on. Never for each address:
    a whole factory shares one.

    Commands are counted in the database, right for any number of processes. Reading is counted in the cache, so that it writes nothing.
    """

    def allow_request(self, request: Any, view: Any) -> bool:
        most, device = settings.DOCKET_API_PER_MINUTE, device_of(request)
        if request.user.is_authenticated:
            who = f"{request.user.pk}"
        elif device is not None:
            who = f"device:{device.pk}"
        else:
            return True
        if request.method not in SAFE:
            take(f"api:{who}", burst=most, per_minute=most)
            return True
        minute, passed = divmod(time.time(), 60)
        if _seen(f"api-reads:{who}:{minute:.0f}") > most:
            wait = 60 - int(passed)
            raise TooManyTries(_("Too many requests. Wait %(seconds)s seconds and try again.") % {"seconds": wait}, wait=wait)
        return True


def _seen(key: str) -> int:
    cache.add(key, 0, 120)
    try:
        return cache.incr(key)
    except ValueError:  # the cache dropped it between the two
        return 1


class ApiMixin:
    """A view of the API. Each POST runs once for each Idempotency-Key; what a handheld sends is signed with its name.

    `takes_device` opens the view (or one action of it) to a handheld that nobody is signed in on. `takes_key` is false where
    a refusal has to leave its mark, as a wrong PIN does: the key's transaction would take that back.
    """

    throttle_classes = [AccountThrottle]
    metadata_class = None
    takes_device = False
    takes_key = True

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        name = request.method.lower()
        handler = getattr(self, name, None)
        if handler is None or request.method in SAFE:
            return
        device = device_of(request)
        once = name == "post" and self.takes_key and request.user.is_authenticated

        def run(*a: Any, **k: Any) -> Response:
            with signed(device=device.name if device else ""):
                return idempotency.once(request, lambda: handler(*a, **k)) if once else handler(*a, **k)

        setattr(self, name, run)

    def finalize_response(self, request: Any, response: HttpResponse, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-cache")
        response.headers["Vary"] = "Accept-Language, Authorization, Cookie, Origin"
        return response

    def body(self, shape: type[Body], **kwargs: Any) -> dict:
        """The request's body, checked by `shape`."""
        serializer = shape(data=self.request.data, context={"request": self.request}, **kwargs)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data


class ApiView(ApiMixin, APIView):
    """A view that is no list of rows."""

    permission_classes = [IsAuthenticated]


class ScopedViewSet(ApiMixin, viewsets.GenericViewSet):
    """Rows of one scoped model. Every request starts from what its user may see; out of sight reads as absent.

    Subclasses say `model`, `serializer_class`, `filterset_class`, `orderings` (public name -> field path), and in `rows` and
    `row` what to load for a list and for one.
    """

    model: Any
    filterset_class: Any = None
    orderings: dict[str, str] = {"id": "pk"}
    default_ordering = "-id"
    detail_serializer_class: Any = None
    permission_classes = [IsAuthenticated, MaySee]
    filter_backends = [StrictFilters]
    lookup_value_regex = "[0-9]{1,18}"

    def get_queryset(self) -> QuerySet:
        if getattr(self, "swagger_fake_view", False):
            return self.model.objects.none()
        return self.model.objects.visible_to(self.request.user)

    def rows(self, queryset: QuerySet) -> QuerySet:
        """What a page of the list loads, once it is known which rows are on it."""
        return queryset

    def row(self, queryset: QuerySet) -> QuerySet:
        """What one row loads."""
        return self.rows(queryset)

    def get_object(self) -> Any:
        """The row of the address, among those that the user sees; else 404."""
        return get_object_or_404(self.row(self.get_queryset()), pk=self.kwargs["pk"])

    def target(self) -> Any:
        """The row of the address for a verb, which reads it again under its lock: nothing beside it is loaded."""
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def shown(self, row: Any, *, status: int = 200) -> Response:
        """The answer that shows one row, with its ETag."""
        serializer = (self.detail_serializer_class or self.get_serializer_class())(row, context=self.get_serializer_context())
        response = Response(serializer.data, status=status)
        if hasattr(row, "version"):
            response["ETag"] = etag(row, serializer.data)
        return response

    def done(self, row: Any, *, status: int = 200) -> Response:
        """The answer to a command: the row as it is now, as far as its user still sees it."""
        visible = self.row(self.get_queryset()).filter(pk=row.pk).first()
        if visible is None:
            return Response({"id": row.pk, "status": getattr(row, "status", ""), "version": row.version, "visible": False}, status=status)
        return self.shown(visible, status=status)


class ListView(mixins.ListModelMixin):
    """GET of the list."""


class DetailView:
    """GET of one row, with `If-None-Match`."""

    def retrieve(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        response = self.shown(self.get_object())
        known = {tag.removeprefix("W/") for tag in re.split(r",\s*", request.headers.get("If-None-Match", ""))}
        if response.get("ETag") in known:
            return Response(status=304, headers={"ETag": response["ETag"]})
        return response


def etag(row: Any, shown: Any) -> str:
    """`"12.5.3f9a1c2b7d"`: the row, its version (what If-Match compares) and what was shown of everything around it."""
    digest = hashlib.sha256(repr(shown).encode()).hexdigest()[:16]
    return f'"{row.pk}.{row.version}.{digest}"'


def expected_version(request: Any, row: Any, current: Callable[[], Any]) -> int:
    """The version that the edit was made from, by If-Match. Raises NoPrecondition without one, StaleEdit for an old one.

    `current()` is the state to show to who has an old one.
    """
    header = request.headers.get("If-Match", "")
    tags = re.findall(r'"(\d{1,18})\.(\d{1,9})\.[0-9a-f]{16}"', header)
    if not tags:
        raise NoPrecondition(_("Send If-Match with the ETag of what you edited, so that nobody's work is overwritten."), field="If-Match")
    versions = {int(version) for pk, version in tags if int(pk) == row.pk}
    if row.version not in versions:
        raise StaleEdit(_("Somebody changed it meanwhile. Look at `current`, and edit that."), field="If-Match", current=current())
    return row.version


def command(
    body: type[Body] = Nothing,
    answer: Any = None,
    *,
    example: dict | None = None,
    summary: str = "",
    path: str = "",
    detail: bool = True,
    status: int = 200,
    others: dict[int, Any] | None = None,
) -> Callable:
    """A POST that does one verb: its route (`path`, or the method's name), and its place in the schema with `others` it answers."""

    def decorate(method: Callable) -> Callable:
        examples = [OpenApiExample("body", value=example, request_only=True)] if example is not None else []
        route = action(detail=detail, methods=["post"], url_path=path or method.__name__, pagination_class=None, filter_backends=[])
        return extend_schema(
            summary=summary or method.__name__.replace("_", " ").capitalize(),
            request=None if body is Nothing else body,
            responses={status: answer} | (others or {}) if answer is not None else None,
            examples=examples,
            parameters=[KEY_PARAMETER],
            filters=False,
        )(route(method))

    return decorate
