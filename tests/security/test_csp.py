"""The content policy: on every answer of every address, of the right door, and with no page that would need an inline script."""

import re

import pytest
from django.test import Client, override_settings

from apps.core.csp import DATA, DOCS, HEADER, OFFICE
from apps.scanning.floor.policy import POLICY as FLOOR
from tests.personas import api_of, client_of
from tests.security.doors import Page
from tests.security.test_canary_matrix import ABSENT, ROUTES, rows_of


def rules(policy: str) -> dict[str, str]:
    return dict(rule.split(" ", 1) for rule in policy.split("; "))


def door_of(address: str) -> str:
    """Written here once more, so that the code's own list is held against something."""
    if address.startswith(("/api/docs/", "/api/redoc/")):
        return DOCS
    return DATA if address.startswith(("/api/", "/health/", "/metrics")) else OFFICE


def test_every_address_has_the_policy_of_its_door_and_no_script_of_its_own(shop, superuser, pending_task):
    """Anonymous and as the superuser; whatever the answer is: a page, a file, a redirect or a refusal."""
    clients = [client_of(superuser), Client()]
    inline, looked_at = [], 0
    for route in ROUTES:
        row = rows_of(route.model, superuser)[0] if route.has_row else None
        address = route.address(row.pk if row else ABSENT)
        for client in clients:
            answer = (api_of(superuser) if address.startswith("/api/") and client is clients[0] else client).get(address)
            floor = address.startswith("/floor/") and answer.status_code == 200
            assert answer[HEADER] == (FLOOR if floor else door_of(address)), address
            if "html" in answer.get("Content-Type", ""):
                looked_at += 1
                page = Page(answer.content.decode())
                inline += [(address, text) for text in page.scripts if text.strip()]
                inline += [(address, name) for _tag, name, value in page.attributes if is_script(name, value)]
    assert inline == []
    assert looked_at > 150


def is_script(name: str, value: str) -> bool:
    return bool(re.match(r"on[a-z]+$", name)) or "javascript:" in value


@pytest.mark.parametrize("address", ["/nothing/", "/static/nothing.js", "/api/nothing/", "/admin/nothing/", "/floor/nothing"])
def test_what_is_not_there_has_the_policy_too(shop, address):
    assert HEADER in Client().get(address)


def test_a_redirect_to_https_and_a_strange_host_have_it_too(db):
    with override_settings(SECURE_SSL_REDIRECT=True):
        answer = Client().get("/admin/login/")
    assert (answer.status_code, answer[HEADER]) == (301, OFFICE)
    answer = Client().get("/admin/login/", headers={"Host": "evil.test"})
    assert (answer.status_code, answer[HEADER]) == (400, OFFICE)


def test_no_door_allows_inline_scripts_or_anything_of_others():
    for policy in (OFFICE, DOCS, DATA):
        told = rules(policy)
        assert (told["object-src"], told["base-uri"], told["frame-ancestors"]) == ("'none'", "'none'", "'none'")
        assert "'unsafe-inline'" not in told.get("script-src", told["default-src"])
        assert not re.search(r"\*|https?:", policy)
    assert "unsafe-eval" not in DOCS + DATA + FLOOR
    assert rules(OFFICE)["form-action"] == "'self'"
