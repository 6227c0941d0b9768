"""Who is signed in to the office pages, from where and since when; and signing people out.

The engine of Django's sessions, over a table that knows whose each session is. Deleting goes through the engine, for the
cached copy to go too.
"""

import hashlib
import time
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.cached_db import SessionStore as CachedStore
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.accounts.models import OpenSession
from apps.accounts.services import client_address

SIGNED_IN_AT, ADDRESS, BROWSER, CONFIRMED_AT = "signed_in_at", "address", "browser", "confirmed_at"
# The first that is found in what a browser says of itself; the later ones name themselves after the earlier.
BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"), ("Linux", "Linux"))


class SessionStore(CachedStore):
    """Sessions in the table and in the cache, each with its user."""

    cache_key_prefix = "docket.session."

    @classmethod
    def get_model_class(cls) -> type[OpenSession]:
        return OpenSession

    def create_model_instance(self, data: dict[str, Any]) -> OpenSession:
        row = super().create_model_instance(data)
        row.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        row.signed_in_at = parse_datetime(data.get(SIGNED_IN_AT, ""))
        row.address, row.browser = data.get(ADDRESS, ""), data.get(BROWSER, "")
        return row


def note_sign_in(request: Any) -> None:
    """Write down in the new session where it was opened. Signing in counts as showing the password."""
    request.session[SIGNED_IN_AT] = timezone.now().isoformat()
    request.session[ADDRESS] = client_address(request)[:45]
    request.session[BROWSER] = browser_of(request.headers.get("User-Agent", ""))
    request.session[CONFIRMED_AT] = time.time()


def browser_of(agent: str) -> str:
    """A few words for what a browser says of itself: enough to know one's own again."""
    names = (next((name for sign, name in known if sign in agent), "") for known in (BROWSERS, SYSTEMS))
    return " · ".join(filter(None, names)) or "?"


def open_sessions(user: Any) -> list[OpenSession]:
    """The user's sessions that have not ended, the newest first. One query."""
    rows = OpenSession.objects.filter(user=user.pk, expire_date__gt=timezone.now()).defer("session_data")
    return sorted(rows, key=lambda row: row.since, reverse=True)


def handle_of(key: str) -> str:
    """What a page calls a session: the key itself would sign in whoever reads it."""
    return hashlib.sha256(f"docket.session:{key}".encode()).hexdigest()[:24]


def end_session(user: Any, handle: str) -> bool:
    """Sign one of the user's own sessions out. False: there is none (any more)."""
    found = [row.session_key for row in open_sessions(user) if handle_of(row.session_key) == handle]
    for key in found:
        SessionStore(key).delete()
    return bool(found)


def end_sessions(user: Any, *, but: str | None = None) -> int:
    """Sign `user` out everywhere, except in the session whose key is `but`. Says how many sessions that were."""
    keys = list(OpenSession.objects.filter(user=user.pk).exclude(session_key=but or "").values_list("session_key", flat=True))
    for key in keys:
        SessionStore(key).delete()
    return len(keys)
