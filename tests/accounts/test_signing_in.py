"""The second factor, the password once more, and who is signed in where: at the doors where people meet them."""

import re
import time
from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from django_otp.oath import hotp

from apps.accounts import second_factor as factors
from apps.accounts.models import OpenSession, SecondFactor
from apps.accounts.sessions import CONFIRMED_AT, browser_of, handle_of
from apps.core.models import Bucket
from tests.personas import PASSWORD, again, api_of, client_of
from tests.security.doors import Page

LOGIN, CODE, SETUP = reverse("admin:login"), reverse("dashboard:sign_in_code"), reverse("dashboard:second_factor")
ACCOUNT, CONFIRM = reverse("dashboard:account"), reverse("dashboard:confirm")
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def code_of(user, *, later: int = 0) -> str:
    """What the phone shows, so many half minutes from now."""
    factor = SecondFactor.objects.get(user=user)
    key = factors._opened(factor.sealed, factors.settings.SECRET_KEY)
    return f"{hotp(key, int(time.time()) // factors.STEP + later):06}"


def sign_in(user, **headers) -> Client:
    client = Client(headers=headers)
    client.post(LOGIN, {"username": user.username, "password": PASSWORD})
    return client


def is_in(client: Client) -> bool:
    return client.get(ACCOUNT).status_code == 200


@pytest.fixture
def enrolled(shop, administrator):
    """The administrator has a phone; his recovery codes."""
    factors.begin(administrator)
    return factors.enrol(administrator, code_of(administrator, later=-1))


@pytest.fixture
def stale(administrator):
    """A browser in which the administrator signed in hours ago."""
    client = client_of(administrator)
    session = client.session
    session[CONFIRMED_AT] = time.time() - 7200
    session.save()
    return client


# -- the second factor


def test_it_is_set_up_with_a_picture_and_a_code_and_shows_its_recovery_codes_once(shop, administrator):
    client = client_of(administrator)
    assert client.get(SETUP).status_code == 200
    assert not SecondFactor.objects.exists()  # looking makes nothing
    page = client.post(SETUP, {"action": "begin"}).content.decode()
    assert "data:image/svg+xml" in page
    assert "This is not the code" in client.post(SETUP, {"action": "enrol", "code": "000000"}).content.decode()
    assert factors.factor_of(administrator) is None
    page = client.post(SETUP, {"action": "enrol", "code": code_of(administrator)}).content.decode()
    codes = re.findall(r"<li><code>(\w{5}-\w{5})</code>", page)
    assert len(set(codes)) == 10
    page = client.get(SETUP).content.decode()
    assert not [code for code in codes if code in page]
    assert "10 recovery codes are left" in page
    row = administrator.history.latest("history_id")
    assert (row.history_user, row.history_change_reason) == (administrator, "second factor: on")


