"""The same POST sent twice counts once: the key's row commits in the transaction of the effect.

Only what succeeded is kept. A refusal rolls its transaction back and leaves no key, so sending the same again asks again.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext as _
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from apps.core.errors import InvalidInput
from apps.core.models import IdempotencyKey
from apps.core.problems import InFlight, KeyReused

HEADER = "Idempotency-Key"
KEPT_HEADERS = ("ETag", "Location")
LONGEST = 128


def key_of(request: Any) -> str:
    """The request's Idempotency-Key, "" without one. Raises InvalidInput for one that is empty, too long or not plain."""
    key = request.headers.get(HEADER)
    if key is None:
        return ""
    if not 1 <= len(key) <= LONGEST or not all("!" <= letter <= "~" for letter in key):
        raise InvalidInput(
            _("Idempotency-Key must be 1 to %(most)s plain characters without spaces. A UUID is fine.") % {"most": LONGEST},
            field=HEADER,
            code="bad_key",
        )
    return key


def fingerprint(request: Any) -> str:
    """SHA-256 of method, address and body; the order of a body's members and its blanks do not matter."""
    body = json.dumps(request.data, sort_keys=True)
    return hashlib.sha256(f"{request.method} {request.get_full_path()}\n{body}".encode()).hexdigest()


def once(request: Any, run: Callable[[], Response]) -> Response:
    """Answer `run()`, or what it answered to the first request of this user with this key and body.

    Two queries more than `run`, three on PostgreSQL. Raises KeyReused and InFlight.
    """
    key = key_of(request)
    if not key:
        return run()
    owner, print_ = f"user:{request.user.pk}", fingerprint(request)
    with transaction.atomic():
        # SQLite runs one writing transaction at a time, so the second comes after the first has committed.
        if connection.vendor == "postgresql" and not _lock(owner, key):
            raise InFlight(_("The first request with this Idempotency-Key still runs. Ask again in a second with the same key."))
        row = IdempotencyKey.objects.filter(owner=owner, key=key).first()
        if row is not None:
            return _replay(row, print_)
        response = run()
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        body = json.loads(json.dumps(response.data, cls=JSONEncoder))
        IdempotencyKey.objects.create(
            owner=owner, key=key, fingerprint=print_, status=response.status_code, answer={"body": body, "headers": headers}
        )
    return response


def repeated(request: Any, run: Callable[[], Response]) -> Response:
    """The same for a command whose body carries a key of its own, which makes its effect happen once and outlives a refusal.

    Only the answer is kept here, after `run` has committed: two at once both run, and the later one is answered by its own key.
    Two queries more than `run`, none without a key. Raises KeyReused.
    """
    key = key_of(request)
    if not key:
        return run()
    owner, print_ = f"user:{request.user.pk}", fingerprint(request)
    row = IdempotencyKey.objects.filter(owner=owner, key=key).first()
    if row is not None:
        return _replay(row, print_)
    response = run()
    body = json.loads(json.dumps(response.data, cls=JSONEncoder))
    kept = IdempotencyKey(owner=owner, key=key, fingerprint=print_, status=response.status_code, answer={"body": body, "headers": {}})
    IdempotencyKey.objects.bulk_create([kept], ignore_conflicts=True)
    return response


def _lock(owner: str, key: str) -> bool:
    """Whether this transaction is the only one with the key."""
    number = int.from_bytes(hashlib.sha256(f"{owner} {key}".encode()).digest()[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        return cursor.fetchone()[0]


def _replay(row: IdempotencyKey, print_: str) -> Response:
    if row.fingerprint != print_:
        raise KeyReused(_("This Idempotency-Key was used for another request. Take a new key for a new request."))
    return Response(row.answer["body"], status=row.status, headers=row.answer["headers"] | {"Idempotent-Replayed": "true"})
