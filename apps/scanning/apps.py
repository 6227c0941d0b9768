from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ScanningConfig(AppConfig):
    name = "apps.scanning"
    verbose_name = _("Floor")

    def ready(self) -> None:
        from apps.scanning import jobs  # noqa: F401  (registers them)