def test_the_password_alone_signs_in_no_more(shop, administrator, enrolled):
    client = Client()
    answer = client.post(f"{LOGIN}?next=/admin/accounts/user/", {"username": "administrator", "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, f"{CODE}?next=%2Fadmin%2Faccounts%2Fuser%2F")
    assert not is_in(client)
    answer = client.post(CODE, {"code": "000000", "next": "/admin/accounts/user/"})
    assert "The code is wrong or used." in answer.content.decode()
    assert not is_in(client)
    answer = client.post(CODE, {"code": code_of(administrator), "next": "/admin/accounts/user/"})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/accounts/user/")
    assert is_in(client)


def test_a_code_counts_once_and_so_does_a_recovery_code(shop, administrator, enrolled):
    for code in (code_of(administrator), enrolled[0].upper().replace("-", " ")):
        assert is_in_after(sign_in(administrator), code)
        assert not is_in_after(sign_in(administrator), code)
    assert administrator.history.latest("history_id").history_change_reason == "second factor: recovery code used, 9 left"


def is_in_after(client: Client, code: str) -> bool:
    client.post(CODE, {"code": code})
    return is_in(client)


def test_nobody_gets_to_the_code_without_a_password_and_not_after_its_change(shop, administrator, enrolled):
    assert Client().post(CODE, {"code": code_of(administrator)})["Location"] == LOGIN
    client = sign_in(administrator)
    user = again(administrator)
    user.set_password("another-one-5")
    user.save()
    assert client.post(CODE, {"code": code_of(administrator)})["Location"] == LOGIN
    assert not is_in(client)


def test_codes_are_guessed_five_times_and_then_seldom(shop, administrator, enrolled):
    client = sign_in(administrator)
    said = [client.post(CODE, {"code": f"{number:06}"}).content.decode() for number in range(6)]
    assert ["Too many tries" in page for page in said] == [False] * 5 + [True]
    assert not is_in_after(client, code_of(administrator))  # the right one is not looked at either
    Bucket.objects.filter(key__startswith="second-factor:").delete()
    assert is_in_after(client, code_of(administrator))


def test_the_api_asks_for_the_code_too(shop, administrator, enrolled):
    body = {"username": "administrator", "password": PASSWORD}
    api = api_of(None)
    answer = api.post("/api/auth/login/", body)
    assert (answer.status_code, answer.json()["code"]) == (401, "second_factor")
    assert api.post("/api/auth/login/", body | {"code": "000000"}).status_code == 401
    assert api.post("/api/auth/login/", body | {"code": code_of(administrator)}).status_code == 200


def test_the_table_holds_nothing_that_signs_in(shop, administrator, enrolled, settings):
    row = SecondFactor.objects.get()
    kept = f"{row.sealed} {row.recovery}"
    assert not [code for code in enrolled if code.replace("-", "") in kept]
    assert factors.key_of(row) not in kept
    right = code_of(administrator)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "x" * 60
    assert code_of(administrator) != right  # under another key it is another phone's
    factors.check(row, right)  # while the key is being changed, the former one counts
    assert code_of(administrator) == right  # and from then on it is not needed


def test_recovery_codes_count_until_their_key_has_left_the_fallbacks(shop, administrator, enrolled, settings):
    row, key = SecondFactor.objects.get(), settings.SECRET_KEY
    settings.SECRET_KEY = "x" * 60
    with pytest.raises(factors.BadCode):
        factors.check(row, enrolled[0])
    settings.SECRET_KEY_FALLBACKS = [key]
    factors.check(row, enrolled[0])
    fresh = factors.new_recovery_codes(administrator)
    settings.SECRET_KEY_FALLBACKS = []
    factors.check(row, fresh[0])


def test_an_administrator_resets_anothers_and_ends_his_sessions(shop, administrator, superuser, planner, enrolled):
    in_use = sign_in(administrator)
    assert is_in_after(in_use, code_of(administrator))
    url = f"/admin/accounts/user/{administrator.pk}/reset_second_factor/"
    assert client_of(planner).post(url).status_code == 403
    assert SecondFactor.objects.exists()
    assert client_of(superuser).post(url).status_code == 302
    assert not is_in(in_use)
    assert is_in(sign_in(administrator))
    row = administrator.history.latest("history_id")
    assert (row.history_user, row.history_change_reason) == (superuser, "second factor: reset")


def test_a_command_resets_it_for_who_has_nobody_to_ask(shop, administrator, enrolled):
    call_command("reset_second_factor", "administrator", stdout=StringIO())
    assert is_in(sign_in(administrator))
    for name in ("administrator", "nobody-here"):
        with pytest.raises(CommandError):
            call_command("reset_second_factor", name)


def test_where_it_is_wanted_an_administrator_gets_no_further_without_it(shop, administrator, maker, settings):
    settings.DOCKET_REQUIRE_TOTP = True
    client, api = sign_in(administrator), api_of(None)
    assert client.get("/admin/accounts/user/")["Location"] == SETUP
    assert client.get("/api/auth/me/").json()["code"] == "second_factor"
    assert api.post("/api/auth/login/", {"username": "administrator", "password": PASSWORD}).json()["code"] == "second_factor"
    assert is_in(sign_in(maker))
    client.post(SETUP, {"action": "begin"})
    client.post(SETUP, {"action": "enrol", "code": code_of(administrator)})
    assert client.get("/admin/accounts/user/").status_code == 200
    client.post(SETUP, {"action": "off"})
    assert factors.factor_of(administrator) is not None  # not by oneself
    settings.DOCKET_REQUIRE_TOTP = False
    client.post(SETUP, {"action": "off"})
    assert factors.factor_of(administrator) is None


# -- the password once more


@pytest.mark.parametrize(
    "path",
    ["accounts/user/add/", "accounts/user/{}/change/", "accounts/user/{}/password/", "accounts/user/{}/delete/", "accounts/membership/add/",
     "scanning/device/add/", "scanning/badge/add/"],
)  # fmt: skip
def test_pages_that_give_rights_ask_for_the_password_first(shop, administrator, maker, stale, path):
    url = f"/admin/{path.format(maker.pk)}"
    for answer in (stale.get(url), stale.post(url, {"username": "x"})):
        assert answer["Location"] == f"{CONFIRM}?next={url.replace('/', '%2F')}"
    assert stale.post(CONFIRM, {"password": "wrong", "next": url}).status_code == 200
    assert stale.get(url).status_code == 302
    answer = stale.post(CONFIRM, {"password": PASSWORD, "next": url})
    assert answer["Location"] == url
    assert stale.get(url).status_code == 200


def test_dangerous_verbs_ask_in_their_dialog(shop, administrator, maker, stale):
    url = f"/admin/accounts/user/{maker.pk}/deactivate/"
    assert 'name="password"' in stale.get(url).content.decode()
    assert stale.post(url).status_code == 400
    assert stale.post(url, {"password": "wrong"}).status_code == 400
    assert again(maker).is_active
    assert stale.post(url, {"password": PASSWORD}).status_code == 302
    assert not again(maker).is_active
    assert 'name="password"' not in stale.get(f"/admin/accounts/user/{maker.pk}/activate/").content.decode()


def test_who_only_reads_is_not_asked_and_the_way_back_stays_on_our_pages(shop, planner, maker):
    client = client_of(planner)
    session = client.session
    del session[CONFIRMED_AT]
    session.save()
    assert client.get(f"/admin/accounts/user/{maker.pk}/change/").status_code == 200
    for evil in ("https://evil.test/", "//evil.test", "javascript:alert(1)"):
        assert client.post(CONFIRM, {"password": PASSWORD, "next": evil})["Location"] == "/admin/"


# -- sessions


def test_one_sees_where_one_is_signed_in_and_ends_any_of_it(shop, maker, supervisor):
    desk, home = sign_in(maker, user_agent=FIREFOX), sign_in(maker)
    other = sign_in(supervisor)
    page = Page(desk.get(ACCOUNT).content.decode())
    assert "Firefox · Linux" in page.text
    assert "127.0.0.1" in page.text
    assert page.text.count("this one") == 1
    keys = {client: client.session.session_key for client in (desk, home, other)}
    assert not any(key in desk.get(ACCOUNT).content.decode() for key in keys.values())
    url = reverse("dashboard:end_session")
    desk.post(url, {"session": handle_of(keys[other])})
    assert is_in(other)  # not one's own
    desk.post(url, {"session": handle_of(keys[home])})
    assert (is_in(desk), is_in(home)) == (True, False)
    third = sign_in(maker)
    third.post(url, {"session": "others"})
    assert (is_in(third), is_in(desk), is_in(other)) == (True, False, True)


def test_a_new_password_ends_the_other_sessions(shop, maker, administrator):
    desk, home = sign_in(maker), sign_in(maker)
    data = {"old_password": PASSWORD, "new_password1": "shop-floor-77", "new_password2": "shop-floor-77"}
    assert desk.post(reverse("admin:password_change"), data).status_code == 302
    assert (is_in(desk), is_in(home)) == (True, False)
    assert OpenSession.objects.filter(user=maker).count() == 1
    new = {"password1": "shop-floor-78", "password2": "shop-floor-78"}
    assert client_of(administrator).post(f"/admin/accounts/user/{maker.pk}/password/", new).status_code == 302
    assert not OpenSession.objects.filter(user=maker).exists()


@pytest.mark.parametrize("verb", ["sign_out", "deactivate"])
def test_an_administrator_ends_all_of_it(shop, maker, administrator, verb):
    desk, api = sign_in(maker), api_of(maker)
    boss = client_of(administrator)
    assert "127.0.0.1" in boss.get(f"/admin/accounts/user/{maker.pk}/change/").content.decode()
    assert boss.post(f"/admin/accounts/user/{maker.pk}/{verb}/").status_code == 302
    assert not is_in(desk)
    assert api.get("/api/auth/me/").status_code == 401
    assert not OpenSession.objects.filter(user=maker).exists()


def test_a_browser_is_told_in_few_words():
    chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"
    assert [browser_of(agent) for agent in (chrome, f"{chrome} Edg/120.0", FIREFOX, "curl/8", "", "<script>" * 999)] == [
        "Chrome · Windows", "Edge · Windows", "Firefox · Linux", "?", "?", "?",
    ]  # fmt: skip


def test_a_password_kept_with_djangos_numbers_is_kept_anew_at_the_next_sign_in(salesperson, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    salesperson.set_password(PASSWORD)
    salesperson.save()
    assert "$m=102400,t=2,p=8$" in salesperson.password
    settings.PASSWORD_HASHERS = ["apps.accounts.hashing.Argon2"]
    assert is_in(sign_in(salesperson))
    salesperson.refresh_from_db()
    assert salesperson.password.startswith("argon2$argon2id$v=19$m=47104,t=1,p=1$")
    assert is_in(sign_in(salesperson))
