"""What a browser may do on each page: only our own files run, and no script that stands in a page itself.

Django has this built in from 6.0 on; django-csp has one policy for a whole site, where here each door has its own.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

HEADER = "Content-Security-Policy"
CLOSED = ("base-uri 'none'", "frame-ancestors 'none'", "object-src 'none'")
# Alpine, which draws unfold's menus and dialogs, makes functions of the attributes in the page: hence 'unsafe-eval'. Its
# styles stand in attributes too. Scripts never do.
OFFICE = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "form-action 'self'",
        *CLOSED,
    )
)
# Swagger UI and ReDoc: their pictures are in their code, and ReDoc searches in a worker that it makes of a text.
DOCS = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src blob:",
        "form-action 'none'",
        *CLOSED,
    )
)
# Answers for programs: whoever opens one in a browser sees text.
DATA = "; ".join(("default-src 'none'", "form-action 'none'", *CLOSED))
DOORS = (("/api/docs/", DOCS), ("/api/redoc/", DOCS), ("/api/", DATA), ("/health/", DATA), ("/metrics", DATA))


def policy_of(path: str) -> str:
    """The policy of an address: of its door, or the office's."""
    return next((policy for beginning, policy in DOORS if path.startswith(beginning)), OFFICE)


def content_policy(get_response: Callable) -> Callable:
    """Every answer says what a browser may do with it; a view's own, stricter word stands."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.setdefault(HEADER, policy_of(request.path_info))
        return response

    return middleware
