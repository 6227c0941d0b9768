"""The account page, the preview of rules, and the plain pages."""

import pytest
from django.test import RequestFactory
from django.urls import reverse
from django.views.defaults import bad_request, server_error

from apps.accounts.models import AccessToken, User
from apps.accounts.services import issue_token
from apps.core.context import signed
from apps.dispatch.models import DispatchDecision, DispatchRule, Strategy
from apps.workorders.models import Task
from apps.workorders.services import assign_task, dispatch_order
from tests.personas import PASSWORD, PEOPLE, again, client_of
from tests.shop import Shop

ACCOUNT = reverse("dashboard:account")


@pytest.mark.parametrize("name", list(PEOPLE))
def test_everybody_has_an_account_page(shop: Shop, name: str) -> None:
    answer = client_of(shop.people[name]).get(ACCOUNT)
    assert answer.status_code == 200
    assert name in answer.content.decode()


def test_the_account_page_tells_roles_and_departments(shop: Shop, supervisor: User) -> None:
    answer = client_of(supervisor).get(ACCOUNT)
    assert answer.context["roles"] == ["supervisor"]
    assert answer.context["departments"] == [("production", True)]


def test_one_revokes_only_ones_own_tokens(shop: Shop, operator: User, second_operator: User) -> None:
    token, text = issue_token(operator)
    address = reverse("dashboard:revoke_token", args=[token.pk])
    page = client_of(operator).get(ACCOUNT).content.decode()
    assert token.prefix in page
    assert text not in page
    assert client_of(second_operator).post(address).status_code == 404
    assert client_of(operator).get(address).status_code == 405
    assert AccessToken.objects.get(pk=token.pk).revoked_at is None
    assert client_of(operator).post(address).status_code == 302
    assert AccessToken.objects.get(pk=token.pk).revoked_at is not None


def test_one_changes_ones_own_password_and_it_is_signed(shop: Shop, maker: User) -> None:
    client = client_of(maker)
    data = {"old_password": PASSWORD, "new_password1": "shop-floor-77", "new_password2": "shop-floor-77"}
    answer = client.post(reverse("admin:password_change"), data)
    assert answer.status_code == 302
    assert again(maker).check_password("shop-floor-77")
    row = maker.history.latest("history_id")
    assert (row.history_user, row.history_change_reason) == (maker, "password")
    assert client.get(answer["Location"]).status_code == 200


def test_the_language_is_switched_from_the_account_page(shop: Shop, maker: User) -> None:
    client = client_of(maker)
    answer = client.post(reverse("set_language"), {"language": "zh-hans", "next": ACCOUNT})
    assert (answer.status_code, answer["Location"]) == (302, ACCOUNT)
    assert 'lang="zh-hans"' in client.get(ACCOUNT).content.decode()


def rule_of(shop: Shop, process: str, department: str) -> DispatchRule:
    return DispatchRule.objects.get(process=shop.processes[process], department=shop.departments[department])


def preview(person: User, rule: DispatchRule) -> object:
    return client_of(person).get(reverse("dashboard:preview", args=[rule.pk]))


def test_the_preview_tells_what_dispatch_then_does(shop: Shop, planner: User) -> None:
    rule = rule_of(shop, "PRT", "printing")
    rule.strategy = Strategy.LEAST_LOADED
    rule.save()
    order = shop.approved(dispatched=False)
    (row,) = preview(planner, rule).context["rows"]
    task = shop.task(order, "PRT")
    assert row["task"] == task
    assert (task.status, DispatchDecision.objects.count()) == ("pending", 0)
    dispatch_order(order, by=shop.people["supervisor"])
    task.refresh_from_db()
    assert (row["department"], row["operator"]) == (task.department, task.operator)
    assert row["reason"] == DispatchDecision.objects.get(task=task).reason
    assert row["by_this_rule"]


def test_the_preview_leaves_pinned_and_claimed_tasks_out(shop: Shop, planner: User, supervisor: User) -> None:
    rule = rule_of(shop, "PRT", "printing")
    order = shop.approved()
    assign_task(shop.task(order, "PRT"), by=supervisor, department=shop.departments["printing"], reason="mine")
    answer = preview(planner, rule)
    assert answer.context["rows"] == []
    assert "No task of this process waits" in answer.content.decode()


def test_the_preview_changes_nothing_and_needs_a_whole_view(shop: Shop, supervisor: User, prepress_lead: User, auditor: User) -> None:
    rule = rule_of(shop, "PRT", "printing")
    before = Task.objects.count()
    assert preview(auditor, rule).status_code == 200
    assert preview(supervisor, rule).status_code == 403
    assert preview(prepress_lead, rule).status_code == 404
    assert preview(shop.people["operator"], rule).status_code == 404
    assert client_of(auditor).post(reverse("dashboard:preview", args=[rule.pk])).status_code == 405
    assert Task.objects.count() == before


def test_the_rule_page_links_to_the_preview_for_who_may_see_it(shop: Shop, planner: User, supervisor: User) -> None:
    rule = rule_of(shop, "PRT", "printing")
    page, address = reverse("admin:dispatch_dispatchrule_change", args=[rule.pk]), reverse("dashboard:preview", args=[rule.pk])
    assert address in client_of(planner).get(page).content.decode()
    assert address not in client_of(supervisor).get(page).content.decode()


def test_the_site_begins_at_the_home_page(shop: Shop) -> None:
    answer = client_of(None).get("/")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_a_missing_page_says_what_to_do_and_carries_the_request_id(shop: Shop, maker: User, settings: object) -> None:
    settings.DEBUG = False
    answer = client_of(maker).get("/nowhere/", headers={"x-request-id": "find-me-1"})
    assert answer.status_code == 404
    text = answer.content.decode()
    assert "search for the order number" in text
    assert "find-me-1" in text


def test_a_refused_page_says_why(shop: Shop, supervisor: User, settings: object) -> None:
    settings.DEBUG = False
    text = preview(supervisor, rule_of(shop, "PRT", "printing")).content.decode()
    assert "Ask a planner." in text


def test_a_form_from_elsewhere_is_refused_with_the_way_out(shop: Shop, maker: User) -> None:
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(maker)
    answer = client.post(reverse("dashboard:read_notices"))
    assert answer.status_code == 403
    assert "send the form once more" in answer.content.decode()


@pytest.mark.parametrize(("view", "status"), [(server_error, 500), (bad_request, 400)])
def test_faults_tell_no_more_than_the_request_id(view: object, status: int) -> None:
    with signed(request_id="find-me-2"):
        answer = view(RequestFactory().get("/"), *([Exception("secret")] if status == 400 else []))
    assert answer.status_code == status
    text = answer.content.decode()
    assert "find-me-2" in text
    assert "secret" not in text


def test_a_busy_database_is_told_in_words(shop: Shop, rf: RequestFactory) -> None:
    from django.template.loader import render_to_string

    with signed(request_id="find-me-3"):
        text = render_to_string("503.html", request=rf.get("/"))
    assert "Wait a few seconds" in text
    assert "find-me-3" in text


def test_signing_out_says_so(shop: Shop, maker: User) -> None:
    answer = client_of(maker).post(reverse("admin:logout"))
    assert answer.status_code == 200
    assert "You are signed out of Docket" in answer.content.decode()
