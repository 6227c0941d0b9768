"""The admin's look: data only. What depends on who is looking comes from apps.dashboard, by dotted name."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from project import env


def _file(path: str) -> Any:
    """The address of a static file, asked for when a page is made: the manifest is not there when settings are read."""
    return lambda request=None: static(path)


# A word in the page header that tells this installation from the real one: "test", "training".
_label = env.text("DOCKET_ENVIRONMENT", "development" if env.flag("DEBUG") else "")

UNFOLD: dict = {
    "SITE_TITLE": "Docket",
    "SITE_HEADER": "Docket",
    "SITE_SUBHEADER": _("Work orders"),
    "SITE_URL": None,
    "SITE_SYMBOL": "receipt_long",
    "SITE_ICON": _file("docket/logo.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _file("docket/favicon.svg")}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SHOW_LANGUAGES": True,
    "ENVIRONMENT": [_label, "warning"] if _label else None,
    "BORDER_RADIUS": "6px",
    "STYLES": [_file("docket/admin.css"), _file("docket/dashboard.css")],
    "SCRIPTS": [_file("docket/unsaved.js"), _file("docket/focus.js")],
    "DASHBOARD_CALLBACK": "apps.dashboard.panels.home",
    "LOGIN": {"form": "apps.accounts.forms.SignInForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": _("Manual"), "link": reverse_lazy("dashboard:manual")},
            {"title": _("My account"), "link": reverse_lazy("dashboard:account")},
            {"title": _("Change password"), "link": reverse_lazy("admin:password_change")},
        ]
    },
    "COMMAND": {"search_models": False, "show_history": False, "search_callback": "apps.dashboard.search.find"},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": "apps.dashboard.navigation.sidebar",
    },
    "COLORS": {
        "base": {
            "50": "oklch(98.4% .003 230)",
            "100": "oklch(96.2% .005 230)",
            "200": "oklch(92.4% .008 230)",
            "300": "oklch(86.6% .012 230)",
            "400": "oklch(69.8% .02 232)",
            "500": "oklch(54.6% .024 235)",
            "600": "oklch(44.2% .026 238)",
            "700": "oklch(36.8% .028 240)",
            "800": "oklch(27.4% .026 242)",
            "900": "oklch(20.8% .024 244)",
            "950": "oklch(13.2% .02 246)",
        },
        "primary": {
            "50": "oklch(97.2% .016 215)",
            "100": "oklch(94.2% .034 215)",
            "200": "oklch(88.8% .062 217)",
            "300": "oklch(80.6% .098 219)",
            "400": "oklch(71.2% .118 222)",
            "500": "oklch(62% .118 226)",
            "600": "oklch(52.4% .108 230)",
            "700": "oklch(45.2% .094 232)",
            "800": "oklch(38.6% .078 234)",
            "900": "oklch(32.4% .064 236)",
            "950": "oklch(24.2% .05 238)",
        },
    },
}
