"""Every refusal of the API as RFC 9457 `application/problem+json`. The one place that knows which rule is which HTTP status."""

import json
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ObjectDoesNotExist, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as ModelInvalid
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views import defaults
from rest_framework import exceptions
from rest_framework.utils.encoders import JSONEncoder

from apps.core.errors import InvalidInput, NotAllowed, Outdated, OutOfSight, RuleError, StaleEdit, TooManyTries

CONTENT_TYPE = "application/problem+json"
# Whether sending the same again can help: never, with the same Idempotency-Key, with a new one, or after signing in.
RETRY = {
    401: "after_login",
    410: "new_key",
    412: "new_key",
    422: "new_key",
    428: "new_key",
    429: "same_key",
    500: "same_key",
    503: "same_key",
}
MEMBERS = {"type", "title", "status", "detail", "code", "errors", "retry"}
_NON_FIELD = {NON_FIELD_ERRORS, "non_field_errors"}


class TooLarge(InvalidInput):
    """The body is larger than any command of the API needs."""

    code = "too_large"


class KeyReused(RuleError):
    """An Idempotency-Key that came before, with another request behind it."""

    code = "key_reused"


class InFlight(RuleError):
    """The first request with this Idempotency-Key still runs."""

    code = "in_flight"


class NoPrecondition(RuleError):
    """An edit that does not say which version it was made from."""

    code = "precondition_required"


def problem(
    status: int,
    code: str,
    detail: Any,
    *,
    errors: Iterable[dict] = (),
    retry: str = "",
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """One problem. `detail` is a whole sentence that says what to do; `errors` are {field, code, detail}."""
    members = {f"current_{name}" if name in MEMBERS else name: value for name, value in (extra or {}).items()}
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": str(detail),
        "code": code,
        "errors": list(errors),
        "retry": retry or RETRY.get(status, "never"),
    } | members
    return HttpResponse(
        json.dumps(body, cls=JSONEncoder, ensure_ascii=False),
        status=status,
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store"} | dict(headers or {}),
    )


