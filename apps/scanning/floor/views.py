"""The floor page: public files without data. Everything that it shows comes from the API, with the tokens of device and person."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.http import require_safe

from apps.scanning.codes import BadCode, Kind, decode
from apps.scanning.floor import bench_codes
from apps.scanning.floor.policy import floor_policy
from apps.scanning.floor.shell import names, shell, worker_source
from apps.scanning.floor.texts import words
from apps.workorders.models import Task, WorkOrder

_ROWS = {Kind.ORDER: WorkOrder, Kind.TASK: Task}


def _context(script: str) -> dict[str, Any]:
    modules = [name for name in names() if name.endswith(".js")]
    return {"version": shell().version, "language": settings.LANGUAGE_CODE, "script": script, "modules": modules}


@require_safe
@floor_policy
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "floor/page.html", _context("floor/app.js"))


@require_safe
@floor_policy
def bench(request: HttpRequest) -> HttpResponse:
    """Where a new scanner is tried out. It needs no sign-in: it reads codes that mean nothing."""
    return render(
        request, "floor/bench.html", _context("floor/bench.js") | {"bench_text": bench_codes.TEXT, "bench_wide": bench_codes.WIDE_TEXT}
    )


@require_safe
@floor_policy
def texts(request: HttpRequest, language: str) -> HttpResponse:
    """Everything that the page says, in one language, with the shop's words for reasons and states."""
    with override(language):
        return JsonResponse(words(), json_dumps_params={"ensure_ascii": False})


@require_safe
@floor_policy
def worker(request: HttpRequest) -> HttpResponse:
    return HttpResponse(worker_source(), content_type="text/javascript; charset=utf-8")


@require_safe
@floor_policy
def clock(request: HttpRequest) -> HttpResponse:
    """The server's time in milliseconds since 1970, for the bench."""
    return JsonResponse({"now": int(timezone.now().timestamp() * 1000)}, headers={"Cache-Control": "no-store"})


@require_safe
@floor_policy
def manifest(request: HttpRequest) -> HttpResponse:
    """What makes the page installable."""
    icons = [
        {"src": static("floor/icon-192.png"), "sizes": "192x192", "type": "image/png", "purpose": "any"},
        {"src": static("floor/icon-512.png"), "sizes": "512x512", "type": "image/png", "purpose": "any maskable"},
    ]
    body = {
        "id": reverse("floor:page"),
        "name": "Docket",
        "short_name": "Docket",
        "start_url": reverse("floor:page"),
        "scope": reverse("floor:page"),
        "display": "standalone",
        "background_color": "#12171c",
        "theme_color": "#0f7294",
        "icons": icons,
    }
    return JsonResponse(body, content_type="application/manifest+json")


@require_safe
@floor_policy
def test_qr(request: HttpRequest) -> HttpResponse:
    return HttpResponse(bench_codes.qr(), content_type="image/svg+xml")


@require_safe
@floor_policy
def test_bars(request: HttpRequest) -> HttpResponse:
    return HttpResponse(bench_codes.bars(), content_type="image/svg+xml")


@require_safe
def scanned(request: HttpRequest, code: str) -> HttpResponse:
    """`/s/T2N7`, which a phone's camera opens: office staff see the order or task, everybody else goes on to the floor page."""
    try:
        what = decode(code)
    except BadCode as refusal:
        return _nothing(request, str(refusal))
    if not (request.user.is_authenticated and request.user.is_staff) or _is_mobile(request):
        return HttpResponseRedirect(f"{reverse('floor:page')}#code={code.upper()}")
    model = _ROWS.get(what.kind)
    if model is None:
        return _nothing(request, _("This code is for scanning on the floor page, there is nothing behind it in the office."))
    row = model.objects.visible_to(request.user).filter(pk=what.number).first()
    if row is None:
        return _nothing(request, _("There is nothing behind this code that you may see. It may be gone, or it was never yours."))
    return HttpResponseRedirect(row.get_absolute_url())


def _is_mobile(request: HttpRequest) -> bool:
    return request.headers.get("Sec-CH-UA-Mobile") == "?1" or "Mobi" in request.headers.get("User-Agent", "")


def _nothing(request: HttpRequest, sentence: str) -> HttpResponse:
    return render(request, "floor/nothing.html", {"sentence": sentence}, status=404)
