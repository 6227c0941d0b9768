"""Badges and PINs: who gives them to whom, and how guessing ends."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from apps.accounts.models import SYSTEM, Membership, User
from apps.accounts.services import BadCredentials, system_user
from apps.core.errors import InvalidInput, RuleError, TooManyTries
from apps.core.models import Bucket
from apps.scanning import codes
from apps.scanning.models import Badge, OperatorSession
from apps.scanning.services import devices
from tests.personas import again
from tests.scanning.conftest import PIN

# Who may give a badge to whom: the supervisor leads production with printing below it, prepress_lead only design.
MAY_ISSUE = [
    ("administrator", "operator", True),
    ("administrator", "maker", True),
    ("administrator", "superuser", False),
    ("superuser", "superuser", True),
    ("supervisor", "operator", True),
    ("supervisor", "stranger", True),
    ("supervisor", "supervisor", True),
    ("supervisor", "maker", False),
    ("supervisor", "administrator", False),
    ("prepress_lead", "operator", False),
    ("operator", "operator", False),
    ("planner", "operator", False),
    ("auditor", "operator", False),
    ("maker", "operator", False),
    ("salesperson", "operator", False),
    ("nobody", "operator", False),
]


@pytest.mark.parametrize(("by", "person", "may"), MAY_ISSUE)
def test_who_gives_badges_to_whom(everybody, administrator, superuser, by, person, may):
    by, person = everybody[by], everybody[person]
    assert devices.may_issue(by, person) is may
    if may:
        assert devices.issue_badge(person, by=by)[0].issued_by == by
        return
    with pytest.raises(PermissionDenied):
        devices.issue_badge(person, by=by)
    badge, _pin = devices.issue_badge(person, by=superuser)
    for press in (devices.new_pin, devices.revoke_badge):
        with pytest.raises((PermissionDenied, Badge.DoesNotExist)):
            press(badge, by=again(by))
    assert again(person).badges.get().revoked_at is None


def test_a_supervisor_gives_no_badge_to_who_may_more_than_he(shop, supervisor, administrator, superuser):
    """He learns the PIN: with an administrator's badge he would be one."""
    for person in (administrator, superuser):
        Membership.objects.create(user=person, department=shop.departments["printing"])
        with pytest.raises(PermissionDenied):
            devices.issue_badge(person, by=supervisor)
    both = shop.people["second_operator"]
    both.groups.add(Group.objects.get(name="administrator"))
    with pytest.raises(PermissionDenied):
        devices.issue_badge(again(both), by=supervisor)


def test_the_system_and_the_inactive_get_no_badge(operator, administrator, superuser):
    with pytest.raises(PermissionDenied):
        devices.issue_badge(system_user(), by=superuser)
    User.objects.filter(pk=operator.pk).update(is_active=False)
    with pytest.raises(RuleError) as refusal:
        devices.issue_badge(operator, by=administrator)
    assert refusal.value.code == "inactive"
    assert not Badge.objects.filter(user__username=SYSTEM).exists()


def test_a_badge_has_a_code_and_a_pin_that_is_kept_as_a_hash(operator, administrator):
    badge, pin = devices.issue_badge(operator, by=administrator)
    assert codes.parse(devices.code_of(badge)) == codes.Code(codes.Kind.BADGE, badge.pk)
    assert devices.checked_pin(pin) == pin
    row = Badge.objects.get()
    assert pin not in row.pin
    assert check_password(pin, row.pin)
    assert row.pin not in str(list(Badge.history.values()))


def test_pins_are_hashed_with_argon2(operator, administrator, settings):
    settings.PASSWORD_HASHERS = ["apps.accounts.hashing.Argon2"]
    devices.issue_badge(operator, by=administrator, pin=PIN)
    assert Badge.objects.get().pin.startswith("argon2$")


def test_a_person_has_one_badge_that_counts(operator, administrator):
    badge, _pin = devices.issue_badge(operator, by=administrator)
    with pytest.raises(RuleError) as refusal:
        devices.issue_badge(operator, by=administrator)
    assert refusal.value.code == "has_badge"
    assert devices.code_of(badge) in str(refusal.value)
    devices.revoke_badge(badge, by=administrator, reason="lost")
    assert devices.issue_badge(operator, by=administrator)[0] != badge


@pytest.mark.parametrize("pin", ["1234", "0000", "7777", "4321", "3456", "8901", "0987", "12345678", "99999999", "543210"])
def test_a_pin_that_everybody_tries_first_is_refused(pin):
    with pytest.raises(InvalidInput) as refusal:
        devices.checked_pin(pin)
    assert refusal.value.code == "pin_trivial"


@pytest.mark.parametrize("pin", ["", "123", "123456789", "12a4", "12 45", "-1357", "1.57", "二四六八"])
def test_a_pin_is_four_to_eight_digits(pin):
    with pytest.raises(InvalidInput) as refusal:
        devices.checked_pin(pin)
    assert refusal.value.code == "pin_shape"


