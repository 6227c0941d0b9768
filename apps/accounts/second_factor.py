"""A second factor of the sign-in: a code of the moment from the person's own phone (TOTP, RFC 6238), and ten codes for the day it is lost.

The table alone is no use to a thief: the key of the phone is kept under a pad that is made of SECRET_KEY, the recovery codes as digests.
"""

import secrets
import time
from base64 import b32encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django_otp.oath import hotp

from apps.accounts.access import access_of
from apps.accounts.models import SecondFactor, User
from apps.accounts.people import may_change
from apps.accounts.roles import Role
from apps.accounts.services import BadCredentials, digest_of, digests_of
from apps.accounts.sessions import end_sessions
from apps.core import throttle
from apps.core.context import acting
from apps.core.errors import RuleError
from apps.core.models import Tally
from apps.core.problems import problem

# Nobody gets here without the right password; five tries, then one every five minutes.
TRIES = {"burst": 5, "per_minute": 0.2}
STEP, DIGITS, KEY_BYTES = 30, 6, 20
RECOVERY_CODES, ALPHABET = 10, "abcdefghjkmnpqrstuvwxyz23456789"
VERIFIED = "second_factor"  # in the session: this one was opened with a code


class BadCode(BadCredentials):
    """The code is wrong, used or missing."""

    code = "second_factor"


def factor_of(user: Any) -> SecondFactor | None:
    """The user's second factor, once he has shown that it works. One query."""
    return SecondFactor.objects.filter(user=user.pk, confirmed_at__isnull=False).first()


def must_have(user: Any) -> bool:
    """Whether the site wants a second factor of this user: of administrators, where DOCKET_REQUIRE_TOTP says so."""
    return settings.DOCKET_REQUIRE_TOTP and (user.is_superuser or access_of(user).is_(Role.ADMINISTRATOR))


# -- the key


def _pad(nonce: bytes, secret: str) -> bytes:
    return salted_hmac("docket.second-factor", nonce.hex(), secret=secret, algorithm="sha256").digest()[:KEY_BYTES]


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _sealed(key: bytes) -> str:
    nonce = secrets.token_bytes(KEY_BYTES)
    return (nonce + _xor(key, _pad(nonce, settings.SECRET_KEY))).hex()


def _opened(sealed: str, secret: str) -> bytes:
    both = bytes.fromhex(sealed)
    return _xor(both[KEY_BYTES:], _pad(both[:KEY_BYTES], secret))


def key_of(factor: SecondFactor) -> str:
    """The key as people type it into their phone."""
    return b32encode(_opened(factor.sealed, settings.SECRET_KEY)).decode()


def address_of(factor: SecondFactor, host: str) -> str:
    """What the picture says: the key, and what the phone shows beside its code."""
    label = quote(f"Docket:{factor.user.get_username()}@{host}")
    return f"otpauth://totp/{label}?secret={key_of(factor)}&issuer=Docket&digits={DIGITS}&period={STEP}"


# -- setting up, and down


def begin(user: User) -> SecondFactor:
    """A key that waits for its first code; the one that waits already, if there is one. Raises RuleError where one works."""
    factor, _made = SecondFactor.objects.get_or_create(user_id=user.pk, defaults={"sealed": _sealed(secrets.token_bytes(KEY_BYTES))})
    if factor.confirmed_at is not None:
        raise RuleError(_("Your second factor is on already. Turn it off before you set up another phone."), code="already")
    return factor


def enrol(user: User, code: str) -> list[str]:
    """Turn the second factor on with its first code. Returns the recovery codes, which nobody can read again."""
    factor = begin(user)
    throttle.take(f"second-factor:{user.pk}", **TRIES)
    with acting(user, reason="second factor: on"):
        if not _is_of_now(factor, _plain(code)):
            raise BadCode(_("This is not the code of this moment. Look whether the phone's clock is right, and type the next one."))
        throttle.forget(f"second-factor:{user.pk}")
        SecondFactor.objects.filter(pk=factor.pk).update(confirmed_at=timezone.now())
        _write_history(user)
        return new_recovery_codes(user)


def new_recovery_codes(user: User) -> list[str]:
    """Ten new codes; those before are void. Raises RuleError where there is no second factor."""
    codes = ["".join(secrets.choice(ALPHABET) for _letter in range(10)) for _code in range(RECOVERY_CODES)]
    kept = [digest_of(f"recovery:{user.pk}:{code}", settings.SECRET_KEY) for code in codes]
    with acting(user, reason="second factor: new recovery codes"):
        if not SecondFactor.objects.filter(user=user.pk, confirmed_at__isnull=False).update(recovery=kept):
            raise RuleError(_("There is no second factor to recover. Set one up first."), code="none")
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def turn_off(user: User) -> None:
    """One's own, after the password. Where the site wants it, only somebody else can take it away."""
    if must_have(user):
        raise RuleError(_("Administrators sign in with a second factor here. For another phone, have another administrator reset it."))
    with acting(user, reason="second factor: off"):
        SecondFactor.objects.filter(user=user.pk).delete()
        _write_history(user)


