"""Exceptions that seldom reach the API, each as the problem that it must be."""

import json

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation, ValidationError
from django.http import Http404
from rest_framework import exceptions

from apps.accounts.models import User
from apps.core import problems
from apps.core.errors import InvalidInput, RuleError, StaleEdit, TooManyTries


@pytest.mark.parametrize(
    ("error", "status", "code", "retry"),
    [
        (PermissionDenied(), 403, "not_allowed", "never"),
        (exceptions.PermissionDenied(), 403, "not_allowed", "never"),
        (exceptions.PermissionDenied("Ask the planner."), 403, "not_allowed", "never"),
        (Http404(), 404, "not_found", "never"),
        (exceptions.NotFound(), 404, "not_found", "never"),
        (User.DoesNotExist(), 404, "not_found", "never"),
        (RequestDataTooBig(), 413, "too_large", "never"),
        (problems.TooLarge("The body is too large."), 413, "too_large", "never"),
        (SuspiciousOperation(), 400, "malformed", "never"),
        (exceptions.ParseError("It cannot be read."), 400, "malformed", "never"),
        (ValidationError("It is wrong."), 400, "invalid", "never"),
        (ValidationError({"name": ["It is wrong."], "__all__": ["All of it."]}), 400, "invalid", "never"),
        (InvalidInput("It is wrong.", field="name"), 400, "invalid", "never"),
        (RuleError("It is paused.", code="wrong_state"), 409, "wrong_state", "never"),
        (StaleEdit("It was changed."), 412, "stale", "new_key"),
        (TooManyTries("Wait.", wait=7), 429, "throttled", "same_key"),
        (exceptions.Throttled(wait=3), 429, "throttled", "same_key"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_exception_is_its_problem(error, status, code, retry):
    response = problems.handle(error, {})
    body = json.loads(response.content)
    assert (response.status_code, body["status"], body["code"], body["retry"]) == (status, status, code, retry)
    assert body["detail"]


def test_a_bug_and_a_storage_fault_are_left_to_fly():
    assert problems.handle(ZeroDivisionError(), {}) is None


def test_what_a_rule_adds_never_hides_a_member():
    body = json.loads(problems.handle(RuleError("It is paused.", code="wrong_state", status="paused", left=5), {}).content)
    assert (body["status"], body["current_status"], body["left"]) == (409, "paused", 5)


def test_every_problem_of_an_input_is_told():
    error = InvalidInput(
        problems=[RuleError("No customer.", field="customer", code="none"), RuleError("No line.", field="lines", code="none")]
    )
    body = json.loads(problems.handle(error, {}).content)
    assert [one["field"] for one in body["errors"]] == ["customer", "lines"]


@pytest.mark.parametrize("path", ["/api/tasks/", "/admin/"])
def test_the_sites_own_handlers_speak_json_under_api_only(rf, path):
    request = rf.get(path)
    kind = "application/problem+json" if path.startswith("/api/") else "text/html; charset=utf-8"
    answers = {
        400: problems.bad_request(request, SuspiciousOperation()),
        404: problems.not_found(request, Http404()),
        500: problems.server_error(request),
    }
    for status, answer in answers.items():
        assert (answer.status_code, answer["Content-Type"].lower()) == (status, kind)
    if path.startswith("/api/"):
        assert problems.bad_request(request, RequestDataTooBig()).status_code == 413
