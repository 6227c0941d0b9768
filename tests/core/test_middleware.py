"""Around every request: an id that can be followed, and a plain answer where the database cannot write."""

import logging
from io import StringIO

import pytest
from django.db import OperationalError
from django.http import HttpResponse
from django.test import RequestFactory

from apps.core.context import Signature, signature, signed
from apps.core.middleware import OneLineFilter, RequestIdentityFilter, request_identity, storage_faults
from tests.personas import client_of


def ask(path: str = "/admin/", **headers):
    """The answer, the signature inside, and the request's own id."""
    seen = {}

    def view(request):
        seen["signature"], seen["id"] = signature(), request.request_id
        return HttpResponse()

    answer = request_identity(view)(RequestFactory().get(path, headers=headers))
    return answer, seen["signature"], seen["id"]


def test_a_sane_request_id_of_the_caller_is_kept():
    answer, inside, own = ask(**{"X-Request-ID": "till-7.42_a"})
    assert answer["X-Request-ID"] == inside.request_id == own == "till-7.42_a"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\tb", "<script>", "é"])
def test_any_other_is_replaced(given):
    answer, inside, _own = ask(**{"X-Request-ID": given})
    assert answer["X-Request-ID"] == inside.request_id
    assert len(inside.request_id) == 32


def test_only_a_copy_for_load_tests_says_that_it_may_be_loaded(settings):
    assert "X-Docket-Loadtest" not in ask()[0]
    settings.DOCKET_LOADTEST = True
    assert ask()[0]["X-Docket-Loadtest"] == "yes"


@pytest.mark.parametrize(("path", "source"), [("/admin/", "admin"), ("/api/tasks/", "api"), ("/", "admin")])
def test_the_door_is_known(path, source):
    assert ask(path)[1].source == source


def test_a_request_starts_with_nobody_and_leaves_nothing():
    with signed(actor="somebody", reason="else"):
        assert (ask()[1].actor, ask()[1].reason) == (None, "")
    assert signature() == Signature()


def test_every_log_line_has_the_request_id():
    record = logging.LogRecord("docket", logging.INFO, "", 1, "hello", (), None)
    assert RequestIdentityFilter().filter(record)
    assert record.request_id == "-"
    with signed(request_id="abc"):
        RequestIdentityFilter().filter(record)
    assert record.request_id == "abc"


def test_a_refusal_is_one_line_of_the_log_and_a_fault_has_its_traceback(operator, monkeypatch):
    (handler,) = [one for one in logging.getLogger().handlers if any(isinstance(rule, OneLineFilter) for rule in one.filters)]
    lines = StringIO()
    monkeypatch.setattr(handler, "stream", lines)
    client = client_of(operator)
    assert [client.get(path).status_code for path in ("/admin/imports/importrun/upload/", "/admin/tasks/task/0/change/")] == [403, 404]
    refused = lines.getvalue()
    assert (refused.count("Forbidden"), refused.count("Not Found"), "Traceback" in refused) == (1, 1, False)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logging.getLogger("django.request").exception("Internal Server Error: %s", "/")
    assert "Traceback" in lines.getvalue()


def fault(path: str, error: Exception):
    return storage_faults(lambda request: HttpResponse()).process_exception(RequestFactory().get(path), error)


def test_a_locked_database_answers_the_api_with_a_problem_and_a_time_to_come_back():
    answer = fault("/api/tasks/", OperationalError("database is locked"))
    assert (answer.status_code, answer["Retry-After"], answer["Content-Type"]) == (503, "5", "application/problem+json")
    assert b'"retry": "same_key"' in answer.content
    assert b"locked" not in answer.content


def test_a_locked_database_answers_people_with_a_page(db):
    answer = fault("/admin/", OperationalError("database is locked"))
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert b"locked" not in answer.content


def test_a_bug_flies():
    assert fault("/admin/", ZeroDivisionError()) is None


def test_other_answers_pass():
    assert storage_faults(lambda request: HttpResponse(status=204))(RequestFactory().get("/")).status_code == 204


def test_the_whole_site_answers_with_the_id(client):
    assert client.get("/health/", headers={"X-Request-ID": "abc"})["X-Request-ID"] == "abc"
