"""The pages of handhelds, badges and sessions: a token or a PIN is shown once, and everybody sees his own part."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core.models import Bucket
from apps.scanning.clocks import clock_in_words
from apps.scanning.models import Badge, Device, OperatorSession, Outcome
from apps.scanning.services import devices
from tests.factories import BadgeFactory, DeviceFactory, OperatorSessionFactory, ScanFactory
from tests.personas import client_of
from tests.queries import count_queries
from tests.scanning.conftest import PIN, client_with

DEVICES, BADGES, SESSIONS = "/admin/scanning/device/", "/admin/scanning/badge/", "/admin/scanning/operatorsession/"
HTMX = {"HX-Request": "true"}


def told(response):
    """The secret that the page shows."""
    assert response.status_code == 200, response.content[:2000]
    assert "no-store" in response["Cache-Control"]
    found = re.search(r"data-secret>([^<]+)<", response.content.decode())
    assert found, response.content.decode()[-3000:]
    return found[1]


def register(client, shop, **changes):
    body = {"name": "Press 7", "department": shop.departments["printing"].pk, "once": "00000000-0000-4000-8000-000000000007"}
    return client.post(f"{DEVICES}add/", body | changes)


def test_registering_shows_the_token_once(shop, administrator):
    client = client_of(administrator)
    answer = register(client, shop)
    token = told(answer)
    assert client_with(token).get("/api/auth/me/").json()["device"]["name"] == "Press 7"
    assert "data:image/svg+xml" in answer.content.decode()
    device = Device.objects.get()
    assert device.registered_by == administrator
    for page in (DEVICES, f"{DEVICES}{device.pk}/change/", f"{DEVICES}{device.pk}/history/"):
        text = client.get(page).content.decode()
        assert "Press 7" in text
        assert token not in text
        assert device.digest not in text


def test_a_double_click_registers_one_handheld(shop, administrator):
    client = client_of(administrator)
    told(register(client, shop))
    again = register(client, shop, name="Press 8")
    assert (again.status_code, Device.objects.count()) == (302, 1)


def test_a_name_that_is_taken_is_told_at_its_field(shop, administrator):
    client = client_of(administrator)
    register(client, shop)
    answer = register(client, shop, once="00000000-0000-4000-8000-000000000008")
    assert answer.status_code == 200
    assert "data-secret" not in answer.content.decode()
    assert Device.objects.count() == 1


def test_renaming_is_a_change_with_a_history(handheld, administrator):
    client, page = client_of(administrator), f"{DEVICES}{handheld.device.pk}/change/"
    body = {"name": "Press 1, left", "department": handheld.device.department_id, "version": 1}
    assert client.post(page, body).status_code == 302
    assert handheld.alone.get("/api/auth/me/").json()["device"]["name"] == "Press 1, left"
    assert Device.history.first().history_user == administrator
    assert "Somebody saved this meanwhile" in client.post(page, body | {"name": "Press 2"}).content.decode()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_new_token_is_shown_once(handheld, administrator, headers):
    client, page = client_of(administrator), f"{DEVICES}{handheld.device.pk}/renew/"
    answer = client.post(page, {"once": "00000000-0000-4000-8000-000000000009"}, headers=headers)
    token = told(answer)
    assert handheld.alone.get("/api/auth/me/").status_code == 401
    assert client_with(token).get("/api/auth/me/").status_code == 200
    # The dialog gives way as a whole: its button would renew once more.
    assert answer.get("HX-Retarget") == ("#dialog" if headers else None)
    again = client.post(page, {"once": "00000000-0000-4000-8000-000000000009"}, headers=headers)
    assert "data-secret" not in again.content.decode()
    assert client_with(token).get("/api/auth/me/").status_code == 200


def test_revoking_asks_for_the_reason(handheld, administrator):
    client, page = client_of(administrator), f"{DEVICES}{handheld.device.pk}/revoke/"
    assert client.get(page).status_code == 200
    assert client.post(page, {"reason": ""}).status_code == 400
    assert client.post(page, {"reason": "Left in a taxi."}).status_code == 302
    assert Device.objects.get().revoked_at is not None
    assert client.get(page).status_code == 403


@pytest.mark.parametrize(
    ("name", "status"),
    [("administrator", 200), ("supervisor", 200), ("planner", 200), ("auditor", 200), ("operator", 403), ("maker", 403), ("nobody", 403)],
)
def test_who_sees_handhelds(everybody, handheld, name, status):
    client = client_of(everybody[name])
    assert client.get(DEVICES).status_code == status
    assert client.get(f"{DEVICES}add/").status_code == (200 if name == "administrator" else 403)
    for verb in ("renew", "revoke"):
        assert client.get(f"{DEVICES}{handheld.device.pk}/{verb}/").status_code == (200 if name == "administrator" else 403)


def test_a_supervisor_sees_the_handhelds_of_his_departments(shop, handheld, prepress_lead, supervisor):
    assert "Press 1" in client_of(supervisor).get(DEVICES).content.decode()
    other = client_of(prepress_lead)
    assert "Press 1" not in other.get(DEVICES).content.decode()
    assert other.get(f"{DEVICES}{handheld.device.pk}/change/").status_code == 404


def test_nothing_of_the_floor_is_deleted(handheld, operator, superuser):
    badge = handheld.badge_of(operator)
    handheld.signed_in(operator)
    client = client_of(superuser)
    pages = ((DEVICES, handheld.device.pk), (BADGES, badge.pk), (SESSIONS, OperatorSession.objects.get().pk))
    assert [client.get(f"{page}{pk}/delete/").status_code for page, pk in pages] == [403] * 3


MINUTE = 60_000


@pytest.mark.parametrize(
    ("offset", "words"),
    [
        (None, "–"),
        (0, "right"),
        (-2 * MINUTE, "right"),
        (3 * MINUTE, "3\xa0minutes fast"),
        (-90 * MINUTE, "1\xa0hour, 30\xa0minutes slow"),
        (-400 * 24 * 60 * MINUTE, "1\xa0year, 1\xa0month slow"),
        (2**63 - 1, "99\xa0years, 11\xa0months fast"),
    ],
)
def test_a_clock_is_told_in_words(offset, words):
    assert clock_in_words(offset) == words


def test_the_list_tells_the_clock_the_refusals_and_the_last_sight(handheld, operator, supervisor, administrator):
    now = timezone.now()
    Device.objects.update(clock_offset_ms=-3_600_000, last_seen_at=now - timedelta(hours=2))
    for age, outcome in ((1, Outcome.REFUSED), (2, Outcome.REFUSED), (30, Outcome.REFUSED), (1, Outcome.APPLIED)):
        ScanFactory(device=handheld.device, user=operator, outcome=outcome, received_at=now - timedelta(hours=age))
    text = client_of(supervisor).get(DEVICES).content.decode()
    assert "1\xa0hour slow" in text
    assert "2\xa0hours ago" in text
    assert "2 scans" in text
    assert f"/admin/scanning/scan/?device__id__exact={handheld.device.pk}&amp;outcome__exact=refused" in text
    # An administrator counts them, and does not read what people did.
    text = client_of(administrator).get(DEVICES).content.decode()
    assert "2 scans" in text
    assert "outcome__exact" not in text


def test_the_refusals_link_opens_the_list_that_it_names(handheld, operator, supervisor):
    scan = ScanFactory(device=handheld.device, user=operator, outcome=Outcome.REFUSED)
    ScanFactory(device=handheld.device, user=operator, outcome=Outcome.APPLIED)
    ScanFactory(device=DeviceFactory(department=handheld.device.department), user=operator, outcome=Outcome.REFUSED)
    answer = client_of(supervisor).get(f"/admin/scanning/scan/?device__id__exact={handheld.device.pk}&outcome__exact=refused")
    assert answer.status_code == 200
    assert list(answer.context["cl"].result_list) == [scan]


@pytest.mark.parametrize(
    ("page", "factory"),
    [(DEVICES, DeviceFactory), (BADGES, BadgeFactory), (SESSIONS, OperatorSessionFactory)],
    ids=["device", "badge", "session"],
)
def test_a_list_costs_the_same_for_two_rows_and_for_fifty(shop, superuser, page, factory):
    client = client_of(superuser)
    factory.create_batch(2)
    client.get(page)
    with count_queries() as few:
        client.get(page)
    factory.create_batch(20)
    with count_queries() as many:
        client.get(page)
    assert len(many) == len(few), many


def issue(client, person, **changes):
    return client.post(f"{BADGES}add/", {"user": person.pk, "chosen": "", "once": "00000000-0000-4000-8000-000000000010"} | changes)


def test_issuing_a_badge_shows_the_pin_once(handheld, operator, supervisor):
    client = client_of(supervisor)
    pin = told(issue(client, operator))
    badge = Badge.objects.get()
    assert (badge.user, badge.issued_by) == (operator, supervisor)
    assert devices.badge_in(handheld.device, devices.code_of(badge), pin)[0].user == operator
    text = client.get(f"{BADGES}{badge.pk}/change/").content.decode()
    assert devices.code_of(badge) in text
    assert badge.pin not in text


def test_a_person_may_choose_the_pin(operator, supervisor):
    client = client_of(supervisor)
    assert "guessed first" in issue(client, operator, chosen="1234").content.decode()
    assert not Badge.objects.exists()
    assert told(issue(client, operator, chosen="２４６８")) == "2468"


def test_only_people_in_sight_without_a_badge_are_offered(handheld, operator, second_operator, stranger, maker, supervisor):
    handheld.badge_of(second_operator)
    client = client_of(supervisor)
    text = client.get(f"{BADGES}add/").content.decode()
    offered = {int(pk) for pk in re.findall(r'<option value="(\d+)"', text)}
    assert {operator.pk, stranger.pk} <= offered
    assert not offered & {second_operator.pk, maker.pk}
    assert issue(client, maker).status_code == 200
    assert Badge.objects.count() == 1


def test_a_new_pin_is_shown_once_and_ends_the_sessions(handheld, operator, supervisor):
    session = handheld.signed_in(operator)
    badge = Badge.objects.get()
    answer = client_of(supervisor).post(f"{BADGES}{badge.pk}/pin/", {"pin": ""}, headers=HTMX)
    pin = told(answer)
    assert session.get("/api/auth/me/").json()["code"] == "session_ended"
    assert handheld.badge_in(operator, pin).status_code == 200


def test_a_pin_that_is_no_pin_is_told_in_the_dialog(handheld, operator, supervisor):
    badge = handheld.badge_of(operator)
    answer = client_of(supervisor).post(f"{BADGES}{badge.pk}/pin/", {"pin": "0000"})
    assert answer.status_code == 409
    assert "guessed first" in answer.content.decode()
    assert not Bucket.objects.exists()
    assert devices.badge_in(handheld.device, devices.code_of(badge), PIN)


def test_revoking_a_badge_lets_the_person_get_another_one(handheld, operator, supervisor):
    badge = handheld.badge_of(operator)
    client = client_of(supervisor)
    assert client.post(f"{BADGES}{badge.pk}/revoke/", {"reason": "Lost."}).status_code == 302
    told(issue(client, operator))
    assert Badge.objects.live().get() != badge


@pytest.mark.parametrize(
    ("name", "listed", "may"),
    [
        ("administrator", 200, 200), ("supervisor", 200, 200), ("auditor", 200, 403), ("planner", 403, 403), ("operator", 403, 403),
        ("maker", 403, 403), ("prepress_lead", 200, 404),
    ],
)  # fmt: skip
def test_who_sees_and_gives_badges(everybody, handheld, operator, name, listed, may):
    badge = handheld.badge_of(operator)
    client = client_of(everybody[name])
    assert client.get(BADGES).status_code == listed
    for verb in ("pin", "revoke"):
        assert client.get(f"{BADGES}{badge.pk}/{verb}/").status_code == may
        assert client.post(f"{BADGES}{badge.pk}/{verb}/", {"reason": "x", "pin": ""}).status_code == (may if may != 200 else ANY[verb])


ANY = {"pin": 200, "revoke": 302}


def test_somebody_is_signed_out_from_the_page(handheld, operator, supervisor, auditor):
    client = handheld.signed_in(operator)
    session = OperatorSession.objects.get()
    page = f"{SESSIONS}{session.pk}/end/"
    assert client_of(auditor).post(page).status_code == 403
    assert client_of(supervisor).post(page).status_code == 302
    assert client.get("/api/auth/me/").json()["code"] == "session_ended"
    assert client_of(supervisor).get(page).status_code == 403


def test_the_list_of_who_is_signed_in_agrees_with_the_door(handheld, operator):
    now = timezone.now()
    for change in (
        {}, {"ended_at": now}, {"expires_at": now}, {"last_used_at": now - timedelta(minutes=16)}, {"badge__revoked_at": now},
        {"device__revoked_at": now}, {"badge__user__is_active": False},
    ):  # fmt: skip
        OperatorSessionFactory(**change)
    open_now = set(OperatorSession.objects.open(now))
    assert len(open_now) == 1
    assert {one for one in OperatorSession.objects.all() if not devices.is_over(one, now)} == open_now


def test_the_filters_of_sessions_answer(handheld, operator, supervisor):
    handheld.signed_in(operator)
    OperatorSessionFactory(device=handheld.device, ended_at=timezone.now())
    client = client_of(supervisor)
    assert client.get(f"{SESSIONS}?state=open").context["cl"].result_count == 1
    assert client.get(f"{SESSIONS}?state=over").context["cl"].result_count == 1
    assert client.get(SESSIONS).context["cl"].result_count == 2
