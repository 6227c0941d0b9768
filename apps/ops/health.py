"""What load balancers and people on call ask. Nothing here is secret, and nothing needs a sign-in."""

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.ops.doctor import ADVICE, READINESS, findings


@never_cache
@require_safe
def alive(request: HttpRequest) -> JsonResponse:
    """200 as long as this process answers, with or without a database: a restart would mend nothing else."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 when work gets done: database, tables and worker. Else 503, which names what is missing. About six queries.

    The last backup is named as well, and sends nobody away.
    """
    found = dict(findings(READINESS))
    is_ready = all(finding.level != "error" for finding in found.values())
    checks = {name: "ok" if finding.level == "ok" else finding.text for name, finding in found.items()}
    checks |= {name: "ok" if finding.level == "ok" else finding.text for name, finding in findings(ADVICE)}
    return JsonResponse({"status": "ready" if is_ready else "not ready", "checks": checks}, status=200 if is_ready else 503)


urlpatterns = [path("", alive, name="health"), path("ready/", ready, name="health-ready")]
