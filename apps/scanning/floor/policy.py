"""What a browser may do on the floor's pages: nothing but our own files and our own API, and no script or style in a page."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
        "media-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)


def floor_policy(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Answer with the strict policy, and have every visit ask whether the page is still the newest."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response["Content-Security-Policy"] = POLICY
        response.setdefault("Cache-Control", "no-cache")
        return response

    return guarded