def reset(person: User, *, by: Any) -> User:
    """For who lost phone and recovery codes: the password is enough again, and whoever is signed in as him is out."""
    if not may_change(by, person) and not by.is_system:
        raise PermissionDenied(_("You may not change the account of %(name)s. Ask an administrator.") % {"name": person})
    if person.pk == by.pk:
        raise RuleError(_("Turn your own second factor off on the page of your account."), code="own_account")
    with acting(by, reason="second factor: reset"):
        if not SecondFactor.objects.filter(user=person.pk).delete()[0]:
            raise RuleError(_("%(name)s has no second factor.") % {"name": person}, code="none")
        _write_history(person)
        end_sessions(person)
    return person


def _write_history(user: Any) -> None:
    User.objects.get(pk=user.pk).save()


# -- checking


def require(user: User, code: str) -> None:
    """Check the code of somebody whose password was right. Raises BadCode or TooManyTries; silent where none is wanted."""
    factor = factor_of(user)
    if factor is None:
        if must_have(user):
            raise BadCode(_("Administrators need a second factor here. Sign in to the office pages once, and set it up."))
        return
    if not code:
        raise BadCode(_("Send the code of your phone, or a recovery code, as `code`."))
    check(factor, code)


def check(factor: SecondFactor, code: str) -> None:
    """The code of the moment, or a recovery code, each of them once. Raises BadCode or TooManyTries."""
    throttle.take(f"second-factor:{factor.user_id}", **TRIES)
    plain = _plain(code)
    is_of_phone = plain.isascii() and plain.isdigit() and len(plain) == DIGITS
    with transaction.atomic():  # a code that was used up has signed somebody in
        if _is_of_now(factor, plain) if is_of_phone else _is_recovery(factor, plain):
            throttle.forget(f"second-factor:{factor.user_id}")
            return
    Tally.add("sign_in_refused")
    raise BadCode(_("The code is wrong or used. Wait for the phone's next one, or type a recovery code."))


def _plain(code: str) -> str:
    return code.replace(" ", "").replace("-", "").strip().lower()


def _is_of_now(factor: SecondFactor, code: str) -> bool:
    """A phone may be half a minute off. A step counts once, whoever is faster."""
    now = int(time.time()) // STEP
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        key = _opened(factor.sealed, secret)
        for step in (now, now - 1, now + 1):
            if constant_time_compare(f"{hotp(key, step, DIGITS):0{DIGITS}}", code):
                # Under the key of today from now on, so that a former one can be forgotten.
                return SecondFactor.objects.filter(pk=factor.pk, last_step__lt=step).update(last_step=step, sealed=_sealed(key)) == 1
    return False


def _is_recovery(factor: SecondFactor, code: str) -> bool:
    digests = digests_of(f"recovery:{factor.user_id}:{code}")
    row = SecondFactor.objects.select_for_update().get(pk=factor.pk)
    left = [kept for kept in row.recovery if kept not in digests]
    if len(left) == len(row.recovery):
        return False
    SecondFactor.objects.filter(pk=row.pk).update(recovery=left)
    with acting(factor.user, reason=f"second factor: recovery code used, {len(left)} left"):
        _write_history(factor.user)
    return True


# -- where the site wants one

OPEN_PAGES = ("dashboard:second_factor", "dashboard:confirm", "admin:logout", "admin:login", "admin:jsi18n")


def second_factor_gate(get_response: Callable) -> Callable:
    """An administrator without the second factor that the site wants gets no further than the page that sets it up."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if settings.DOCKET_REQUIRE_TOTP and request.path_info.startswith(("/admin/", "/api/")) and _lacks(request):
            if request.path_info.startswith("/api/"):
                said = _("Administrators need a second factor here. Set it up on the page of your account.")
                return problem(403, "second_factor", said)
            return redirect("dashboard:second_factor")
        return get_response(request)

    return middleware


def _lacks(request: HttpRequest) -> bool:
    if request.path_info in map(reverse, OPEN_PAGES) or not request.user.is_authenticated or request.session.get(VERIFIED):
        return False
    return must_have(request.user) and factor_of(request.user) is None
