"""Every address of Docket."""

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from apps.scanning.floor.views import scanned


def no_row(request: HttpRequest, row: str) -> HttpResponse:
    """Django's "view on site" would tell which rows exist, to anybody who is staff."""
    raise Http404


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("health/", include("apps.ops.health")),
    path("metrics", include("apps.ops.metrics")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/operations/", include("apps.ops.overview")),
    # Before the admin's own: its search keeps answers longer than rights last.
    path("admin/", include("apps.dashboard.urls")),
    path("admin/r/<path:row>", no_row, name="no_row"),
    path("admin/", admin.site.urls),
    path("api/", include(("project.api_urls", "api"))),
    path("floor/", include("apps.scanning.floor.urls")),
    re_path(r"^s/(?P<code>[^/]{1,40})/?$", scanned, name="scanned"),
]

handler400 = "apps.core.problems.bad_request"
handler404 = "apps.core.problems.not_found"
handler500 = "apps.core.problems.server_error"
