import pytest
from django.utils.translation import override

from apps.dispatch.models import Strategy
from apps.dispatch.policy import (
    SENTENCES,
    VERDICTS,
    DepartmentCandidate,
    OperatorCandidate,
    TaskNeed,
    choose_department,
    choose_operator,
    explain,
    gate,
    top_rules,
)

PRINTING = TaskNeed("printing", "印刷")


def department(pk: int, **changes) -> DepartmentCandidate:
    return DepartmentCandidate(**{"id": pk, "name": f"D{pk}", "name_zh": f"部{pk}", "rule_id": 10 + pk, "priority": 50} | changes)


def without_rule(pk: int, **changes) -> DepartmentCandidate:
    return department(pk, **{"rule_id": None, "priority": None} | changes)


def operator(pk: int, **changes) -> OperatorCandidate:
    return OperatorCandidate(**{"id": pk, "name": f"O{pk}"} | changes)


def verdicts(choice) -> dict[int, str]:
    return {one.id: one.verdict for one in choice.candidates}


def codes(choice) -> list[str]:
    return [code for code, _params in choice.reasons]


def test_the_higher_priority_wins_whatever_the_load():
    choice = choose_department(PRINTING, [department(1, priority=15), department(2, priority=90, load=9999), department(3, priority=5)])
    assert (choice.id, choice.rule_id, codes(choice)) == (2, 12, ["rule"])
    assert verdicts(choice) == {1: "lower_priority", 2: "chosen", 3: "lower_priority"}


def test_a_tie_goes_to_the_smaller_open_load():
    choice = choose_department(PRINTING, [department(1, load=40), department(2, load=10), department(3, priority=10, load=0)])
    assert (choice.id, codes(choice)) == (2, ["rule", "tie"])
    assert verdicts(choice) == {1: "more_load", 2: "chosen", 3: "lower_priority"}


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_a_full_tie_goes_to_the_lowest_id_in_any_order(order):
    assert choose_department(PRINTING, [department(pk) for pk in order]).id == 1


def test_an_inactive_department_is_passed_over():
    choice = choose_department(PRINTING, [department(1, priority=90, is_active=False), department(2, priority=5)])
    assert choice.id == 2
    assert verdicts(choice) == {1: "inactive", 2: "chosen"}


def test_a_department_that_cannot_do_the_process_is_passed_over_whatever_its_rule():
    choice = choose_department(PRINTING, [department(1, priority=90, can_do=False), department(2, priority=5)])
    assert choice.id == 2
    assert verdicts(choice) == {1: "cannot", 2: "chosen"}


def test_without_a_rule_the_first_department_that_can_do_it_gets_it():
    choice = choose_department(PRINTING, [without_rule(1, position=3), without_rule(2, position=1), without_rule(3, position=2)])
    assert (choice.id, choice.rule_id, codes(choice)) == (2, None, ["fallback"])
    assert verdicts(choice) == {1: "later", 2: "chosen", 3: "later"}


def test_a_department_with_a_rule_goes_before_one_without():
    choice = choose_department(PRINTING, [without_rule(1, position=1), department(2, priority=0, position=9)])
    assert (choice.id, codes(choice)) == (2, ["rule"])
    assert verdicts(choice) == {1: "lower_priority", 2: "chosen"}


@pytest.mark.parametrize(
    ("candidates", "told"),
    [
        ([], {}),
        ([department(1, is_active=False)], {1: "inactive"}),
        ([department(1, can_do=False), without_rule(2, is_active=False)], {1: "cannot", 2: "inactive"}),
    ],
)
def test_nobody_who_can_do_it_leaves_the_task_without_a_department(candidates, told):
    choice = choose_department(PRINTING, candidates)
    assert (choice.id, choice.rule_id, codes(choice), verdicts(choice)) == (None, None, ["none"], told)


def test_only_the_rules_of_the_highest_priority_are_top():
    able, best = department(1, priority=90), department(2, priority=90)
    others = [
        department(3, priority=10),
        department(4, priority=99, is_active=False),
        department(5, priority=99, can_do=False),
        without_rule(6),
    ]
    assert top_rules([able, *others, best]) == [able, best]
    assert top_rules([without_rule(1)]) == []


@pytest.mark.parametrize(
    ("changes", "limit", "verdict"),
    [
        ({}, None, ""),
        ({"is_member": False}, None, "not_member"),
        ({"is_active": False}, None, "inactive"),
        ({"is_absent": True}, None, "absent"),
        ({"open_tasks": 2}, 2, "full"),
        ({"open_tasks": 3}, 2, "full"),
        ({"open_tasks": 1}, 2, ""),
        ({"open_tasks": 99}, None, ""),
        ({"open_tasks": 0}, 0, "full"),
        ({"is_member": False, "is_active": False, "is_absent": True, "open_tasks": 9}, 1, "not_member"),
    ],
)
def test_the_hard_gates(changes, limit, verdict):
    assert gate(operator(1, **changes), limit) == verdict


