from datetime import timedelta

import pytest
from django.conf import settings as configured
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts import services
from apps.accounts.models import SYSTEM, AccessToken, User
from apps.accounts.roles import Role
from apps.core.errors import RuleError, TooManyTries
from apps.core.models import Bucket
from tests.personas import PASSWORD, api_of
from tests.queries import count_queries

ME = "/api/auth/me/"


def login(username="operator", password=PASSWORD, **headers):
    return APIClient().post("/api/auth/login/", {"username": username, "password": password}, format="json", headers=headers)


def problem(response, status, code):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["detail"]
    return body


def test_signing_in_answers_with_a_token_and_who_one_is(operator):
    answer = login().json()
    assert answer["token"].startswith("dkt_")
    assert answer["user"] == {
        "id": operator.pk,
        "username": "operator",
        "name": "Operator",
        "roles": ["operator"],
        "departments": [{"id": operator.departments.get().pk, "code": "printing", "name": "printing", "is_lead": False}],
    }
    assert answer["expires_at"]
    client = APIClient(headers={"Authorization": f"Bearer {answer['token']}"})
    assert client.get(ME).json() == answer["user"] | {"device": None}


def test_the_table_holds_no_usable_token(operator):
    token = login().json()["token"]
    row = AccessToken.objects.get()
    assert token.startswith(row.prefix)
    assert token not in str(list(AccessToken.objects.values()))
    assert APIClient(headers={"Authorization": f"Token {row.digest}"}).get(ME).status_code == 401


def test_an_unknown_name_reads_like_a_wrong_password(operator):
    wrong, unknown = login(password="nonsense").json(), login(username="nobody-here", password="nonsense").json()
    assert wrong == unknown
    assert (wrong["status"], wrong["code"], wrong["retry"]) == (401, "bad_credentials", "never")


def test_an_unknown_name_costs_a_password_check_too(operator, settings, monkeypatch):
    """Same time: the same hasher runs once for both."""
    from django.contrib.auth.hashers import MD5PasswordHasher

    runs = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda self, *args: runs.append(1) or encode(self, *args))
    login(password="nonsense")
    known, runs[:] = len(runs), []
    login(username="nobody-here", password="nonsense")
    assert (known, len(runs)) == (1, 1)


def test_who_is_inactive_cannot_sign_in(operator):
    User.objects.filter(pk=operator.pk).update(is_active=False)
    problem(login(), 401, "bad_credentials")


def test_the_system_user_cannot_sign_in(shop):
    services.system_user()
    problem(login(username=SYSTEM, password=""), 400, "invalid")
    problem(login(username=SYSTEM, password="!"), 401, "bad_credentials")
    with pytest.raises(RuleError):
        services.issue_token(services.system_user())


def test_guessing_at_one_account_is_cut_off_and_told_when_to_come_back(operator):
    answers = [login(password=f"guess {number}", **{"X-Forwarded-For": f"10.0.0.{number}"}) for number in range(20)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 10
    body = problem(answers[-1], 429, "throttled")
    assert body["retry"] == "same_key"
    assert int(answers[-1]["Retry-After"]) == 30
    # The right password waits too, or the answer would tell a guesser that he has it.
    assert login().status_code == 429
    assert login(username="maker").status_code == 200


def test_an_unknown_account_is_limited_like_a_known_one(shop):
    assert [login(username="ghost", password="x").status_code for _ in range(11)][-1] == 429


def test_guessing_over_many_accounts_is_cut_off_by_address(shop):
    answers = [login(username=f"user {number}", password="x").status_code for number in range(30)]
    assert answers == [401] * 20 + [429] * 10


def test_a_whole_factory_signs_in_from_one_address(shop):
    assert [login(username="operator").status_code for _ in range(40)] == [200] * 40


def test_a_forged_forwarded_address_does_not_count(shop, settings):
    settings.TRUSTED_PROXIES = 0
    for number in range(20):
        login(username=f"user {number}", password="x", **{"X-Forwarded-For": f"10.9.0.{number}"})
    assert login(username="one more", password="x", **{"X-Forwarded-For": "10.9.9.9"}).status_code == 429


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "1.1.1.1", "9.9.9.9"),
        (1, "1.1.1.1, 2.2.2.2", "2.2.2.2"),
        (2, "1.1.1.1, 2.2.2.2", "1.1.1.1"),
        (2, "2.2.2.2", "9.9.9.9"),
        (1, "", "9.9.9.9"),
    ],
)
def test_the_address_is_what_the_trusted_proxies_say(rf, settings, proxies, forwarded, address):
    settings.TRUSTED_PROXIES = proxies
    request = rf.get("/", REMOTE_ADDR="9.9.9.9", headers={"X-Forwarded-For": forwarded})
    assert services.client_address(request) == address


