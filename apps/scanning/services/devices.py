"""Handhelds, badges and who is signed in where.

A handheld has a token of its own; a person signs in on it with badge and PIN and gets a short session. Tokens are kept as HMAC,
PINs as argon2. Tries are counted before a PIN is looked at, so that guessing at the same moment wins nothing.
"""

import secrets
import unicodedata
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.access import access_of
from apps.accounts.models import Department, Membership, User
from apps.accounts.people import may_change
from apps.accounts.roles import Role
from apps.accounts.services import BadCredentials, digests_of, kept, new_text
from apps.core import throttle
from apps.core.context import acting
from apps.core.errors import InvalidInput, RuleError, TooManyTries
from apps.scanning import codes
from apps.scanning.models import Badge, Device, OperatorSession
from apps.scanning.querysets import STAMP_EVERY, longest_idle

DEVICE_PREFIX, SESSION_PREFIX = "dkd_", "dks_"
LONGEST_SESSION = timedelta(hours=12)
FEWEST_DIGITS, MOST_DIGITS = 4, 8

# Wrong PINs of one badge on one handheld that are looked at; after them one for each quarter of an hour. A right one forgets them.
PER_BADGE = {"burst": 5, "per_minute": 1 / 15}
# Of all badges on one handheld together. A right one is given back.
PER_DEVICE = {"burst": 30, "per_minute": 4}


# -- handhelds


def register_device(name: str, department: Department, *, by: Any) -> tuple[Device, str]:
    """A new handheld and the text of its token, which nobody can read again later. For administrators."""
    with acting(by):
        _require(by, "scanning.add_device")
        name = " ".join(name.split())
        if not name:
            raise InvalidInput(_("Give the handheld a name, as it is written on it."), field="name", code="required")
        if Device.objects.filter(name=name).exists():
            said = _("There is a handheld %(name)s already. Give this one another name, or renew the token of that one.")
            raise InvalidInput(said % {"name": name}, field="name", code="taken")
        text = new_text(DEVICE_PREFIX)
        device = Device(name=name, department=department, registered_by=by, **kept(text))
        device.save()
        return device, text


def renew_token(device: Device, *, by: Any) -> tuple[Device, str]:
    """Another token for the handheld, and its text. The old one and every session on it end at once; a revoked one is back in use."""
    with acting(by, reason="token"):
        device = _locked_device(device, by)
        text = new_text(DEVICE_PREFIX)
        for name, value in kept(text).items():
            setattr(device, name, value)
        device.revoked_at = None
        device.save()
        _end(device.sessions)
        return device, text


def revoke_device(device: Device, *, by: Any, reason: str = "") -> Device:
    """From now on the handheld and whoever is signed in on it get 401. A revoked one stays as it is."""
    with acting(by, reason=reason):
        device = _locked_device(device, by)
        if device.revoked_at is None:
            device.revoked_at = timezone.now()
            device.save()
            _end(device.sessions)
        return device


def device_of(text: str) -> Device | None:
    """The handheld whose token this is, whatever its state. One query."""
    return Device.objects.select_related("department").filter(digest__in=digests_of(text)).first()


def _locked_device(device: Device, by: Any) -> Device:
    _require(by, "scanning.change_device")
    return Device.objects.visible_to(by).locked().get(pk=device.pk)


def _require(by: Any, permission: str) -> None:
    if not access_of(by).has(permission):
        raise PermissionDenied(_("You may not manage handhelds. Ask an administrator."))


# -- badges


def may_issue(by: Any, person: User) -> bool:
    """Administrators for everybody whose account they may change; supervisors for the members of departments that they lead.

    A supervisor learns the PIN, so nobody gets a badge from him who may do more than he may. Up to two queries.
    """
    access = access_of(by)
    if not access.has("scanning.issue_badge") or person.is_system:
        return False
    if access.is_superuser or access.is_(Role.ADMINISTRATOR):
        return may_change(by, person)
    if not Membership.objects.filter(user=person, department__in=access.leads).exists():
        return False
    return not person.is_superuser and access_of(person).permissions <= access.permissions


def issue_badge(user: User, *, by: Any, pin: str = "") -> tuple[Badge, str]:
    """A badge for `user` and its PIN: `pin`, or one made up here. Raises RuleError for who has one already or is inactive."""
    with acting(by):
        person = User.objects.locked().get(pk=user.pk)
        _require_issue(by, person)
        if not person.is_active:
            raise RuleError(_("%(user)s is not active and gets no badge.") % {"user": person}, code="inactive")
        present = Badge.objects.live().filter(user=person).first()
        if present is not None:
            said = _("%(user)s has badge %(code)s already. Give it a new PIN, or revoke it first.")
            raise RuleError(said % {"user": person, "code": code_of(present)}, code="has_badge")
        pin = checked_pin(pin) if pin else made_pin()
        badge = Badge(user=person, issued_by=by, pin=make_password(pin))
        badge.save()
        return badge, pin