def test_a_queue_gives_it_to_nobody_and_says_who_may_claim():
    choice = choose_operator(Strategy.QUEUE, [operator(1), operator(2, is_absent=True)])
    assert (choice.id, codes(choice), verdicts(choice)) == (None, ["queue"], {1: "queue", 2: "absent"})


def test_the_least_loaded_person_gets_it():
    choice = choose_operator(Strategy.LEAST_LOADED, [operator(1, load=30), operator(2, load=20), operator(3, load=25)])
    assert (choice.id, codes(choice), verdicts(choice)) == (2, ["least_loaded"], {1: "more_load", 2: "chosen", 3: "more_load"})
    assert dict(choice.reasons)["least_loaded"] == {"operator": "O2", "load": 20}


def test_equal_loads_go_to_the_lowest_id():
    assert choose_operator(Strategy.LEAST_LOADED, [operator(3), operator(1), operator(2)]).id == 1


def test_an_absent_or_full_person_gets_nothing_even_with_the_least_load():
    people = [operator(1, is_absent=True), operator(2, open_tasks=3, load=1), operator(3, load=500)]
    choice = choose_operator(Strategy.LEAST_LOADED, people, wip_limit=3)
    assert (choice.id, verdicts(choice)) == (3, {1: "absent", 2: "full", 3: "chosen"})


@pytest.mark.parametrize("strategy", [Strategy.LEAST_LOADED, Strategy.ROUND_ROBIN, Strategy.SAME_AS_PREVIOUS])
def test_nobody_free_leaves_it_in_the_queue(strategy):
    choice = choose_operator(strategy, [operator(1, is_absent=True)], previous_operator=1, last_operator=1)
    assert (choice.id, codes(choice), verdicts(choice)) == (None, ["nobody"], {1: "absent"})


def test_round_robin_goes_on_after_the_last_one_and_begins_again():
    people, last, turns = [operator(5), operator(7), operator(9)], None, []
    for _turn in range(7):
        last = choose_operator(Strategy.ROUND_ROBIN, people, last_operator=last).id
        turns.append(last)
    assert turns == [5, 7, 9, 5, 7, 9, 5]


def test_round_robin_skips_who_is_barred_and_goes_on_when_the_last_one_left():
    people = [operator(5), operator(7, is_absent=True), operator(9)]
    assert choose_operator(Strategy.ROUND_ROBIN, people, last_operator=5).id == 9
    assert choose_operator(Strategy.ROUND_ROBIN, people, last_operator=6).id == 9
    assert choose_operator(Strategy.ROUND_ROBIN, people, last_operator=99).id == 5


def test_the_person_of_the_step_before_gets_it():
    choice = choose_operator(Strategy.SAME_AS_PREVIOUS, [operator(1), operator(2, load=999)], previous_operator=2)
    assert (choice.id, codes(choice), verdicts(choice)) == (2, ["same_as_previous"], {1: "not_previous", 2: "chosen"})


@pytest.mark.parametrize("previous", [None, 2, 99])
def test_who_cannot_do_it_again_leaves_it_in_the_queue(previous):
    choice = choose_operator(Strategy.SAME_AS_PREVIOUS, [operator(1), operator(2, is_absent=True)], previous_operator=previous)
    assert (choice.id, codes(choice)) == (None, ["nobody"])
    assert verdicts(choice) == {1: "not_previous", 2: "absent"}


PARAMS = {
    "priority": 90, "process": "printing", "process_zh": "印刷", "department": "press room", "department_zh": "印刷车间",
    "load": 12, "operator": "Wang", "actor": "Li", "reason": "urgent",
}  # fmt: skip


@pytest.mark.parametrize("code", SENTENCES)
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_reason_is_a_whole_sentence_in_both_languages(code, language):
    with override(language):
        text = explain(code, PARAMS)
    assert text
    assert "%(" not in text


def test_a_chinese_reader_is_told_chinese_names():
    with override("zh-hans"):
        assert "印刷车间" in explain("rule", PARAMS)
    with override("en"):
        assert explain("rule", PARAMS) == "The rule of priority 90 sends printing to press room."


def test_a_reason_survives_the_way_through_json():
    import json

    choice = choose_department(PRINTING, [department(1), department(2)])
    for code, params in json.loads(json.dumps(choice.reasons)):
        assert explain(code, params)


def test_every_verdict_that_is_given_has_words():
    given = {"chosen", "lower_priority", "more_load", "inactive", "cannot", "absent", "not_member", "full", "not_his_turn", "not_previous"}
    assert given | {"later", "queue"} == set(VERDICTS)
