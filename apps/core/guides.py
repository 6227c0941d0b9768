"""The guide for makers of handhelds, served beside the API's own pages, so that it can be reached where Docket runs."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from rest_framework.permissions import IsAuthenticated
from rest_framework.views import APIView


class HandheldGuide(APIView):
    """project/docs/handhelds.md as it is, for whoever is signed in."""

    permission_classes = [IsAuthenticated]
    schema = None

    def get(self, request: Any) -> HttpResponse:
        text = (settings.BASE_DIR / "project" / "docs" / "handhelds.md").read_text(encoding="utf-8")
        return HttpResponse(text, content_type="text/plain; charset=utf-8")
