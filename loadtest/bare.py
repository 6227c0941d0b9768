"""Django and nothing of Docket's: no middleware, one JSON view, and one that writes two rows. What Docket's pages are measured against."""

import json
import os
import uuid

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "loadtest.bare_settings")

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

application = get_wsgi_application()

from django.db import transaction  # noqa: E402  (settings are read above)
from django.db.models import F  # noqa: E402  (settings are read above)

from apps.core.models import Bucket, IdempotencyKey  # noqa: E402  (settings are read above)

OWNER = "baseline"
BUCKETS = 200  # so that writers do not wait for one row


def answered(values: dict) -> JsonResponse:
    """With its length, which a middleware says elsewhere: the connection is kept."""
    response = JsonResponse(values)
    response["Content-Length"] = str(len(response.content))
    return response


def plain(request: HttpRequest) -> JsonResponse:
    return answered({"status": "ok"})


def write(request: HttpRequest) -> JsonResponse:
    """One UPDATE and one INSERT in one transaction, spread over many rows."""
    key = uuid.uuid4()
    with transaction.atomic():
        Bucket.objects.filter(key=f"{OWNER}:{key.int % BUCKETS}").update(tokens=F("tokens") + 1)
        IdempotencyKey.objects.create(owner=OWNER, key=str(key), fingerprint="", status=200)
    return answered(json.loads(request.body))


urlpatterns = [path("health/", plain), path("plain/", plain), path("write/", write)]
