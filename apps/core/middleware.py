"""Around every request: its identity on the way in, and a plain answer where the database cannot write."""

import logging
import re
from collections.abc import Callable

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from apps.core.context import new_request_id, signature, signed
from apps.core.problems import problem

GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
log = logging.getLogger("docket.request")


class RequestIdentityFilter(logging.Filter):
    """Puts the request id on every log line."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = signature().request_id or "-"
        return True


class OneLineFilter(logging.Filter):
    """Takes the traceback off a refusal (403, 404 and such): only faults of the program have one."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.") and record.levelno < logging.ERROR:
            record.exc_info = record.exc_text = None
        return True


def request_identity(get_response: Callable) -> Callable:
    """Give the request an id (the caller's, where it is a sane one) and say which door it came through.

    On a copy for load tests every answer says that it is one.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        request_id = given if GIVEN_ID.fullmatch(given) else new_request_id()
        source = "api" if request.path.startswith("/api/") else "admin"
        with signed(request_id=request_id, source=source, actor=None, reason=""):
            request.request_id = request_id
            response = get_response(request)
        response["X-Request-ID"] = request_id
        if settings.DOCKET_LOADTEST:
            response["X-Docket-Loadtest"] = "yes"
        return response

    return middleware


def storage_faults(get_response: Callable) -> Callable:
    """A locked, full or unreachable database answers 503 with `Retry-After`, never 500. Views that atomic() wrapped have rolled back."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return get_response(request)

    def process_exception(request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, OperationalError):
            return None
        log.error("storage unavailable: %s", error)
        if request.path.startswith("/api/"):
            response = problem(503, "storage_unavailable", _("Docket cannot save just now. Send the same again in a few seconds."))
        else:
            response = render(request, "503.html", status=503)
        response["Retry-After"] = "5"
        return response

    middleware.process_exception = process_exception
    return middleware