def new_pin(badge: Badge, *, by: Any, pin: str = "") -> str:
    """Set the badge's PIN to `pin`, or to one made up here. Its sessions end, and wrong tries are forgotten."""
    with acting(by, reason="PIN"):
        badge = _locked_badge(badge, by)
        if badge.revoked_at is not None:
            raise RuleError(_("Badge %(code)s is revoked. Issue a new one.") % {"code": code_of(badge)}, code="revoked")
        pin = checked_pin(pin) if pin else made_pin()
        badge.pin = make_password(pin)
        badge.save()
        _end(badge.sessions)
        throttle.forget_all(_tries_of(badge.pk))
        return pin


def revoke_badge(badge: Badge, *, by: Any, reason: str = "") -> Badge:
    """Nobody signs in with the badge any more, and whoever did is out. A revoked one stays as it is."""
    with acting(by, reason=reason):
        badge = _locked_badge(badge, by)
        if badge.revoked_at is None:
            badge.revoked_at = timezone.now()
            badge.save()
            _end(badge.sessions)
        return badge


def change_pin(user: User, pin: str, wanted: str, *, device: Device | None = None) -> None:
    """One's own PIN, from `pin` to `wanted`. Sessions go on.

    Wrong ones count like those of signing in. Call it outside of a transaction, or a refusal takes its own count back.
    """
    badge = Badge.objects.live().filter(user=user).first()
    if badge is None:
        raise RuleError(_("You have no badge. Ask your supervisor for one."), code="no_badge")
    wanted = checked_pin(wanted, field="new_pin")
    _count_try(badge.pk, device)
    if not check_password(_digits(pin), badge.pin):
        said = _("The present PIN is wrong. Type it again, or ask your supervisor for a new one.")
        raise InvalidInput(said, field="pin", code="wrong_pin")
    _forget_tries(badge.pk, device)
    with acting(user, reason="PIN"):
        fresh = Badge.objects.live().locked().filter(pk=badge.pk, pin=badge.pin).first()
        if fresh is None:
            raise RuleError(_("Somebody changed your badge meanwhile. Sign in again."), code="race")
        fresh.pin = make_password(wanted)
        fresh.save()


def code_of(badge: Badge) -> str:
    """The badge's code, as it is printed on it."""
    return codes.encode(codes.Kind.BADGE, badge.pk)


def checked_pin(pin: str, *, field: str = "pin") -> str:
    """The PIN in plain digits. Raises InvalidInput for a wrong length and for one that everybody tries first."""
    pin = _digits(pin)
    if not (pin.isascii() and pin.isdigit() and FEWEST_DIGITS <= len(pin) <= MOST_DIGITS):
        said = _("A PIN has %(fewest)s to %(most)s digits. Type another one.")
        raise InvalidInput(said % {"fewest": FEWEST_DIGITS, "most": MOST_DIGITS}, field=field, code="pin_shape")
    if _is_trivial(pin):
        raise InvalidInput(_("This PIN is guessed first, like 1234 or 0000. Choose another one."), field=field, code="pin_trivial")
    return pin


def made_pin() -> str:
    """Four digits by chance that `checked_pin` takes."""
    while True:
        pin = f"{secrets.randbelow(10**FEWEST_DIGITS):0{FEWEST_DIGITS}}"
        if not _is_trivial(pin):
            return pin


def _is_trivial(pin: str) -> bool:
    """All the same, or running up or down, over the 9 too: 7777, 3456, 8901, 4321."""
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(pin)}
    return steps in ({0}, {1}, {9})


def _digits(pin: str) -> str:
    return unicodedata.normalize("NFKC", pin).strip()


def _require_issue(by: Any, person: User) -> None:
    if not may_issue(by, person):
        said = _("You may not give %(user)s a badge or a PIN. Ask a supervisor of the department, or an administrator.")
        raise PermissionDenied(said % {"user": person})


def _locked_badge(badge: Badge, by: Any) -> Badge:
    badge = Badge.objects.visible_to(by).locked().select_related("user").get(pk=badge.pk)
    _require_issue(by, badge.user)
    return badge


# -- sessions