def test_a_socket_without_an_address_still_has_a_name(rf):
    assert services.client_address(rf.get("/", REMOTE_ADDR="")) == "unknown"


def test_signing_in_forgets_the_wrong_tries(operator):
    for _try in range(8):
        login(password="nonsense")
    assert login().status_code == 200
    assert [login(password="nonsense").status_code for _ in range(10)] == [401] * 10


def test_limits_are_rows_and_name_nobody(operator):
    login(password="nonsense")
    assert not any("operator" in key or "127.0.0.1" in key for key in Bucket.objects.values_list("key", flat=True))


def test_sign_in_raises_what_a_form_can_say(shop):
    for _try in range(10):
        with pytest.raises(services.BadCredentials):
            services.sign_in("maker", "x", "1.2.3.4")
    with pytest.raises(TooManyTries):
        services.sign_in("maker", PASSWORD, "1.2.3.4")


@pytest.mark.parametrize("scheme", ["Token", "token", "Bearer", "BEARER"])
def test_both_schemes_are_read(operator, scheme):
    _row, text = services.issue_token(operator)
    assert APIClient(headers={"Authorization": f"{scheme} {text}"}).get(ME).status_code == 200


@pytest.mark.parametrize("header", ["", "Token", "Token ", "Token dkt_wrong", "Bearer \x7f", "Basic b3BlcmF0b3I6eA=="])
def test_no_usable_token_is_a_401_that_says_to_sign_in(shop, header):
    body = APIClient(headers={"Authorization": header} if header else {}).get(ME).json()
    assert (body["status"], body["retry"]) == (401, "after_login")


def test_a_401_names_the_scheme(shop):
    assert APIClient().get(ME)["WWW-Authenticate"].startswith("Token")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "token_expired"),
        ({"revoked_at": timezone.now()}, "token_revoked"),
    ],
)
def test_a_token_that_ended_signs_nobody_in(operator, change, code):
    client = api_of(operator)
    AccessToken.objects.update(**change)
    assert problem(client.get(ME), 401, code)["retry"] == "after_login"


def test_a_token_ends_with_its_user(operator):
    client = api_of(operator)
    User.objects.filter(pk=operator.pk).update(is_active=False)
    problem(client.get(ME), 401, "token_unknown")


def test_a_token_lasts_as_long_as_the_site_says(operator, settings):
    settings.DOCKET_TOKEN_DAYS = 3
    row, _text = services.issue_token(operator)
    assert timedelta(days=2, hours=23) < row.expires_at - timezone.now() <= timedelta(days=3)


def test_tokens_made_under_an_older_key_still_count(operator, settings):
    client = api_of(operator)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new key " * 5, [configured.SECRET_KEY]
    assert client.get(ME).status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert client.get(ME).status_code == 401


def test_signing_out_ends_the_token_at_once(operator):
    client = api_of(operator)
    assert client.post("/api/auth/logout/").status_code == 204
    problem(client.get(ME), 401, "token_revoked")


def test_signing_out_leaves_the_other_devices(operator):
    one, other = api_of(operator), api_of(operator)
    one.post("/api/auth/logout/")
    assert other.get(ME).status_code == 200


