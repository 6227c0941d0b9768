"""The schema and its pages: complete, without a warning, for signed-in people only."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from tests.personas import api_of, client_of

pytestmark = pytest.mark.once

PAGES = ["/api/schema/", "/api/docs/", "/api/redoc/"]
GUIDE = "/api/docs/handhelds.md"


@pytest.fixture(scope="module")
def schema():
    out = StringIO()
    call_command("spectacular", "--format", "openapi-json", "--validate", "--fail-on-warn", stdout=out)
    return json.loads(out.getvalue())


def operations(schema):
    return [(path, method, one) for path, methods in schema["paths"].items() for method, one in methods.items()]


def test_every_operation_has_words_answers_and_refusals(schema):
    for path, method, operation in operations(schema):
        where = f"{method} {path}"
        assert operation.get("summary") or operation.get("description"), where
        assert any(status.startswith("2") for status in operation["responses"]), where
        for status, answer in operation["responses"].items():
            if status[0] == "4":
                assert answer["content"]["application/problem+json"]["schema"]["$ref"].endswith("/Problem"), where
        assert {"403", "429"} <= operation["responses"].keys(), where


def test_every_command_tells_of_keys_and_every_edit_of_tags(schema):
    for path, method, operation in operations(schema):
        headers = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "header"}
        if method == "post" and "/auth/" not in path:
            assert "Idempotency-Key" in headers, path
        if method == "patch":
            assert "If-Match" in headers, path
            assert {"412", "428"} <= operation["responses"].keys()


def test_every_body_has_an_example(schema):
    for path, method, operation in operations(schema):
        if "requestBody" in operation:
            assert "examples" in operation["requestBody"]["content"]["application/json"], f"{method} {path}"


def test_the_contract_is_there(schema):
    for path in (
        "auth/login", "auth/logout", "auth/me", "tasks", "tasks/{id}", "workorders", "workorders/{id}", "products", "processes",
        "departments", "customers", "notifications", "notifications/{id}/read", "notifications/read_all", "statistics/task_summary",
        "statistics/department_workload", "statistics/collaboration", "dashboard/statistics",
        *(f"workorders/{{id}}/{verb}" for verb in ("submit", "approve", "reject", "hold", "resume", "cancel", "reopen")),
        *(
            f"tasks/{{id}}/{verb}"
            for verb in ("assign", "claim", "release", "start", "pause", "resume", "cancel", "update_progress", "complete", "undo")
        ),
    ):  # fmt: skip
        assert f"/api/{path}/" in schema["paths"], path


def test_the_guide_for_handhelds_is_linked_and_served(schema, operator):
    assert f"]({GUIDE})" in schema["info"]["description"]
    answer = api_of(operator).get(GUIDE)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content.decode().startswith("# Handhelds: the contract for clients")


@pytest.mark.parametrize("path", [*PAGES, GUIDE])
def test_the_pages_are_for_signed_in_people(shop, operator, path):
    assert api_of(operator).get(path).status_code == client_of(operator).get(path).status_code == 200
    assert APIClient().get(path).status_code == Client().get(path).status_code == 401


@pytest.mark.parametrize("path", PAGES[1:])
def test_the_pages_load_nothing_from_a_foreign_host(operator, path):
    page = client_of(operator).get(path).content.decode()
    assert "https://" not in page.replace("https://docket.example.com", "")
