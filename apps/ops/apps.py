from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class OpsConfig(AppConfig):
    name = "apps.ops"
    verbose_name = _("Operations")

    def ready(self) -> None:
        from apps.ops import checks  # noqa: F401  (registers them)

        autodiscover_modules("jobs")
