"""Dispatch rules and decisions through the admin."""

import pytest
from django.urls import reverse

from apps.accounts.models import User
from apps.dispatch.models import DispatchDecision, DispatchRule, Strategy
from tests.factories import DepartmentFactory, DispatchRuleFactory, ProcessFactory
from tests.personas import client_of
from tests.queries import count_queries
from tests.shop import Shop


def at(name: str, page: str, *args: object) -> str:
    return reverse(f"admin:dispatch_{name}_{page}", args=args)


def test_a_planner_changes_a_rule_and_the_history_says_so(shop: Shop, planner: User) -> None:
    rule = DispatchRule.objects.get(process=shop.processes["PRT"], department=shop.departments["printing"])
    data = {
        "process": rule.process_id, "department": rule.department_id, "priority": 95, "strategy": Strategy.ROUND_ROBIN, "wip_limit": 3,
        "version": rule.version,
    }  # fmt: skip
    assert client_of(planner).post(at("dispatchrule", "change", rule.pk), data).status_code == 302
    rule.refresh_from_db()
    assert (rule.priority, rule.strategy, rule.wip_limit) == (95, Strategy.ROUND_ROBIN, 3)
    assert rule.history.get().history_user == planner


@pytest.mark.parametrize("change", [{"priority": 101}, {"priority": -1}, {"priority": "high"}, {"wip_limit": 0.5}, {"strategy": "magic"}])
def test_a_wrong_rule_is_told_at_its_field(shop: Shop, planner: User, change: dict) -> None:
    data = {
        "process": shop.processes["CTP"].pk, "department": shop.departments["logistics"].pk, "priority": 50, "strategy": Strategy.QUEUE,
    }  # fmt: skip
    answer = client_of(planner).post(at("dispatchrule", "add"), data | change)
    assert answer.status_code == 200
    assert set(answer.context["adminform"].form.errors) == set(change)


def test_a_second_rule_for_the_same_pair_is_refused(shop: Shop, planner: User) -> None:
    rule = DispatchRule.objects.first()
    data = {"process": rule.process_id, "department": rule.department_id, "priority": 50, "strategy": Strategy.QUEUE}
    answer = client_of(planner).post(at("dispatchrule", "add"), data)
    assert answer.status_code == 200
    assert "Change that one." in answer.content.decode()


def test_a_supervisor_reads_the_rules_of_his_departments(shop: Shop, supervisor: User, prepress_lead: User) -> None:
    mine = DispatchRule.objects.get(process=shop.processes["PRT"], department=shop.departments["printing"])
    assert client_of(supervisor).get(at("dispatchrule", "change", mine.pk)).status_code == 200
    assert client_of(supervisor).post(at("dispatchrule", "change", mine.pk), {}).status_code == 403
    assert client_of(prepress_lead).get(at("dispatchrule", "change", mine.pk)).status_code == 404


def test_a_rule_is_taken_out_of_use_by_a_dialog(shop: Shop, planner: User, auditor: User) -> None:
    rule = DispatchRule.objects.first()
    address = at("dispatchrule", "verb_deactivate", rule.pk)
    assert client_of(auditor).post(address, {}).status_code == 403
    assert client_of(planner).get(address).status_code == 200
    assert client_of(planner).post(address, {}).status_code == 302
    assert not DispatchRule.objects.get(pk=rule.pk).is_active


def test_decisions_are_read_by_who_sees_the_task(shop: Shop, planner: User, supervisor: User, prepress_lead: User) -> None:
    shop.approved()
    printing = DispatchDecision.objects.get(task__step__process__code="PRT")
    page = at("dispatchdecision", "change", printing.pk)
    seen = client_of(planner).get(page).content.decode()
    assert printing.reason in seen
    assert "lower priority" in seen
    assert client_of(supervisor).get(page).status_code == 200
    assert "lower priority" not in client_of(supervisor).get(page).content.decode()
    assert client_of(prepress_lead).get(page).status_code == 404
    listed = client_of(prepress_lead).get(at("dispatchdecision", "changelist")).context["cl"].result_list
    assert {decision.department.code for decision in listed} == {"design"}
    assert client_of(shop.people["maker"]).get(page).status_code == 403


def test_a_decision_is_never_written_by_hand(shop: Shop, superuser: User) -> None:
    shop.approved()
    decision = DispatchDecision.objects.first()
    client = client_of(superuser)
    assert client.get(at("dispatchdecision", "add")).status_code == 403
    assert client.post(at("dispatchdecision", "change", decision.pk), {}).status_code == 403
    assert client.post(at("dispatchdecision", "delete", decision.pk), {"post": "yes"}).status_code == 403


def test_lists_cost_the_same_for_many(shop: Shop, planner: User) -> None:
    def cost(name: str) -> int:
        client = client_of(planner)
        client.get(reverse("admin:index"))
        with count_queries() as queries:
            assert client.get(at(name, "changelist")).status_code == 200
        return len(queries)

    shop.approved()
    first = [cost("dispatchrule"), cost("dispatchdecision")]
    for _number in range(6):
        DispatchRuleFactory(process=ProcessFactory(), department=DepartmentFactory())
        shop.approved()
    assert [cost("dispatchrule"), cost("dispatchdecision")] == first
    assert max(first) <= 12
