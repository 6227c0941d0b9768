"""Sign people in, hand out and revoke their tokens, keep the roles and the system user in place."""

import hashlib
import secrets
import string
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.accounts.models import SYSTEM, AccessToken, User
from apps.accounts.roles import Role
from apps.core import throttle
from apps.core.errors import RuleError
from apps.core.models import Tally

TOKEN_PREFIX = "dkt_"  # noqa: S105  (what leak scanners look for)
_ALPHABET = string.ascii_letters + string.digits
_SECRET_LENGTH = 40
_KEPT_PREFIX = 12

# Wrong tries that are checked at once, and how many more each minute. Right ones are given back.
PER_ACCOUNT = {"burst": 10, "per_minute": 2}
PER_ADDRESS = {"burst": 20, "per_minute": 10}


class BadCredentials(RuleError):
    """The name or the password is wrong: the same words for both, and for people who may not sign in."""

    code = "bad_credentials"


def sign_in(username: str, password: str, address: str) -> User:
    """The user behind name and password. Raises BadCredentials, or TooManyTries per account and per address.

    An unknown name costs the same time as a wrong password. Two queries for the limits before the password is looked at.
    """
    account = f"sign-in:account:{_short(username.casefold())}"
    place = f"sign-in:address:{_short(address)}"
    throttle.take(account, **PER_ACCOUNT)
    throttle.take(place, **PER_ADDRESS)
    user = authenticate(None, username=username, password=password)
    if user is None:
        Tally.add("sign_in_refused")
        raise BadCredentials(_("The name or the password is wrong. Check both; if you forgot the password, ask the administrator."))
    throttle.forget(account)
    throttle.give_back(place, burst=PER_ADDRESS["burst"])
    return user


def confirm_password(user: User, password: str) -> None:
    """Somebody who is signed in shows again who he is. Raises BadCredentials, or TooManyTries: tries here and at the sign-in add up."""
    account = f"sign-in:account:{_short(user.get_username().casefold())}"
    throttle.take(account, **PER_ACCOUNT)
    if not user.check_password(password):
        raise BadCredentials(_("This is not your password."))
    throttle.forget(account)


def issue_token(user: User) -> tuple[AccessToken, str]:
    """A new token of `user` and its text, which nobody can read again later. One query."""
    if not user.is_active:
        raise RuleError(_("%(user)s is not active and gets no token.") % {"user": user}, code="inactive")
    text = new_text(TOKEN_PREFIX)
    token = AccessToken.objects.create(user=user, expires_at=timezone.now() + timedelta(days=settings.DOCKET_TOKEN_DAYS), **kept(text))
    return token, text


def new_text(prefix: str) -> str:
    """The text of a new token: `prefix` says what kind, the rest is chance (238 bits)."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _letter in range(_SECRET_LENGTH))


def kept(text: str) -> dict[str, str]:
    """What a table keeps of a token: how it begins, for people, and its digest."""
    return {"prefix": text[:_KEPT_PREFIX], "digest": digest_of(text, settings.SECRET_KEY)}


def digest_of(text: str, secret: str) -> str:
    """HMAC-SHA256 of a token, under a key derived from `secret`: a stolen table holds no usable token."""
    return salted_hmac("docket.access-token", text, secret=secret, algorithm="sha256").hexdigest()


def digests_of(text: str) -> list[str]:
    """What a token may be kept as: tokens made under an older key still count."""
    return [digest_of(text, secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def token_of(text: str) -> AccessToken | None:
    """The token whose text this is, with its user, whatever its state. One query."""
    return AccessToken.objects.select_related("user").filter(digest__in=digests_of(text)).first()


def revoke_token(token: AccessToken, *, by: Any) -> AccessToken:
    """End a token now: one's own, or as an administrator. A revoked one stays as it is."""
    if token.user_id != by.pk and not access_of(by).has("accounts.change_accesstoken"):
        raise PermissionDenied(_("You may only revoke your own tokens. Ask an administrator."))
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
    return token


def system_user() -> User:
    """Who jobs and commands act as. Inactive and without a password: nobody can sign in as it. One query."""
    user = User.objects.filter(username=SYSTEM).first()
    if user is None:
        user, _made = User.objects.get_or_create(
            username=SYSTEM, defaults={"name": "Docket", "is_active": False, "password": make_password(None)}
        )
    return user


def sync_roles() -> int:
    """One group for each role, so that users can hold it. Says how many were missing; twice makes none."""
    present = set(Group.objects.filter(name__in=Role.values).values_list("name", flat=True))
    missing = [role for role in Role.values if role not in present]
    Group.objects.bulk_create([Group(name=role) for role in missing], ignore_conflicts=True)
    return len(missing)


def client_address(request: Any) -> str:
    """Where the request comes from. Each trusted proxy adds one entry to X-Forwarded-For; what is before those is hearsay."""
    proxies = settings.TRUSTED_PROXIES
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    if proxies and len(hops) >= proxies:
        return hops[-proxies]
    return request.META.get("REMOTE_ADDR", "") or "unknown"


def places_of(user: User) -> Iterable[Any]:
    """The user's memberships with their departments. One query."""
    return user.memberships.select_related("department").order_by("department__position", "department__code")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]
