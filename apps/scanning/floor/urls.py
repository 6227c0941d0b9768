"""The addresses of the floor page."""

from django.conf import settings
from django.urls import path, re_path

from apps.scanning.floor import views

app_name = "floor"
_languages = "|".join(code for code, _name in settings.LANGUAGES)

urlpatterns = [
    path("", views.page, name="page"),
    path("bench/", views.bench, name="bench"),
    path("bench/qr.svg", views.test_qr, name="test_qr"),
    path("bench/bars.svg", views.test_bars, name="test_bars"),
    path("clock.json", views.clock, name="clock"),
    path("manifest.webmanifest", views.manifest, name="manifest"),
    path("sw.js", views.worker, name="worker"),
    re_path(rf"^texts\.(?P<language>{_languages})\.json$", views.texts, name="texts"),
]
