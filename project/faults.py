"""Faults are reported to the site's own Sentry, without a word about people or what they typed."""

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.django import DjangoIntegration

from apps.core.context import signature


def report_to(dsn: str, *, release: str, environment: str) -> None:
    """Send every unhandled exception and every logged error to `dsn`, from this process on."""
    sentry_sdk.init(
        dsn=dsn,
        release=release,
        environment=environment,
        integrations=[DjangoIntegration()],
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=without_people,
    )


def without_people(event: dict[str, Any], _hint: dict[str, Any]) -> dict[str, Any]:
    """The event with the fault, its place and the request's id, and with nothing that a person sent or is."""
    event.pop("user", None)
    event.pop("breadcrumbs", None)  # log lines and queries before the fault
    if request := event.get("request"):
        event["request"] = {"method": request.get("method"), "url": request.get("url", "").partition("?")[0]}
    event["tags"] = event.get("tags", {}) | {"request_id": signature().request_id or "-"}
    return event
