"""Generated requests to every operation of the schema, with every kind of token: no fault, no answer that the schema does not tell.

Each operation gets the examples of the schema, and DOCKET_FUZZ_CASES generated requests for each token, right ones and wrong ones. With
DOCKET_FUZZ_COVERAGE=1 the edges of every parameter and field come on top, as in a nightly run. Whatever a request did is rolled back, so
each meets the same shop.
"""

import json
import os
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import schemathesis
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from django.test.utils import override_settings
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.pytest._test_builder import build_operation_test

from apps.accounts.services import issue_token
from apps.notices.models import Notice
from apps.scanning.models import Scan
from apps.scanning.services import devices
from apps.workorders import services as do
from apps.workorders.models import Task, WorkOrder
from tests import factories

pytestmark = [pytest.mark.slow, pytest.mark.once]
CASES = int(os.environ.get("DOCKET_FUZZ_CASES", "4"))
COVERAGE = os.environ.get("DOCKET_FUZZ_COVERAGE", "") == "1"
PEOPLE = ["maker", "salesperson", "supervisor", "operator", "planner", "auditor", "administrator", "nobody"]
KINDS = ["no token", *PEOPLE, "handheld", "person on a handheld"]
CONFIG: dict[str, Any] = {
    # PostgreSQL stores no NUL; that it is refused is tested in tests/core/test_api.py.
    "generation": {"max-examples": CASES, "deterministic": True, "database": "none", "allow-x00": False},
    "phases": {"coverage": {"enabled": COVERAGE}},
    # A wrong body with an old If-Match hears of that first.
    "checks": {"negative_data_rejection": {"expected-statuses": ["4xx"]}},
    # A batch answers 200 whatever is in it: each item has its own result.
    "operations": [
        {"include-path": "/api/scans/batch/", "checks": {"negative_data_rejection": {"expected-statuses": [200, "4xx"]}}},
    ],
}
# Refusals of what a schema cannot forbid: that two parameters exclude each other, that a row is there, that a check character fits.
BEYOND_A_SCHEMA = {
    "bad_code", "a_number", "wrong_check", "wrong_layout", "foreign_host", "bad_cursor", "page_and_cursor", "too_deep", "unknown",
    "nobody", "nothing", "bad_time", "blank", "pin_shape", "pin_trivial", "said_twice",
}  # fmt: skip


def _schema() -> Any:
    out = StringIO()
    call_command("spectacular", "--format", "openapi-json", stdout=out)
    schema = schemathesis.openapi.from_dict(json.loads(out.getvalue()), config=SchemathesisConfig.from_dict(CONFIG))
    schema.app = get_wsgi_application()
    return schema


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """The requests run in the test's own transaction: a real server would close the connection around each."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def busy(shop):
    """Something of everything that an address can name, in several states."""
    order = shop.approved()
    task = shop.started(shop.ready_to_print(order), by="operator")
    do.report(task, by=shop.people["operator"], good=100, scrap=2, reason="Torn.")
    shop.approved()
    shop.submitted()
    shop.draft()
    for user in shop.people.values():
        factories.NoticeFactory(user=user)
    factories.ScanFactory(user=shop.people["operator"], task=task, order=order)
    return shop


@pytest.fixture
def token_of(busy) -> Callable[[str], str]:
    by = busy.people["administrator"]
    device, device_token = devices.register_device("Press 1", busy.departments["printing"], by=by)

    def token(kind: str) -> str:
        if kind == "handheld":
            return device_token
        if kind == "person on a handheld":
            badge, pin = devices.issue_badge(busy.people["operator"], by=by)
            return devices.badge_in(device, devices.code_of(badge), pin)[1]
        return issue_token(busy.people[kind])[1] if kind in busy.people else ""

    return token


def _rows() -> dict[str, list[int]]:
    """Keys of real rows for the addresses with {id}."""
    models = {"tasks": Task, "workorders": WorkOrder, "notifications": Notice, "scans": Scan}
    return {name: list(model._base_manager.order_by("pk").values_list("pk", flat=True)) for name, model in models.items()}


def _aim(case: Any, rows: dict[str, list[int]]) -> None:
    """Let most requests to one row meet a real one."""
    pk, known = case.path_parameters.get("id"), rows.get(case.operation.path.split("/")[2], [1, 2, 3])
    if isinstance(pk, str) and pk.isdecimal() and len(pk) < 19 and int(pk) % (len(known) + 1):
        case.path_parameters["id"] = str(known[int(pk) % (len(known) + 1) - 1])


def _sentences(group: FailureGroup, response: Any) -> Iterator[str]:
    """What is wrong, but for right requests that were refused for a reason beyond a schema, or for what changed meanwhile."""
    for failure in group.exceptions:
        if isinstance(failure, RejectedPositiveData):
            if response.status_code in (410, 412):
                continue
            told = response.json() if response.status_code == 400 else {}
            codes = {one["code"] for one in told.get("errors", [])} or {told.get("code")}
            if codes <= BEYOND_A_SCHEMA:
                continue
        yield f"{failure.title}: {' '.join(failure.message.split())[:600]}"


@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_a_fault_or_untold(busy, token_of, kind):
    token = token_of(kind)
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Token {token}"} if token else {})
    rows, wrong, asked = _rows(), {}, 0

    def ask(case: Any) -> None:
        nonlocal asked
        asked += 1
        if case.path_parameters:
            _aim(case, rows)
        with transaction.atomic():
            response = case.call(headers=headers)
            try:
                case.validate_response(response, headers=headers)
            except FailureGroup as group:
                for sentence in _sentences(group, response):
                    wrong.setdefault(
                        f"{case.operation.label} ({response.status_code}) {sentence}",
                        response.content.decode()[:400] + case.as_curl_command(headers=headers),
                    )
            transaction.set_rollback(True)

    schema = _schema()
    how = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    with override_settings(DOCKET_API_PER_MINUTE=10**6, ALLOWED_HOSTS=["*"]):
        for found in schema.get_all_operations():
            build_operation_test(
                config=schema.config, operation=found.ok(), test_func=ask, given_kwargs={}, feedback=NO_FEEDBACK, explicit_settings=how
            )()
    assert not wrong, "\n".join(f"{told}\n    {curl}" for told, curl in sorted(wrong.items()))
    assert asked > 60 * CASES / 2
