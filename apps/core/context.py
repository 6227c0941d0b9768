"""Who is acting, from which door, in which request: what history rows and events are signed with.

A door (middleware, job runner, command, import) opens `signed`; a verb opens `acting`, which is also its transaction.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction


@dataclass(frozen=True)
class Signature:
    """What a change is signed with. `actor` is a User or None; `import_run` and `import_row` point into an import.

    `device` is the name of the handheld that it came from, `scan` the key of the scan.
    """

    request_id: str = ""
    source: str = "command"
    actor: Any = None
    reason: str = ""
    import_run: int | None = None
    import_row: int | None = None
    device: str = ""
    scan: int | None = None


UNSIGNED = Signature()
_signature: ContextVar[Signature] = ContextVar("signature", default=UNSIGNED)


def signature() -> Signature:
    return _signature.get()


def new_request_id() -> str:
    return uuid.uuid4().hex


def current_source() -> str:
    return signature().source


def current_request_id() -> str:
    return signature().request_id


def current_device() -> str:
    return signature().device


def current_scan() -> int | None:
    return signature().scan


@contextmanager
def signed(**changes: Any) -> Iterator[Signature]:
    """Sign every change inside with `changes` over what is in force; a request id is made where there is none."""
    value = replace(signature(), **changes)
    if not value.request_id:
        value = replace(value, request_id=new_request_id())
    token = _signature.set(value)
    try:
        yield value
    finally:
        _signature.reset(token)


@contextmanager
def acting(by: Any, *, reason: str = "") -> Iterator[Signature]:
    """One verb: a transaction whose changes are signed by `by`. Without `reason` the outer one stays."""
    changes = {"actor": by} | ({"reason": reason} if reason else {})
    with transaction.atomic(), signed(**changes) as value:
        yield value