def badge_in(device: Device, badge_code: str, pin: str) -> tuple[OperatorSession, str]:
    """Sign the badge's person in on `device`: the session and the text of its token. The session before it on the device ends;
    those on other devices go on.

    An unknown badge costs the same time and the same tries as a wrong PIN, and reads the same: BadCredentials. Raises codes.BadCode
    for what is no badge's code, TooManyTries when the tries are used up. Call it outside of a transaction: a try counts though refused.
    """
    number = _badge_number(badge_code)
    _count_try(number, device)
    badge = Badge.objects.select_related("user").filter(pk=number).first()
    if not _is_pin_of(badge, pin) or badge is None or badge.revoked_at is not None or not badge.user.is_active:
        raise BadCredentials(_("The badge or the PIN is wrong. Try again; if you forgot the PIN, your supervisor gives you a new one."))
    _forget_tries(number, device)
    text, now = new_text(SESSION_PREFIX), timezone.now()
    with acting(badge.user):
        # The handheld first, then the badge: the PIN may have been taken away while it was being checked.
        device = Device.objects.live().locked().filter(pk=device.pk).first()
        fresh = Badge.objects.live().locked().filter(pk=badge.pk, pin=badge.pin).first()
        if device is None or fresh is None:
            raise BadCredentials(_("The badge or the handheld was revoked at this moment. Ask your supervisor."))
        _end(device.sessions)
        Badge.objects.filter(pk=badge.pk).update(last_used_at=now)
        session = OperatorSession.objects.create(
            device=device, user=badge.user, badge=badge, started_at=now, last_used_at=now, expires_at=now + LONGEST_SESSION, **kept(text)
        )
    return session, text


def session_of(text: str) -> OperatorSession | None:
    """The session whose token this is, with device, person and badge, whatever its state. One query."""
    return OperatorSession.objects.select_related("device", "user", "badge").filter(digest__in=digests_of(text)).first()


def is_over(session: OperatorSession, at: datetime) -> bool:
    """Whether the session has ended: signed out, idle for too long, too old, or its badge, its handheld or its person is out of use."""
    return (
        session.ended_at is not None
        or session.expires_at <= at
        or at - session.last_used_at >= longest_idle()
        or session.badge.revoked_at is not None
        or session.device.revoked_at is not None
        or not session.user.is_active
    )


def end_session(session: OperatorSession, *, by: Any) -> OperatorSession:
    """Sign out: one's own session, or as somebody who may issue badges one in his sight. An ended one stays as it is."""
    with acting(by):
        session = OperatorSession.objects.visible_to(by).locked().get(pk=session.pk)
        if session.user_id != by.pk and not access_of(by).has("scanning.issue_badge"):
            raise PermissionDenied(_("You may only end your own sessions. Ask a supervisor."))
        if session.ended_at is None:
            session.ended_at = timezone.now()
            session.save(update_fields=["ended_at"])
        return session


def touch(row: Device | OperatorSession, at: datetime) -> None:
    """Note that the handheld or the session is in use, at most once a minute: no query, or one."""
    field = "last_seen_at" if isinstance(row, Device) else "last_used_at"
    before = getattr(row, field)
    if before is None or at - before >= STAMP_EVERY:
        setattr(row, field, at)
        type(row).objects.filter(pk=row.pk).update(**{field: at})


def _end(sessions: Any) -> None:
    sessions.filter(ended_at=None).update(ended_at=timezone.now())


def _badge_number(text: str) -> int:
    code = codes.parse(text, hosts=settings.ALLOWED_HOSTS)
    if code.kind != codes.Kind.BADGE:
        raise codes.BadCode(_("This is no badge. Scan the code on your badge."), code="not_a_badge", field="badge")
    return code.number


def _is_pin_of(badge: Badge | None, pin: str) -> bool:
    if badge is None:
        make_password(_digits(pin))  # as long as looking at one
        return False
    return check_password(_digits(pin), badge.pin)


def _tries_of(number: int) -> str:
    return f"pin:badge:{number}:"


def _keys(number: int, device: Device | None) -> tuple[str, str]:
    place = device.pk if device else "-"
    return f"{_tries_of(number)}{place}", f"pin:device:{place}"


def _count_try(number: int, device: Device | None) -> None:
    """Count one look at a PIN. Raises TooManyTries, with the seconds until the next."""
    badge, place = _keys(number, device)
    try:
        if device is not None:
            throttle.take(place, **PER_DEVICE)
    except TooManyTries:
        wait = throttle.seconds_left(place, per_minute=PER_DEVICE["per_minute"])
        said = _("Too many wrong badges or PINs on this handheld. Wait %(seconds)s seconds and try again.")
        raise TooManyTries(said % {"seconds": wait}, wait=wait) from None
    try:
        throttle.take(badge, **PER_BADGE)
    except TooManyTries:
        if device is not None:
            throttle.give_back(place, burst=PER_DEVICE["burst"])
        wait = throttle.seconds_left(badge, per_minute=PER_BADGE["per_minute"])
        said = _("Too many wrong PINs. Wait %(minutes)s minutes, or ask your supervisor for a new PIN.")
        raise TooManyTries(said % {"minutes": -(-wait // 60)}, wait=wait) from None


def _forget_tries(number: int, device: Device | None) -> None:
    badge, place = _keys(number, device)
    throttle.forget(badge)
    if device is not None:
        throttle.give_back(place, burst=PER_DEVICE["burst"])
