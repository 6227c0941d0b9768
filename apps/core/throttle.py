"""Limits on tries: token buckets in the database, right under parallel guessing with any number of processes."""

import math
import time

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Least
from django.utils.translation import gettext_lazy as _

from apps.core.errors import TooManyTries
from apps.core.models import Bucket


def take(key: str, *, burst: int, per_minute: float) -> None:
    """Take one token from the bucket `key`, which holds at most `burst` and refills by `per_minute`.

    Three queries the first time and the last, one in between. Raises TooManyTries with the seconds to wait.
    """
    now, rate = time.time(), per_minute / 60
    full = Least(Value(float(burst)), F("tokens") + (Value(now) - F("updated_at")) * Value(rate))
    ready = Bucket.objects.filter(key=key).annotate(full=full).filter(full__gte=1)
    with transaction.atomic():
        if ready.update(tokens=full - 1, updated_at=now):
            return
        # It is empty, or not there: then others may make it, and take it away again, at this very moment.
        Bucket.objects.bulk_create([Bucket(key=key, tokens=burst, updated_at=now)], ignore_conflicts=True)
        if ready.update(tokens=full - 1, updated_at=now):
            return
    raise TooManyTries(
        _("Too many tries. Wait %(seconds)s seconds and try again.") % {"seconds": math.ceil(1 / rate)},
        wait=math.ceil(1 / rate),
    )


def seconds_left(key: str, *, per_minute: float) -> int:
    """How long until the bucket `key` gives a token again, at least 1. One query."""
    bucket = Bucket.objects.filter(key=key).first()
    tokens = 1.0 if bucket is None else bucket.tokens + (time.time() - bucket.updated_at) * per_minute / 60
    return max(1, math.ceil((1 - tokens) * 60 / per_minute))


def forget(key: str) -> None:
    """Fill the bucket again, as after a right password."""
    Bucket.objects.filter(key=key).delete()


def forget_all(beginning: str) -> None:
    """Fill every bucket again whose key begins so."""
    Bucket.objects.filter(key__startswith=beginning).delete()


def give_back(key: str, *, burst: int) -> None:
    """Put one token back, as for a try that was no guess. One query."""
    Bucket.objects.filter(key=key).update(tokens=Least(Value(float(burst)), F("tokens") + 1))