@pytest.mark.parametrize(
    ("pin", "read"), [("2468", "2468"), (" 13579135 ", "13579135"), ("２４６８", "2468"), ("1123", "1123"), ("9119", "9119")]
)
def test_other_pins_are_taken(pin, read):
    assert devices.checked_pin(pin) == read


def test_made_up_pins_are_never_trivial():
    pins = {devices.made_pin() for _number in range(2000)}
    assert all(devices.checked_pin(pin) == pin for pin in pins)
    assert len(pins) > 1000


def test_badging_in_gives_a_session_on_that_handheld(handheld, operator):
    badge = handheld.badge_of(operator)
    session, text = devices.badge_in(handheld.device, devices.code_of(badge).lower(), " ２４６８")
    assert (session.user, session.device, session.badge) == (operator, handheld.device, badge)
    assert text.startswith("dks_")
    assert text not in str(list(OperatorSession.objects.values()))
    assert session.expires_at - session.started_at == timedelta(hours=12)
    assert Badge.objects.get().last_used_at == session.started_at
    assert Badge.objects.get().version == badge.version


def test_a_new_badge_in_ends_the_earlier_session_on_the_handheld(handheld, register, operator, second_operator):
    other = register("Press 2")
    first = handheld.signed_in(operator)
    elsewhere = other.signed_in(operator)
    second = handheld.signed_in(second_operator)
    assert first.get("/api/auth/me/").json()["code"] == "session_ended"
    # Who badges in elsewhere keeps his other sessions: two presses, one printer.
    assert elsewhere.get("/api/auth/me/").json()["username"] == "operator"
    assert second.get("/api/auth/me/").json()["username"] == "second_operator"


def badge_in(handheld, code, pin):
    try:
        return devices.badge_in(handheld.device, code, pin)[0].user
    except (BadCredentials, TooManyTries) as refusal:
        return refusal.code


def test_five_wrong_pins_lock_the_badge_on_the_handheld_for_a_quarter_of_an_hour(handheld, register, operator):
    code, other = devices.code_of(handheld.badge_of(operator)), register("Press 2")
    assert [badge_in(handheld, code, "9753") for _try in range(7)] == ["bad_credentials"] * 5 + ["throttled"] * 2
    with pytest.raises(TooManyTries) as refusal:
        devices.badge_in(handheld.device, code, PIN)
    assert refusal.value.wait == 900
    assert "15 minutes" in str(refusal.value)
    assert badge_in(other, code, PIN) == operator
    Bucket.objects.filter(key__startswith="pin:badge:").update(updated_at=timezone.now().timestamp() - 899)
    assert badge_in(handheld, code, PIN) == "throttled"
    Bucket.objects.filter(key__startswith="pin:badge:").update(updated_at=timezone.now().timestamp() - 901)
    assert badge_in(handheld, code, PIN) == operator


def test_the_right_pin_gives_all_five_tries_back(handheld, operator):
    code = devices.code_of(handheld.badge_of(operator))
    for _round in range(4):
        assert [badge_in(handheld, code, pin) for pin in ("9753", "9753", "9753", "9753", PIN)] == ["bad_credentials"] * 4 + [operator]


def test_a_new_pin_opens_a_locked_badge_at_once(handheld, operator, supervisor):
    badge = handheld.badge_of(operator)
    [badge_in(handheld, devices.code_of(badge), "9753") for _try in range(6)]
    pin = devices.new_pin(badge, by=supervisor)
    assert badge_in(handheld, devices.code_of(badge), PIN) == "bad_credentials"
    assert badge_in(handheld, devices.code_of(badge), pin) == operator


def test_one_handheld_does_not_try_the_pins_of_many_badges(handheld, register, operator):
    code = devices.code_of(handheld.badge_of(operator))
    tries = [badge_in(handheld, codes.encode(codes.Kind.BADGE, 1000 + number), "9753") for number in range(40)]
    assert tries == ["bad_credentials"] * 30 + ["throttled"] * 10
    assert badge_in(handheld, code, PIN) == "throttled"
    assert badge_in(register("Press 2"), code, PIN) == operator


def test_a_whole_shift_signs_in_on_one_handheld(handheld, operator):
    code = devices.code_of(handheld.badge_of(operator))
    assert [badge_in(handheld, code, PIN) for _time in range(60)] == [operator] * 60


def test_a_locked_badge_does_not_lock_the_handheld_for_the_others(handheld, operator, second_operator):
    code = devices.code_of(handheld.badge_of(operator))
    [badge_in(handheld, code, "9753") for _try in range(80)]
    assert badge_in(handheld, devices.code_of(handheld.badge_of(second_operator)), PIN) == second_operator


