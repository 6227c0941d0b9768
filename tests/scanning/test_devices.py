"""Handhelds: registered by administrators, known by a token of their own, out at once when revoked."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from apps.accounts.services import digest_of
from apps.core.errors import InvalidInput
from apps.scanning.models import Device, OperatorSession
from apps.scanning.services import devices
from tests.factories import OperatorSessionFactory
from tests.queries import count_queries
from tests.scanning.conftest import client_with

ME = "/api/auth/me/"


def test_registering_gives_a_token_that_is_kept_nowhere(shop, administrator, settings):
    device, text = devices.register_device("  Press   1 ", shop.departments["printing"], by=administrator)
    assert device.name == "Press 1"
    assert (text[:4], len(text)) == ("dkd_", 44)
    row = Device.objects.get()
    assert (row.prefix, row.digest) == (text[:12], digest_of(text, settings.SECRET_KEY))
    assert text not in str(list(Device.objects.values())) + str(list(Device.history.values()))
    assert devices.device_of(text) == row
    written = Device.history.get()
    assert (written.history_user, written.history_type) == (administrator, "+")


def test_two_handhelds_have_two_names(shop, administrator):
    devices.register_device("Press 1", shop.departments["printing"], by=administrator)
    with pytest.raises(InvalidInput) as refusal:
        devices.register_device("Press 1", shop.departments["cutting"], by=administrator)
    assert (refusal.value.code, refusal.value.field) == ("taken", "name")
    with pytest.raises(InvalidInput):
        devices.register_device("  ", shop.departments["cutting"], by=administrator)
    assert Device.objects.count() == 1


@pytest.mark.parametrize("name", ["maker", "salesperson", "supervisor", "operator", "planner", "auditor", "nobody"])
def test_only_administrators_manage_handhelds(everybody, handheld, name):
    person = everybody[name]
    for press in (
        lambda: devices.register_device("Press 9", handheld.device.department, by=person),
        lambda: devices.renew_token(handheld.device, by=person),
        lambda: devices.revoke_device(handheld.device, by=person, reason="x"),
    ):
        with pytest.raises(PermissionDenied):
            press()
    assert Device.objects.get().revoked_at is None


def test_a_superuser_manages_handhelds(handheld, superuser):
    assert devices.revoke_device(handheld.device, by=superuser, reason="lost").revoked_at is not None


def test_a_renewed_token_ends_the_old_one_and_its_sessions(handheld, operator, administrator):
    session = handheld.signed_in(operator)
    old = handheld.alone
    _device, text = devices.renew_token(handheld.device, by=administrator)
    assert client_with(text).get(ME).status_code == 200
    assert old.get(ME).json()["code"] == "token_unknown"
    assert session.get(ME).json()["code"] == "session_ended"


def test_revoking_counts_at_once_for_the_handheld_and_who_is_signed_in(handheld, operator, administrator):
    session = handheld.signed_in(operator)
    devices.revoke_device(handheld.device, by=administrator, reason="Left in a taxi.")
    for client in (handheld.alone, session):
        answer = client.get(ME)
        assert (answer.status_code, answer.json()["code"]) == (401, "token_revoked")
    assert handheld.badge_in(operator).json()["code"] == "token_revoked"
    assert OperatorSession.objects.get().ended_at is not None
    assert Device.history.first().history_change_reason == "Left in a taxi."


def test_revoking_twice_changes_nothing(handheld, administrator):
    first = devices.revoke_device(handheld.device, by=administrator, reason="lost").revoked_at
    assert devices.revoke_device(handheld.device, by=administrator, reason="lost").revoked_at == first
    assert Device.history.count() == 2


def test_a_revoked_handheld_that_was_found_gets_a_new_token(handheld, administrator, operator):
    devices.revoke_device(handheld.device, by=administrator, reason="lost")
    handheld.device, handheld.token = devices.renew_token(handheld.device, by=administrator)
    assert handheld.badge_in(operator).status_code == 200


def test_tokens_made_under_an_older_key_still_count(handheld, operator, settings):
    session, old = handheld.signed_in(operator), settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key " * 5, [old]
    assert (handheld.alone.get(ME).status_code, session.get(ME).status_code) == (200, 200)
    settings.SECRET_KEY_FALLBACKS = []
    assert (handheld.alone.get(ME).status_code, session.get(ME).status_code) == (401, 401)


def test_the_time_of_the_last_sight_is_written_at_most_once_a_minute(handheld):
    handheld.alone.get(ME)
    first = Device.objects.get()
    assert first.last_seen_at is not None
    handheld.alone.get(ME)
    assert Device.objects.get().last_seen_at == first.last_seen_at
    Device.objects.update(last_seen_at=first.last_seen_at - timedelta(seconds=61))
    handheld.alone.get(ME)
    again = Device.objects.get()
    assert again.last_seen_at >= first.last_seen_at
    assert again.version == first.version
    assert Device.history.count() == 1


def test_telling_which_handheld_sends_a_request_costs_one_query(handheld):
    handheld.alone.get(ME)
    with count_queries() as statements:
        handheld.alone.get(ME)
    assert len(statements) == 1


def test_a_handheld_was_last_seen_when_somebody_used_it(handheld):
    assert Device.objects.with_last_seen().get().seen_at is None
    used = timezone.now()
    OperatorSessionFactory(device=handheld.device, last_used_at=used - timedelta(hours=1))
    OperatorSessionFactory(device=handheld.device, last_used_at=used)
    assert Device.objects.with_last_seen().get().seen_at == used
    Device.objects.update(last_seen_at=used + timedelta(minutes=1))
    assert Device.objects.with_last_seen().get().seen_at == used + timedelta(minutes=1)
