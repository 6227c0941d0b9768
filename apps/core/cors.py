"""Cross-origin calls of the API, for the configured origins only. Tokens travel in a header, so cookies are never allowed."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

SENT = "Authorization, Content-Type, Accept-Language, Idempotency-Key, If-Match, If-None-Match, X-Request-ID"
READ = "ETag, Idempotent-Replayed, Location, Retry-After, X-Request-ID"


def cors(get_response: Callable) -> Callable:
    """Answer preflights under /api/ and mark its answers as readable for the caller's origin."""

    def middleware(request: HttpRequest) -> HttpResponse:
        origin = request.headers.get("Origin", "")
        if not request.path.startswith("/api/") or origin not in settings.CORS_ALLOWED_ORIGINS:
            return get_response(request)
        preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response = HttpResponse(status=204) if preflight else get_response(request)
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Expose-Headers"] = READ
        if preflight:
            response["Access-Control-Allow-Methods"] = "GET, POST, PATCH, DELETE"
            response["Access-Control-Allow-Headers"] = SENT
            response["Access-Control-Max-Age"] = "3600"
            response["Vary"] = "Origin"
        return response

    return middleware