def test_an_unknown_badge_costs_and_reads_like_a_wrong_pin(handheld, operator, monkeypatch):
    from django.contrib.auth.hashers import MD5PasswordHasher

    known, unknown = devices.code_of(handheld.badge_of(operator)), codes.encode(codes.Kind.BADGE, 999_999)
    runs = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda self, *args: runs.append(1) or encode(self, *args))
    told = []
    for code in (known, unknown):
        with pytest.raises(BadCredentials) as refusal:
            devices.badge_in(handheld.device, code, "9753")
        told.append((str(refusal.value), len(runs)))
        runs.clear()
    assert told[0] == told[1]
    assert told[0][1] == 1
    assert [badge_in(handheld, unknown, "9753") for _try in range(5)] == ["bad_credentials"] * 4 + ["throttled"]


def test_a_revoked_badge_and_who_is_inactive_read_like_a_wrong_pin(handheld, operator, second_operator, administrator):
    badge = handheld.badge_of(operator)
    devices.revoke_badge(badge, by=administrator, reason="lost")
    assert badge_in(handheld, devices.code_of(badge), PIN) == "bad_credentials"
    badge = handheld.badge_of(second_operator)
    User.objects.filter(pk=second_operator.pk).update(is_active=False)
    assert badge_in(handheld, devices.code_of(badge), PIN) == "bad_credentials"


def test_revoking_a_badge_ends_its_sessions_everywhere(handheld, register, operator, supervisor):
    badge = handheld.badge_of(operator)
    clients = [handheld.signed_in(operator), register("Press 2").signed_in(operator)]
    devices.revoke_badge(badge, by=supervisor, reason="lost")
    assert [client.get("/api/auth/me/").json()["code"] for client in clients] == ["session_ended"] * 2
    assert Badge.history.first().history_change_reason == "lost"


def test_one_changes_ones_own_pin(handheld, operator):
    badge = handheld.badge_of(operator)
    session = handheld.signed_in(operator)
    devices.change_pin(operator, PIN, "8642", device=handheld.device)
    assert badge_in(handheld, devices.code_of(badge), PIN) == "bad_credentials"
    assert session.get("/api/auth/me/").status_code == 200
    assert badge_in(handheld, devices.code_of(badge), "8642") == operator
    last = Badge.history.first()
    assert (last.history_user, last.history_change_reason) == (operator, "PIN")


def test_guessing_at_the_present_pin_ends_like_guessing_at_the_door(handheld, operator):
    handheld.badge_of(operator)
    for device in (handheld.device, None):
        for _try in range(5):
            with pytest.raises(InvalidInput) as refusal:
                devices.change_pin(operator, "9753", "8642", device=device)
            assert (refusal.value.code, refusal.value.field) == ("wrong_pin", "pin")
        with pytest.raises(TooManyTries):
            devices.change_pin(operator, PIN, "8642", device=device)


def test_a_wrong_new_pin_is_told_before_a_try_is_counted(handheld, operator):
    handheld.badge_of(operator)
    with pytest.raises(InvalidInput) as refusal:
        devices.change_pin(operator, PIN, "1111", device=handheld.device)
    assert (refusal.value.code, refusal.value.field) == ("pin_trivial", "new_pin")
    assert not Bucket.objects.exists()


def test_who_has_no_badge_has_no_pin_to_change(operator):
    with pytest.raises(RuleError) as refusal:
        devices.change_pin(operator, PIN, "8642")
    assert refusal.value.code == "no_badge"


def test_a_revoked_badge_gets_no_new_pin(handheld, operator, administrator):
    badge = handheld.badge_of(operator)
    devices.revoke_badge(badge, by=administrator)
    with pytest.raises(RuleError) as refusal:
        devices.new_pin(badge, by=administrator)
    assert refusal.value.code == "revoked"


def in_threads(number, press):
    """What `press(which)` came to in each of so many threads that start together."""
    gate, came = threading.Barrier(number), []

    def run(which):
        gate.wait()
        try:
            came.append(press(which))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(which,)) for which in range(number)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return came


@pytest.mark.django_db(transaction=True)
def test_fifty_guesses_at_the_same_moment_are_five(handheld, operator):
    code = devices.code_of(handheld.badge_of(operator))
    came = in_threads(50, lambda which: badge_in(handheld, code, f"97{which:02}"))
    assert sorted(came) == ["bad_credentials"] * 5 + ["throttled"] * 45


@pytest.mark.django_db(transaction=True)
def test_of_many_who_badge_in_at_the_same_moment_one_is_signed_in(handheld, operator, second_operator):
    badges = [devices.code_of(handheld.badge_of(person)) for person in (operator, second_operator)]
    came = in_threads(8, lambda which: badge_in(handheld, badges[which % 2], PIN))
    assert set(came) <= {operator, second_operator, "throttled"}
    assert OperatorSession.objects.filter(ended_at=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_badges_issued_at_the_same_moment_are_one(handheld, operator, administrator):
    def issue(_which):
        try:
            return devices.issue_badge(again(operator), by=again(administrator))[0].pk
        except RuleError as refusal:
            return refusal.code

    came = in_threads(4, issue)
    assert came.count("has_badge") == 3
    assert Badge.objects.count() == 1