def test_the_last_use_is_written_at_most_once_a_minute(operator):
    client = api_of(operator)
    client.get(ME)
    first = AccessToken.objects.get().last_used_at
    client.get(ME)
    assert AccessToken.objects.get().last_used_at == first
    AccessToken.objects.update(last_used_at=first - timedelta(seconds=61))
    client.get(ME)
    assert AccessToken.objects.get().last_used_at > first - timedelta(seconds=1)


def test_telling_who_sends_a_request_costs_one_query(operator):
    client = api_of(operator)
    client.get(ME)
    with count_queries() as statements:
        client.get("/api/nothing/")
    assert len(statements) == 0
    with count_queries() as statements:
        client.get("/api/schema/")
    assert len(statements) == 1


def test_a_token_is_revoked_by_its_owner_and_by_administrators(operator, administrator, stranger):
    from django.core.exceptions import PermissionDenied

    row, _text = services.issue_token(operator)
    with pytest.raises(PermissionDenied):
        services.revoke_token(row, by=stranger)
    services.revoke_token(row, by=administrator)
    first = AccessToken.objects.get(pk=row.pk).revoked_at
    assert first
    services.revoke_token(row, by=operator)
    assert AccessToken.objects.get(pk=row.pk).revoked_at == first


def test_the_session_of_the_admin_works_with_its_csrf_token(supervisor, pending_task):
    client = Client(enforce_csrf_checks=True)
    client.force_login(supervisor)
    assert client.get(ME).json()["username"] == "supervisor"
    body = problem(client.post(f"/api/tasks/{pending_task.pk}/claim/"), 403, "csrf")
    assert "X-CSRFToken" in body["detail"]
    client.cookies["csrftoken"] = "a" * 32
    assert client.post(f"/api/tasks/{pending_task.pk}/claim/", {}, "application/json", headers={"X-CSRFToken": "a" * 32}).status_code == 200


def test_a_session_signs_out_too(supervisor):
    client = Client()
    client.force_login(supervisor)
    assert client.post("/api/auth/logout/", {}, "application/json").status_code == 204
    assert client.get(ME).status_code == 401


def test_a_key_of_idempotency_keeps_no_token(operator):
    first = login(**{"Idempotency-Key": "sign-in-1"}).json()["token"]
    second = login(**{"Idempotency-Key": "sign-in-1"}).json()["token"]
    assert first != second


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "operator"},
        {"username": "operator", "password": ""},
        {"username": ["operator"], "password": "x"},
        {"username": {"a": 1}, "password": "x"},
        {"username": 7, "password": "x"},
        {"username": "operator", "password": True},
        {"username": "o" * 200, "password": "x"},
        {"username": "operator", "password": "x" * 5000},
        {"username": "operator", "password": "x", "is_superuser": True},
        [],
        "operator",
        None,
    ],
)
def test_a_wrong_shape_of_signing_in_is_a_400(shop, body):
    problem(APIClient().post("/api/auth/login/", body, format="json"), 400, "invalid")


def test_departments_are_those_in_sight(supervisor, operator, planner):
    assert {row["code"] for row in api_of(supervisor).get("/api/departments/").json()["results"]} == {
        "production", "cutting", "printing", "outsourcing", "die_cutting", "packaging",
    }  # fmt: skip
    assert api_of(planner).get("/api/departments/?count=1").json()["count"] == 8
    problem(api_of(operator).get("/api/departments/"), 403, "not_allowed")
    assert [row["code"] for row in api_of(planner).get("/api/departments/?parent=production&search=cutt").json()["results"]] == [
        "cutting",
        "die_cutting",
    ]


def test_roles_are_synced_once(db):
    services.sync_roles()
    assert services.sync_roles() == 0
    assert Group.objects.filter(name__in=Role.values).count() == len(Role.values)


def test_there_is_one_system_user(db):
    assert services.system_user() == services.system_user()
    assert services.system_user().is_system
