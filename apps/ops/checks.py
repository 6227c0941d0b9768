"""System checks: settings that were measured to lose jobs or writes refuse to run."""

from typing import Any

from django.conf import settings
from django.core.checks import Error, Tags, register


@register()
def sqlite_takes_its_lock_first(**_: Any) -> list[Error]:
    """A transaction that reads and then writes fails at once under parallel writers, unless it is IMMEDIATE."""
    config = settings.DATABASES["default"]
    options = config.get("OPTIONS", {})
    found = []
    if "sqlite" in config["ENGINE"]:
        if options.get("transaction_mode") != "IMMEDIATE":
            found.append(
                Error("SQLite transactions are not IMMEDIATE.", hint="Set OPTIONS['transaction_mode'] = 'IMMEDIATE'.", id="core.E001")
            )
        if options.get("timeout", 5) < 20:
            found.append(Error("SQLite waits less than 20 s for its lock.", hint="Set OPTIONS['timeout'] = 20.", id="core.E002"))
    return found


@register()
def queue_keeps_its_promises(**_: Any) -> list[Error]:
    """Rows are locked when they are fetched: what is fetched early runs twice."""
    queue, found = settings.Q_CLUSTER, []
    if queue["queue_limit"] > queue["workers"] or queue["bulk"] > 1:
        found.append(
            Error("The cluster fetches jobs that no worker is free for.", hint="Set queue_limit = workers, bulk = 1.", id="core.E003")
        )
    if queue["retry"] < queue["timeout"] * (2 + (queue["queue_limit"] + 1) / queue["workers"]):
        found.append(
            Error(
                "A job may be delivered again while it still runs.",
                hint="Set retry to timeout x (2 + (queue_limit + 1) / workers) or more.",
                id="core.E004",
            )
        )
    if queue["ack_failures"] or queue["max_attempts"] < 1:
        found.append(
            Error("Failed jobs are never, or for ever, tried again.", hint="Set ack_failures False, max_attempts 3.", id="core.E005")
        )
    return found


@register(Tags.caches, deploy=True)
def cache_is_shared(**_: Any) -> list[Error]:
    """A cache of one process hides the other processes' sign-outs."""
    if "locmem" in settings.CACHES["default"]["BACKEND"]:
        hint = "Use the folder cache, or set REDIS_URL."
        return [Error("The cache is not shared between processes.", hint=hint, id="core.E006")]
    return []
