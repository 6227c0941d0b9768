"""The doors of a handheld: what is open to it alone, how a person signs in on it, when he is out."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework.views import APIView

from apps.accounts.models import User
from apps.core.models import Bucket
from apps.scanning import codes
from apps.scanning.models import Badge, Device, OperatorSession
from apps.scanning.services import devices
from apps.workorders.models import WorkEvent
from tests.accounts.test_api import problem
from tests.architecture.test_surfaces import _patterns
from tests.personas import api_of
from tests.queries import count_queries
from tests.scanning.conftest import PIN, client_with

BADGE, PIN_PATH, ME, LOGOUT, TASKS = "/api/auth/badge/", "/api/auth/pin/", "/api/auth/me/", "/api/auth/logout/", "/api/tasks/"
CLOSED = [
    ("get", TASKS), ("get", "/api/workorders/"), ("get", "/api/products/"), ("get", "/api/departments/"), ("get", "/api/notifications/"),
    ("get", "/api/statistics/task_summary/"), ("get", "/api/dashboard/statistics/"), ("get", "/api/schema/"), ("get", "/api/docs/"),
    ("post", "/api/workorders/"), ("post", "/api/notifications/read_all/"), ("post", LOGOUT), ("post", PIN_PATH),
    ("get", "/api/tasks/1/"), ("post", "/api/tasks/1/claim/"), ("patch", "/api/workorders/1/"), ("delete", "/api/tasks/1/"),
]  # fmt: skip
# What says that a handheld alone may call it. Whoever adds to it has thought about a handheld that was lost.
OPEN = {"BadgeView", "MeView"}
OPEN_ACTIONS = {"resolve"}


def test_badge_and_pin_give_a_session_that_works_as_the_person(handheld, operator, settings):
    answer = handheld.badge_in(operator)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["token"].startswith("dks_")
    assert body["idle_minutes"] == settings.DOCKET_BADGE_MINUTES == 15
    assert body["user"] == {
        "id": operator.pk,
        "username": "operator",
        "name": "Operator",
        "roles": ["operator"],
        "departments": [{"id": operator.departments.get().pk, "code": "printing", "name": "printing", "is_lead": False}],
    }
    device = {"id": handheld.device.pk, "name": "Press 1", "department": "printing"}
    assert client_with(body["token"]).get(ME).json() == body["user"] | {"device": device}


def test_what_is_done_on_a_handheld_is_signed_with_person_and_handheld(handheld, operator, pending_task):
    client = handheld.signed_in(operator)
    assert client.post(f"{TASKS}{pending_task.pk}/claim/").status_code == 200
    event = WorkEvent.objects.latest("pk")
    assert (event.actor, event.device, event.source) == (operator, "Press 1", "api")
    assert api_of(operator).post(f"{TASKS}{pending_task.pk}/release/", {"reason": "Lunch."}, format="json").status_code == 200
    assert WorkEvent.objects.latest("pk").device == ""


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_handheld_alone_may_do_nothing_else(handheld, method, path):
    body = problem(getattr(handheld.alone, method)(path), 403, "badge_needed")
    assert body["retry"] == "after_login"
    assert body["detail"] == "Sign in with your badge and PIN first."


def test_every_view_is_closed_to_a_handheld_alone_that_does_not_open_itself():
    views = {getattr(pattern.callback, "cls", None) for pattern in _patterns(get_resolver())}
    views = {view for view in views if view and issubclass(view, APIView)}
    assert {view.__name__ for view in views if getattr(view, "takes_device", False)} == OPEN
    opened = {action.__name__ for view in views if hasattr(view, "get_extra_actions") for action in view.get_extra_actions()
              if action.kwargs.get("takes_device")}  # fmt: skip
    assert opened <= OPEN_ACTIONS


def test_a_handheld_alone_is_told_which_one_it_is(handheld):
    assert handheld.alone.get(ME).json() == {
        "id": None,
        "username": "",
        "name": "",
        "roles": [],
        "departments": [],
        "device": {"id": handheld.device.pk, "name": "Press 1", "department": "printing"},
    }


def test_only_a_handheld_takes_a_badge(handheld, operator):
    body = {"badge": devices.code_of(handheld.badge_of(operator)), "pin": PIN}
    problem(APIClient().post(BADGE, body, format="json"), 401, "not_signed_in")
    problem(api_of(operator).post(BADGE, body, format="json"), 403, "device_needed")
    problem(handheld.signed_in(operator).post(BADGE, body, format="json"), 403, "device_needed")
    browser = Client()
    browser.force_login(operator)
    problem(browser.post(BADGE, body, content_type="application/json"), 403, "device_needed")


@pytest.mark.parametrize("scheme", ["Token", "token", "Bearer"])
def test_both_schemes_are_read(handheld, scheme):
    assert APIClient(headers={"Authorization": f"{scheme} {handheld.token}"}).get(ME).status_code == 200


@pytest.mark.parametrize("text", ["dkd_", "dkd_wrong", "dks_", "dks_wrong", "dkd_\x7f", "dks_" + "x" * 5000])
def test_an_unknown_token_is_a_401(handheld, text):
    body = problem(APIClient(headers={"Authorization": f"Token {text}"}).get(ME), 401, "token_unknown")
    assert body["retry"] == "after_login"


def test_wrong_badge_and_wrong_pin_read_the_same(handheld, operator):
    known = devices.code_of(handheld.badge_of(operator))
    unknown = codes.encode(codes.Kind.BADGE, 999_999)
    told = [handheld.alone.post(BADGE, {"badge": code, "pin": "9753"}, format="json") for code in (known, unknown)]
    assert problem(told[0], 401, "bad_credentials") == problem(told[1], 401, "bad_credentials")
    assert told[0].json()["retry"] == "never"


def test_a_badge_that_was_not_read_right_is_told_as_such_and_counts_as_no_try(handheld, operator):
    code = devices.code_of(handheld.badge_of(operator))
    other = code[:-1] + ("A" if code[-1] != "A" else "B")
    problem(handheld.alone.post(BADGE, {"badge": other, "pin": PIN}, format="json"), 400, "wrong_check")
    problem(handheld.alone.post(BADGE, {"badge": "hello", "pin": PIN}, format="json"), 400, "bad_code")
    task = codes.encode(codes.Kind.TASK, 1)
    assert (
        problem(handheld.alone.post(BADGE, {"badge": task, "pin": PIN}, format="json"), 400, "not_a_badge")["errors"][0]["field"] == "badge"
    )
    foreign = f"https://other.example.com/s/{code}"
    problem(handheld.alone.post(BADGE, {"badge": foreign, "pin": PIN}, format="json"), 400, "foreign_host")
    assert handheld.alone.post(BADGE, {"badge": f"http://testserver/s/{code}", "pin": PIN}, format="json").status_code == 200
    assert not Bucket.objects.filter(key__startswith="pin:badge:").exists()


def test_the_sixth_wrong_pin_is_told_when_to_come_back(handheld, operator):
    code = devices.code_of(handheld.badge_of(operator))
    # A key of idempotency would take the count back with the refusal: it has no effect here.
    answers = [
        handheld.alone.post(BADGE, {"badge": code, "pin": "9753"}, format="json", headers={"Idempotency-Key": f"try-{number}"})
        for number in range(7)
    ]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 2
    assert problem(answers[-1], 429, "throttled")["retry"] == "same_key"
    assert 890 < int(answers[-1]["Retry-After"]) <= 900
    assert handheld.badge_in(operator).status_code == 429


@pytest.mark.parametrize(
    "body",
    [
        {}, {"badge": "E1"}, {"pin": PIN}, {"badge": 7, "pin": PIN}, {"badge": "E1", "pin": 2468}, {"badge": ["E1"], "pin": PIN},
        {"badge": "E" * 500, "pin": PIN}, {"badge": "E1", "pin": "1" * 500}, {"badge": "", "pin": ""}, {"badge": "E1", "pin": PIN, "as": 1},
        [], "E1", None,
    ],
)  # fmt: skip
def test_a_wrong_shape_is_a_400(handheld, body):
    problem(handheld.alone.post(BADGE, body, format="json"), 400, "invalid")


def test_signing_out_ends_the_session_at_once_and_only_it(handheld, register, operator):
    here, there = handheld.signed_in(operator), register("Press 2").signed_in(operator)
    assert here.post(LOGOUT).status_code == 204
    problem(here.get(ME), 401, "session_ended")
    assert there.get(ME).status_code == 200
    assert handheld.alone.get(ME).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"expires_at": timezone.now()},
        {"ended_at": timezone.now()},
        {"last_used_at": timezone.now() - timedelta(minutes=16)},
    ],
)
def test_a_session_that_is_old_or_idle_or_over_signs_nobody_in(handheld, operator, change):
    client = handheld.signed_in(operator)
    OperatorSession.objects.update(**change)
    body = problem(client.get(ME), 401, "session_ended")
    assert body["retry"] == "after_login"


def test_a_session_that_is_used_goes_on(handheld, operator):
    client = handheld.signed_in(operator)
    for _time in range(3):
        OperatorSession.objects.update(last_used_at=timezone.now() - timedelta(minutes=14, seconds=59))
        assert client.get(ME).status_code == 200


def test_how_long_a_session_may_be_idle_is_the_sites_to_say(handheld, operator, settings):
    settings.DOCKET_BADGE_MINUTES = 60
    client = handheld.signed_in(operator)
    OperatorSession.objects.update(last_used_at=timezone.now() - timedelta(minutes=59))
    assert client.get(ME).status_code == 200
    OperatorSession.objects.update(last_used_at=timezone.now() - timedelta(minutes=62))
    problem(client.get(ME), 401, "session_ended")


def test_a_session_ends_with_its_person_and_its_badge(handheld, operator, second_operator):
    client = handheld.signed_in(operator)
    User.objects.filter(pk=operator.pk).update(is_active=False)
    problem(client.get(ME), 401, "session_ended")
    client = handheld.signed_in(second_operator)
    Badge.objects.update(revoked_at=timezone.now())
    problem(client.get(ME), 401, "session_ended")


def test_a_changed_right_counts_from_the_next_request_on(handheld, operator):
    client = handheld.signed_in(operator)
    assert client.get(TASKS).status_code == 200
    operator.groups.clear()
    problem(client.get(TASKS), 403, "not_allowed")


def test_telling_who_is_signed_in_costs_one_query_and_one_more_each_minute(handheld, operator):
    client = handheld.signed_in(operator)
    with count_queries() as statements:
        client.get("/api/schema/")
    assert len(statements) == 1
    OperatorSession.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    with count_queries() as statements:
        client.get("/api/schema/")
    assert len(statements) == 2
    with count_queries() as statements:
        client.get("/api/schema/")
    assert len(statements) == 1


def test_badging_in_costs_at_most_so_many_queries(handheld, operator):
    body = {"badge": devices.code_of(handheld.badge_of(operator)), "pin": PIN}
    handheld.alone.post(BADGE, body, format="json")
    with count_queries(most=16):
        assert handheld.alone.post(BADGE, body, format="json").status_code == 200


def test_a_handheld_alone_has_a_limit_of_its_own(handheld, register, operator, settings):
    settings.DOCKET_API_PER_MINUTE = 10
    signed_in = handheld.signed_in(operator)
    answers = [handheld.alone.get(ME).status_code for _time in range(12)]
    assert answers == [200] * 10 + [429] * 2
    assert register("Press 2").alone.get(ME).status_code == 200
    assert signed_in.get(ME).status_code == 200


def test_badging_in_is_limited_for_each_handheld_too(handheld, settings):
    settings.DOCKET_API_PER_MINUTE = 10
    answers = [handheld.alone.post(BADGE, {}, format="json").status_code for _time in range(12)]
    assert answers == [400] * 10 + [429] * 2


def test_one_changes_ones_own_pin(handheld, operator):
    client = handheld.signed_in(operator)
    assert client.post(PIN_PATH, {"pin": PIN, "new_pin": "8642"}, format="json").status_code == 204
    assert handheld.badge_in(operator, "8642").status_code == 200
    assert api_of(operator).post(PIN_PATH, {"pin": "8642", "new_pin": PIN}, format="json").status_code == 204


def test_a_pin_is_changed_by_who_knows_it_and_not_by_guessing(handheld, operator):
    client = handheld.signed_in(operator)
    answers = [
        client.post(PIN_PATH, {"pin": "9753", "new_pin": "8642"}, format="json", headers={"Idempotency-Key": f"try-{number}"})
        for number in range(6)
    ]
    assert [answer.status_code for answer in answers] == [400] * 5 + [429]
    assert problem(answers[0], 400, "wrong_pin")["errors"][0]["field"] == "pin"


def test_a_trivial_new_pin_is_refused_at_its_field(handheld, operator):
    client = handheld.signed_in(operator)
    body = problem(client.post(PIN_PATH, {"pin": PIN, "new_pin": "1234"}, format="json"), 400, "pin_trivial")
    assert body["errors"][0]["field"] == "new_pin"


def test_who_has_no_badge_is_told_whom_to_ask(operator):
    problem(api_of(operator).post(PIN_PATH, {"pin": PIN, "new_pin": "8642"}, format="json"), 409, "no_badge")


def test_an_old_token_signs_out_as_before(handheld, operator):
    client = api_of(operator)
    assert client.post(LOGOUT).status_code == 204
    problem(client.get(ME), 401, "token_revoked")
    assert Device.objects.get().revoked_at is None