def handle(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's EXCEPTION_HANDLER. None for a bug or a storage fault, which the site's own handlers answer."""
    if isinstance(error, RuleError):
        return _rule(error)
    if isinstance(error, exceptions.APIException):
        return _api_exception(error)
    if isinstance(error, PermissionDenied):
        return problem(403, "not_allowed", str(error) or _not_allowed())
    if isinstance(error, Http404 | ObjectDoesNotExist):
        return problem(404, "not_found", _nothing_here())
    if isinstance(error, ModelInvalid):
        return _invalid(list(_of_model(error)))
    if isinstance(error, RequestDataTooBig):
        return _too_large()
    if isinstance(error, SuspiciousOperation):
        return problem(400, "malformed", _("The request cannot be understood. Check its address and headers."))
    return None


def _too_large() -> HttpResponse:
    return problem(413, "too_large", _("The body is too large. Send less at once."))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler404, and the answer of every unknown address under /api/."""
    if not request.path.startswith("/api/"):
        return defaults.page_not_found(request, exception)
    path = request.path[:200]
    if path.endswith("/"):
        return problem(404, "not_found", _("There is nothing at %(path)s. See /api/docs/ for what there is.") % {"path": path})
    return problem(404, "not_found", _("There is nothing at %(path)s. Addresses end with a slash.") % {"path": path})


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500."""
    if not request.path.startswith("/api/"):
        return defaults.server_error(request)
    return problem(
        500,
        "fault",
        _("Docket made a mistake. Nothing was saved. Try again; if it stays, tell the administrator the number %(id)s.")
        % {"id": getattr(request, "request_id", "-")},
    )


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler400: what Django refused before any view saw it."""
    if not request.path.startswith("/api/"):
        return defaults.bad_request(request, exception)
    if isinstance(exception, RequestDataTooBig):
        return _too_large()
    return problem(400, "malformed", _("The request cannot be understood. Check its address and headers."))


def _nothing_here() -> str:
    return _("There is nothing here that you may see. It may be gone, or it was never yours.")


def _not_allowed() -> str:
    return _("You may not do this. Ask your supervisor or the administrator.")


_RULE_STATUS: dict[type[RuleError], int] = {
    TooLarge: 413,
    InvalidInput: 400,
    Outdated: 410,
    NotAllowed: 403,
    OutOfSight: 404,
    StaleEdit: 412,
    NoPrecondition: 428,
    KeyReused: 422,
    TooManyTries: 429,
}


def _rule(error: RuleError) -> HttpResponse:
    status = next((code for kind, code in _RULE_STATUS.items() if isinstance(error, kind)), 409)
    found = error.problems if isinstance(error, InvalidInput) else [error]
    errors = [{"field": one.field, "code": one.code, "detail": str(one.message)} for one in found if one.field or one is not error]
    headers = {"Retry-After": str(error.wait)} if isinstance(error, TooManyTries) else {}
    retry = ""
    if isinstance(error, InFlight):
        headers, retry = {"Retry-After": "1"}, "same_key"
    return problem(status, error.code, error.message, errors=errors, retry=retry, headers=headers, extra=error.extra)


def _api_exception(error: exceptions.APIException) -> HttpResponse:
    if isinstance(error, exceptions.ValidationError):
        return _invalid(list(_flat(error.detail)))
    detail = error.detail if isinstance(error.detail, str) else ""
    code = getattr(detail, "code", "") or error.default_code
    if isinstance(error, exceptions.AuthenticationFailed | exceptions.NotAuthenticated):
        if isinstance(error, exceptions.NotAuthenticated):
            code, detail = "not_signed_in", _("You are not signed in. Sign in and send the token with every request.")
        retry = "never" if code == "bad_credentials" else ""
        return problem(401, code, detail, retry=retry, headers={"WWW-Authenticate": 'Token realm="Docket"'})
    if isinstance(error, exceptions.PermissionDenied):
        if detail.startswith("CSRF"):
            return problem(403, "csrf", _("The session's CSRF token is missing or wrong. Send it in X-CSRFToken, or use an access token."))
        if code != error.default_code:
            return problem(403, code, detail, retry="after_login" if code == "badge_needed" else "")
        return problem(403, "not_allowed", detail if error.detail != error.default_detail else _not_allowed())
    if isinstance(error, exceptions.NotFound):
        return problem(404, "not_found", _nothing_here())
    if isinstance(error, exceptions.MethodNotAllowed):
        return problem(405, "method_not_allowed", _("This address does not take this method. See /api/docs/ for those that it takes."))
    if isinstance(error, exceptions.NotAcceptable):
        return problem(406, "not_acceptable", _("The API answers application/json. Accept that."))
    if isinstance(error, exceptions.UnsupportedMediaType):
        return problem(415, "unsupported_media_type", _("The API reads JSON. Send it with Content-Type: application/json."))
    return problem(error.status_code, "malformed" if error.status_code == 400 else code, detail)


def _invalid(errors: list[dict]) -> HttpResponse:
    if len(errors) == 1:
        detail = errors[0]["detail"]
    else:
        fields = ", ".join(dict.fromkeys(error["field"] for error in errors if error["field"]))
        detail = _("%(count)s things are wrong: %(fields)s. Correct them and send it again.") % {"count": len(errors), "fields": fields}
    return problem(400, "invalid", detail, errors=errors)


def _flat(detail: Any, field: str = "") -> Iterator[dict]:
    """DRF's nested errors as a flat list; `lines.0.quantity` is the quantity of the first line."""
    if isinstance(detail, dict):
        for name, below in detail.items():
            path = field if name in _NON_FIELD else f"{field}.{name}" if field else str(name)
            yield from _flat(below, path)
    elif isinstance(detail, list):
        for position, below in enumerate(detail):
            nested = isinstance(below, dict | list)
            yield from _flat(below, f"{field}.{position}" if nested and field else field)
    else:
        yield {"field": field, "code": getattr(detail, "code", "") or "invalid", "detail": str(detail)}


def _of_model(error: ModelInvalid) -> Iterator[dict]:
    by_field = error.error_dict if hasattr(error, "error_dict") else {"": error.error_list}
    for field, found in by_field.items():
        for one in found:
            sentence = " ".join(one.messages)
            yield {"field": "" if field in _NON_FIELD else field, "code": one.code or "invalid", "detail": sentence}
