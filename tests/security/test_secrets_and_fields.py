"""What a thief of the database or a client with too much to say gets: nothing that signs in, and no column that a body does not name."""

import json
import uuid
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.hashers import identify_hasher
from django.core.management import call_command
from django.urls import resolve
from rest_framework.test import APIClient

from apps.accounts.models import AccessToken, User
from apps.notices.models import Notice
from apps.scanning.codes import Kind, encode
from apps.scanning.models import Badge, Device, LinkedCode, OperatorSession, Scan
from apps.scanning.services import devices
from apps.workorders.models import OrderLine, OrderMaterial, Step, Task, WorkEvent, WorkOrder
from apps.workorders.states import TaskStatus
from project.settings import PASSWORD_HASHERS
from tests import factories
from tests.personas import PASSWORD, api_of
from tests.security.doors import checksum

PIN, NEW_PIN = "73915284", "84026395"


def _with(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def _dump() -> str:
    """Every value of every table, history included."""
    return "\n".join(
        repr(row)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed
        for row in model._base_manager.values_list()
    )


def test_a_dump_of_the_database_holds_no_token_and_no_pin_that_signs_in(shop, administrator, operator, settings):
    settings.PASSWORD_HASHERS = PASSWORD_HASHERS  # the site's own, where the other tests have a fast one
    operator.set_password(PASSWORD)
    operator.save()
    device, device_token = devices.register_device("Press 1", shop.departments["printing"], by=administrator)
    badge, _pin = devices.issue_badge(operator, by=administrator, pin=PIN)
    anonymous, keyed = APIClient(), {"HTTP_IDEMPOTENCY_KEY": "the-same-key"}
    signed_in = anonymous.post("/api/auth/login/", {"username": "operator", "password": PASSWORD}, format="json", **keyed)
    body = {"badge": devices.code_of(badge), "pin": PIN}
    badged_in = _with(device_token).post("/api/auth/badge/", body, format="json", **keyed)
    assert (signed_in.status_code, badged_in.status_code) == (200, 200)
    tokens = [device_token, signed_in.json()["token"], badged_in.json()["token"]]
    changed = _with(tokens[2]).post("/api/auth/pin/", {"pin": PIN, "new_pin": NEW_PIN}, format="json", **keyed)
    assert changed.status_code == 204
    wrong = _with(device_token).post("/api/auth/badge/", body, format="json")
    assert wrong.status_code == 401
    dump = _dump()
    assert "Press 1" in dump
    for secret in (*tokens, *(token.removeprefix(token[:4]) for token in tokens), PIN, NEW_PIN, PASSWORD):
        assert secret not in dump
    digests = [*AccessToken.objects.values_list("digest", flat=True), *OperatorSession.objects.values_list("digest", flat=True)]
    for digest in [*digests, Device.objects.get(pk=device.pk).digest]:
        for prefix in ("", "dkt_", "dkd_", "dks_"):
            assert _with(prefix + digest).get("/api/auth/me/").status_code == 401
    assert identify_hasher(Badge.objects.get(pk=badge.pk).pin).algorithm == "argon2"


def test_no_log_line_tells_a_token_or_a_pin(shop, administrator, operator, caplog):
    caplog.set_level("DEBUG")
    _device, device_token = devices.register_device("Press 1", shop.departments["printing"], by=administrator)
    badge, _pin = devices.issue_badge(operator, by=administrator, pin=PIN)
    for pin in (NEW_PIN, PIN):
        _with(device_token).post("/api/auth/badge/", {"badge": devices.code_of(badge), "pin": pin}, format="json")
    _with("dks_" + "x" * 40).get("/api/tasks/")
    told = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    for secret in (device_token, PIN, NEW_PIN, "x" * 40):
        assert secret not in told


# -- every column of every model, to every address that writes

COLUMNS = sorted(
    {
        name
        for model in (
            WorkOrder,
            OrderLine,
            OrderMaterial,
            Step,
            Task,
            WorkEvent,
            Notice,
            User,
            Device,
            Badge,
            OperatorSession,
            Scan,
            LinkedCode,
        )
        for field in model._meta.get_fields()
        for name in (field.name, getattr(field, "attname", field.name))
    }
    | {"pk", "actor", "by", "role", "roles", "password", "token"}
)


@pytest.fixture
def writers(shop) -> list[tuple[str, str, Any, set[str]]]:
    """(method, address, a body that is right, the names that it may have) of every operation that writes."""
    out = StringIO()
    call_command("spectacular", "--format", "openapi-json", stdout=out)
    schema = json.loads(out.getvalue())
    task = shop.started(shop.ready_to_print(shop.approved()), by="operator")
    rows = {"tasks": task.pk, "workorders": shop.draft().pk, "notifications": factories.NoticeFactory(user=shop.people["superuser"]).pk}
    found = []
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method not in ("post", "put", "patch"):
                continue  # a DELETE reads no body
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = content.get("schema", {}).get("$ref", "").split("/")[-1]
            known = set(schema["components"]["schemas"].get(name, {}).get("properties", {}))
            example = next(iter(content.get("examples", {}).values()), {}).get("value", {})
            found.append((method, path.replace("{id}", str(rows.get(path.split("/")[2], 1))), example, known))
    return found


def test_no_writer_takes_a_column_that_its_body_does_not_name(shop, writers, superuser):
    """As the superuser, who may do everything: each strange name is told by `unknown_field`, and not one row has changed."""
    client, asked = api_of(superuser), 0
    draft = WorkOrder.objects.get(status="draft")
    seen = f'"{draft.pk}.{draft.version}.0123456789abcdef"'
    before = checksum(but=[Scan])  # a scan is kept as it came before it is understood
    for method, path, example, known in writers:
        if path == "/api/auth/badge/":
            continue  # a handheld's own, below
        strange = [name for name in COLUMNS if name not in known]
        assert len(strange) > 80, path
        for start in range(0, len(strange), 10):
            asked += 1
            names = strange[start : start + 10]
            if "client_event_id" in example:
                example = example | {"client_event_id": str(uuid.uuid4())}
            answer = getattr(client, method)(path, example | dict.fromkeys(names, 1), format="json", HTTP_IF_MATCH=seen)
            assert answer.status_code == 400, f"{method} {path} {names}: {answer.content[:300]}"
            told = {(one["field"], one["code"]) for one in answer.json()["errors"]}
            whole = path == "/api/scans/batch/"  # which is read as it is, and says what it wants
            assert told >= ({("items", "invalid")} if whole else {(name, "unknown_field") for name in names}), f"{method} {path}"
    assert checksum(but=[Scan]) == before
    assert set(Scan.objects.values_list("outcome", "task", "order")) == {("refused", None, None)}
    assert len(writers) > 30
    assert asked > 300


def test_an_item_of_a_batch_takes_no_strange_column_either(shop, operator, running_task):
    """Each is refused by itself, and counts nothing."""
    item = {"code": encode(Kind.TASK, running_task.pk), "verb": "report", "quantity": 5, "captured_at": "2026-11-21T06:30:00+08:00"}
    names = ["user", "device", "happened_at", "received_at", "outcome", "task", "good", "decision", "answer", "raw"]
    items = [item | {name: 1, "client_event_id": f"0b9f3c52-7d3e-4c5a-9a57-0d2f6c1e8b{number:02}"} for number, name in enumerate(names)]
    answer = api_of(operator).post("/api/scans/batch/", {"device_time": item["captured_at"], "items": items}, format="json")
    assert answer.status_code == 200
    assert {one["result"] for one in answer.json()["results"]} == {"refused"}
    running_task.refresh_from_db()
    assert (running_task.good, running_task.status) == (0, TaskStatus.IN_PROGRESS)


def test_the_badge_body_takes_no_strange_column(shop, administrator, operator):
    _device, token = devices.register_device("Press 1", shop.departments["printing"], by=administrator)
    badge, pin = devices.issue_badge(operator, by=administrator)
    client = _with(token)
    for name in ("user", "device", "expires_at", "is_superuser", "digest"):
        answer = client.post("/api/auth/badge/", {"badge": devices.code_of(badge), "pin": pin, name: 1}, format="json")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "unknown_field")
    assert not OperatorSession.objects.exists()


def test_every_address_of_the_writers_is_one_of_ours(writers):
    assert [path for _method, path, *_rest in writers if resolve(path).url_name == "unknown"] == []
