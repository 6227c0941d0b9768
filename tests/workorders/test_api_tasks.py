import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import AccessToken, User
from apps.workorders.models import Task, WorkEvent, WorkOrder
from apps.workorders.services import share
from tests.personas import PEOPLE, api_of
from tests.queries import count_queries

TASKS = "/api/tasks/"
FIELDS = {
    "id", "number", "workorder", "order_number", "external_number", "order_status", "customer", "product", "specification", "process",
    "step", "sequence", "status", "priority", "department", "operator", "planned", "good", "scrap", "left", "percent", "unit", "due_date",
    "is_late", "instructions", "tools", "material", "warnings", "moves", "version", "started_at", "completed_at", "updated_at",
}  # fmt: skip


def do(user, task, verb, **body):
    return api_of(user).post(f"{TASKS}{task.pk}/{verb}/", body, format="json")


def problem(response, status, code):
    assert response.status_code == status, response.content
    body = response.json()
    assert body["code"] == code, body
    return body


def ids(user, query=""):
    answer = api_of(user).get(f"{TASKS}?page_size=200&{query}")
    assert answer.status_code == 200, answer.content
    return {row["id"] for row in answer.json()["results"]}


class TestReading:
    def test_a_task_carries_what_an_operator_needs(self, operator, pending_task):
        row = api_of(operator).get(f"{TASKS}?claimable=true").json()["results"][0]
        assert row.keys() == FIELDS
        assert (row["id"], row["number"], row["order_number"]) == (pending_task.pk, f"T{pending_task.pk}", pending_task.order.number)
        assert (row["customer"], row["product"]) == ("Sunrise", "leaflet")
        assert row["process"] == {"id": pending_task.step.process_id, "code": "PRT", "name": "printing"}
        assert (row["planned"], row["good"], row["scrap"], row["left"], row["unit"]) == (1000, 0, 0, 1000, "run")
        assert (row["status"], row["priority"], row["operator"]) == ("pending", "normal", None)
        assert row["department"]["code"] == "printing"
        assert row["tools"][0]["code"] == "TOOL-leaflet"
        assert row["moves"] == ["claim", "start"]
        assert row["due_date"] == str(pending_task.due_date)

    def test_names_are_in_the_callers_language(self, operator, pending_task):
        row = api_of(operator).get(f"{TASKS}{pending_task.pk}/", headers={"Accept-Language": "zh-hans"}).json()
        assert row["process"]["name"] == "印刷"

    def test_a_task_of_a_ganged_job_names_all_its_products(self, shop, maker):
        order = shop.draft("leaflet", "poster")
        rows = api_of(maker).get(f"{TASKS}?workorder={order.number}").json()["results"]
        by_process = {row["process"]["code"]: row["product"] for row in rows}
        assert set(by_process["PRT"].split(", ")) == {"leaflet", "poster"}
        assert by_process["PACK"] in {"leaflet", "poster"}

    def test_the_detail_says_what_is_missing_and_what_happened(self, shop, operator, supervisor):
        order = shop.approved(received=False)
        task = shop.task(order, "PRT")
        body = api_of(operator).get(f"{TASKS}{task.pk}/").json()
        assert body["step_status"] == "waiting"
        assert any("not received" in sentence for sentence in body["missing"])
        assert {event["verb"] for event in body["events"]} >= {"dispatch", "queue"}
        assert [tool["code"] for tool in body["order_tools"]] == ["TOOL-leaflet"]
        assert "assignable_operators" not in body

    def test_who_may_assign_sees_to_whom(self, pending_task, supervisor, operator, second_operator, planner):
        operator.absent_until = timezone.localdate()
        operator.save()
        body = api_of(supervisor).get(f"{TASKS}{pending_task.pk}/").json()
        assert {(row["name"], row["is_absent"]) for row in body["assignable_operators"]} == {("Operator", True), ("Second Operator", False)}
        assert "assignable_operators" not in api_of(planner).get(f"{TASKS}{pending_task.pk}/").json()

    def test_a_late_and_held_task_warns(self, shop, operator, salesperson, pending_task):
        Task.objects.filter(pk=pending_task.pk).update(due_date=timezone.localdate() - timedelta(days=1))
        api_of(salesperson).post(f"/api/workorders/{pending_task.order_id}/hold/", {"reason": "wait"}, format="json")
        row = api_of(operator).get(f"{TASKS}{pending_task.pk}/").json()
        assert row["is_late"]
        assert len(row["warnings"]) == 2
        assert row["moves"] == []

    @pytest.mark.parametrize("name", [*PEOPLE])
    def test_everybody_sees_what_visible_to_says_and_nothing_else(self, shop, pending_task, name):
        user = shop.people[name]
        response = api_of(user).get(f"{TASKS}?page_size=200")
        if not user.has_perm("workorders.view_task"):
            problem(response, 403, "not_allowed")
            return
        seen = set(Task.objects.visible_to(user).values_list("pk", flat=True))
        assert {row["id"] for row in response.json()["results"]} == seen
        for task in Task.objects.all():
            assert api_of(user).get(f"{TASKS}{task.pk}/").status_code == (200 if task.pk in seen else 404)

    @pytest.mark.parametrize("rows", [2, 50])
    def test_the_list_costs_six_queries_whatever_its_length(self, shop, operator, pending_task, rows):
        copies = [Task.objects.get(pk=pending_task.pk) for _row in range(rows - 1)]
        for number, copy in enumerate(copies):
            copy.pk, copy.source_key = None, f"copy:{number}"
            copy.due_date = timezone.localdate() + timedelta(days=number)
        Task.objects.bulk_create(copies)
        client = api_of(operator)
        with count_queries(most=6) as statements:
            answer = client.get(f"{TASKS}?claimable=true&page_size=200")
        assert len(answer.json()["results"]) == rows
        assert len(statements) == 6  # one writes the token's last use, once a minute
        with count_queries() as statements:
            client.get(f"{TASKS}?claimable=true&page_size=200")
        assert len(statements) == 5

    def test_shared_tasks_cost_no_query_a_row(self, shop, supervisor, stranger, pending_task):
        share(pending_task.order, by=supervisor, user=stranger)
        client = api_of(stranger)
        assert len(client.get(TASKS).json()["results"]) == 4
        with count_queries() as statements:
            client.get(TASKS)
        assert len(statements) <= 6


class TestFinding:
    @pytest.fixture
    def tasks(self, shop):
        """The tasks of an approved order of Sunrise, by process; and a draft of Moonlight by somebody else."""
        order = shop.approved("poster", external_number="PO-77", priority=4)
        shop.draft(by="other_maker", customer=shop.other_customer)
        return {task.step.process.code: task.pk for task in Task.objects.filter(order=order).select_related("step__process")}

    def test_by_status_one_or_several(self, tasks, planner):
        assert ids(planner, "status=pending") == set(tasks.values())
        assert len(ids(planner, "status=draft")) == 4
        assert ids(planner, "status=draft,pending") == ids(planner)

    def test_by_department_with_what_is_below_it(self, shop, tasks, planner):
        printing = shop.departments["printing"].pk
        assert ids(planner, "status=pending&department=production") == set(tasks.values()) - {tasks["CTP"]}
        for name in ("department", "assigned_department"):
            assert ids(planner, f"status=pending&{name}=printing") == ids(planner, f"status=pending&{name}={printing}") == {tasks["PRT"]}

    def test_by_operator_me_or_an_id(self, shop, tasks, planner, operator, supervisor):
        do(operator, Task(pk=tasks["PRT"]), "claim")
        assert ids(operator, "assigned_operator=me") == {tasks["PRT"]}
        assert ids(planner, f"assigned_operator={operator.pk}") == {tasks["PRT"]}
        assert ids(planner, "assigned_operator=me") == set()

    def test_by_process_and_by_order(self, shop, tasks, planner):
        process, order = shop.processes["PRT"].pk, Task.objects.get(pk=tasks["PRT"]).order
        assert tasks["PRT"] in ids(planner, "process=PRT") == ids(planner, "process=prt") == ids(planner, f"process={process}")
        assert ids(planner, f"workorder={order.pk}") == ids(planner, f"workorder={order.number}") == set(tasks.values())

    def test_by_priority_name_or_number(self, tasks, planner):
        assert ids(planner, "priority=urgent") == ids(planner, "priority=4") == set(tasks.values())
        assert ids(planner, "priority=urgent,2") == ids(planner)

    def test_by_date(self, tasks, planner):
        today = timezone.localdate()
        Task.objects.filter(pk=tasks["CUT"]).update(due_date=today - timedelta(days=1))
        assert ids(planner, f"due_before={today}") == ids(planner, "late=true") == {tasks["CUT"]}
        assert ids(planner, "late=false") == ids(planner) - {tasks["CUT"]}

    def test_what_one_could_claim(self, tasks, operator, stranger, supervisor, planner):
        assert ids(operator, "claimable=true") == {tasks["PRT"]}
        assert ids(operator, "claimable=false") == set()
        assert ids(stranger, "claimable=true") == ids(planner, "claimable=true") == set()
        assert ids(supervisor, "claimable=1") == set(tasks.values()) - {tasks["CTP"]}

    def test_by_words_of_its_order(self, tasks, planner):
        number = Task.objects.get(pk=tasks["PRT"]).order.number
        for words in ("PO-77", "po-7", "sunrise", number):
            assert ids(planner, f"search={words}") == set(tasks.values()), words
        assert ids(planner, "search=nothing like it") == set()

    def test_in_an_order(self, tasks, planner):
        rows = api_of(planner).get(f"{TASKS}?ordering=-planned").json()["results"]
        assert [row["planned"] for row in rows] == sorted((row["planned"] for row in rows), reverse=True)


class TestStory:
    def test_an_operator_claims_starts_reports_and_completes(self, shop, operator, pending_task):
        assert do(operator, pending_task, "claim").json()["operator"]["name"] == "Operator"
        assert do(operator, pending_task, "start").json()["status"] == "in_progress"
        body = do(operator, pending_task, "update_progress", quantity=480, scrap=20, reason="colour", notes="second shift").json()
        assert (body["good"], body["scrap"], body["left"], body["percent"]) == (480, 20, 520, 48)
        event = WorkEvent.objects.get(task=pending_task, verb="report")
        assert (event.reason_code, event.reason, event.note, event.source) == ("colour", "", "second shift", "api")
        body = do(operator, pending_task, "complete", quantity=520).json()
        assert (body["status"], body["good"], body["percent"]) == ("completed", 1000, 100)
        assert WorkOrder.objects.get(pk=pending_task.order_id).status == "in_progress"

    def test_the_last_completion_completes_the_order(self, shop, planner):
        order = shop.approved()
        for task in Task.objects.filter(order=order).order_by("step__sequence"):
            worker = shop.worker_of(task)
            assert do(worker, task, "start").status_code == 200
            assert do(worker, task, "complete", quantity=task.planned).status_code == 200
        body = api_of(planner).get(f"/api/workorders/{order.pk}/").json()
        assert (body["status"], body["percent"]) == ("completed", 100)

    def test_pausing_resuming_and_giving_back(self, operator, pending_task):
        do(operator, pending_task, "claim")
        assert do(operator, pending_task, "release", reason="wrong machine").json()["status"] == "pending"
        do(operator, pending_task, "start")
        assert do(operator, pending_task, "pause", reason_code="break").json()["status"] == "paused"
        assert "Resume it" in problem(do(operator, pending_task, "update_progress", quantity=1), 409, "wrong_state")["detail"]
        assert do(operator, pending_task, "resume").json()["status"] == "in_progress"

    def test_undo_takes_the_last_report_back(self, operator, running_task):
        do(operator, running_task, "update_progress", quantity=48)
        assert do(operator, running_task, "undo").json()["good"] == 0
        assert [event.good for event in WorkEvent.objects.filter(task=running_task).order_by("pk")][-2:] == [48, -48]

    def test_a_free_reason_stays_a_text(self, operator, running_task):
        do(operator, running_task, "update_progress", scrap=3, reason="fell off the pallet")
        event = WorkEvent.objects.get(task=running_task, verb="report")
        assert (event.reason_code, event.reason) == ("", "fell off the pallet")

    @pytest.mark.parametrize(
        ("verb", "body", "code", "field"),
        [
            ("update_progress", {"scrap": 5}, "reason_needed", "reason"),
            ("complete", {"quantity": 10}, "short", "reason"),
            ("update_progress", {"quantity": 50_000}, "over_cap", "quantity"),
        ],
    )
    def test_a_rule_names_the_field_and_the_way_out(self, operator, running_task, verb, body, code, field):
        answer = problem(do(operator, running_task, verb, **body), 409, code)
        assert answer["errors"][0]["field"] == field
        assert answer["detail"].endswith(".")
        assert answer["retry"] == "never"

    def test_a_report_of_nothing_is_a_400(self, operator, running_task):
        problem(do(operator, running_task, "update_progress"), 400, "nothing")

    def test_a_report_costs_twelve_queries_at_most(self, operator, running_task):
        """With the token's last use, which is written once a minute. The limit's bucket is made by the first command."""
        client = api_of(operator)
        client.post(f"{TASKS}{running_task.pk}/update_progress/", {"quantity": 1}, format="json")
        AccessToken.objects.update(last_used_at=None)
        with count_queries(most=12):
            client.post(f"{TASKS}{running_task.pk}/update_progress/", {"quantity": 1}, format="json")
        with count_queries(most=12):
            client.post(f"{TASKS}{running_task.pk}/update_progress/", {"quantity": 1, "scrap": 1, "reason": "colour"}, format="json")


class TestAssigning:
    def test_to_a_person_with_a_note(self, supervisor, operator, pending_task):
        body = do(supervisor, pending_task, "assign", operator_id=operator.pk, notes="knows this customer").json()
        assert (body["status"], body["operator"]["id"]) == ("assigned", operator.pk)
        assert WorkEvent.objects.get(task=pending_task, verb="assign").reason == "knows this customer"

    def test_back_to_the_queue_of_a_department(self, shop, supervisor, operator, pending_task):
        do(supervisor, pending_task, "assign", operator_id=operator.pk)
        body = do(supervisor, pending_task, "assign", department="outsourcing").json()
        assert (body["status"], body["department"]["code"], body["operator"]) == ("pending", "outsourcing", None)

    def test_somebody_out_of_sight_reads_as_absent(self, supervisor, maker, pending_task):
        there, nowhere = (do(supervisor, pending_task, "assign", operator_id=pk) for pk in (maker.pk, 999_999))
        assert problem(there, 400, "invalid")["errors"][0]["code"] == problem(nowhere, 400, "invalid")["errors"][0]["code"] == "unknown"
        assert there.json()["detail"].replace(str(maker.pk), "X") == nowhere.json()["detail"].replace("999999", "X")

    def test_nobody_is_no_choice(self, supervisor, pending_task):
        problem(do(supervisor, pending_task, "assign"), 400, "nobody")

    def test_a_person_of_another_department_is_refused(self, supervisor, stranger, pending_task):
        problem(do(supervisor, pending_task, "assign", operator_id=stranger.pk), 409, "not_member")

    def test_splitting_takes_parts_off(self, supervisor, pending_task):
        body = do(supervisor, pending_task, "split", quantities=[300, 200]).json()
        assert sorted(row["planned"] for row in body) == [200, 300, 500]

    def test_cancelling_needs_a_reason(self, supervisor, pending_task):
        problem(do(supervisor, pending_task, "cancel"), 409, "reason_needed")
        assert do(supervisor, pending_task, "cancel", reason="not wanted").json()["status"] == "cancelled"

    def test_dispatching_again(self, supervisor, pending_task):
        assert do(supervisor, pending_task, "dispatch").json()["department"]["code"] == "printing"

    def test_who_gives_a_task_out_of_his_sight_is_told_so(self, shop, prepress_lead, planner):
        order = shop.approved()
        task = shop.task(order, "CTP")
        able = shop.departments["production"]
        able.processes.add(task.step.process)
        lead = User.objects.get(pk=prepress_lead.pk)
        share_of = do(lead, task, "assign", department="production")
        # The lead of design does not see production, so he cannot name it.
        assert problem(share_of, 400, "invalid")["errors"][0]["field"] == "department"


class TestRights:
    VERBS = {
        "claim": {}, "release": {}, "start": {}, "pause": {}, "resume": {}, "cancel": {"reason": "x"}, "update_progress": {"quantity": 1},
        "complete": {"quantity": 1000}, "undo": {}, "assign": {"operator_id": 1}, "split": {"quantities": [1]}, "dispatch": {},
    }  # fmt: skip

    @pytest.mark.parametrize("verb", VERBS)
    def test_out_of_sight_is_absent_for_every_verb(self, shop, operator, stranger, prepress_lead, other_maker, running_task, verb):
        before = Task.objects.filter(pk=running_task.pk).values().get()
        for user in (stranger, prepress_lead, other_maker):
            response = do(user, running_task, verb, **self.VERBS[verb])
            problem(response, 404, "not_found")
            assert response.content == do(user, Task(pk=999_999), verb, **self.VERBS[verb]).content
        assert Task.objects.filter(pk=running_task.pk).values().get() == before

    @pytest.mark.parametrize("verb", VERBS)
    def test_in_sight_but_not_allowed_is_a_403(self, shop, auditor, running_task, verb, operator):
        body = self.VERBS[verb] | ({"operator_id": operator.pk} if verb == "assign" else {})
        before = Task.objects.filter(pk=running_task.pk).values().get()
        problem(do(auditor, running_task, verb, **body), 403, "not_allowed")
        assert Task.objects.filter(pk=running_task.pk).values().get() == before

    @pytest.mark.parametrize("name", ["administrator", "nobody"])
    def test_without_the_right_to_see_tasks_everything_is_a_403(self, shop, running_task, name):
        for verb, body in self.VERBS.items():
            problem(do(shop.people[name], running_task, verb, **body), 403, "not_allowed")

    def test_without_a_token_everything_is_a_401(self, running_task):
        for verb in self.VERBS:
            assert APIClient().post(f"{TASKS}{running_task.pk}/{verb}/").status_code == 401

    def test_moves_and_answers_agree(self, shop, running_task):
        """What `moves` offers does not answer 403 or wrong_state, what it leaves out does."""
        for name in ("operator", "supervisor"):
            user = shop.people[name]
            moves = api_of(user).get(f"{TASKS}{running_task.pk}/").json()["moves"]
            for verb in ("claim", "release", "start", "resume"):
                assert verb not in moves
                assert do(user, running_task, verb).status_code in (403, 409)
            assert "report" in moves
            assert do(user, running_task, "update_progress", quantity=1).status_code == 200

    def test_a_shared_task_can_be_worked_on(self, shop, supervisor, stranger, pending_task):
        share(pending_task, by=supervisor, user=stranger, level="work")
        assert do(stranger, pending_task, "claim").status_code == 200
        assert do(stranger, pending_task, "start").status_code == 200

    def test_fields_of_the_model_cannot_be_written(self, operator, running_task):
        for field in {field.name for field in Task._meta.fields} - {"scrap"} | {"operator_id", "quantity__add"}:
            response = do(operator, running_task, "update_progress", **{"quantity": 1, field: 1})
            assert problem(response, 400, "invalid")["errors"][0]["code"] == "unknown_field", field


class TestClaiming:
    def test_who_comes_too_late_hears_who_was_faster(self, operator, second_operator, pending_task):
        do(operator, pending_task, "claim")
        body = problem(do(second_operator, pending_task, "claim"), 409, "already_claimed")
        assert "Operator has it" in body["detail"]
        assert (body["operator"], body["retry"]) == ("Operator", "never")

    def test_a_stranger_does_not_hear_it(self, operator, stranger, pending_task):
        do(operator, pending_task, "claim")
        problem(do(stranger, pending_task, "claim"), 404, "not_found")

    def test_claiming_twice_says_that_one_has_it(self, operator, pending_task):
        do(operator, pending_task, "claim")
        assert "You have" in problem(do(operator, pending_task, "claim"), 409, "already_claimed")["detail"]


@pytest.mark.django_db(transaction=True)
def test_of_two_claims_at_once_one_gets_the_task(shop, operator, second_operator, pending_task):
    answers, gate = [], threading.Barrier(2)

    def claim(credentials):
        client = APIClient()
        client.credentials(**credentials)
        gate.wait()
        response = client.post(f"{TASKS}{pending_task.pk}/claim/")
        answers.append((response.status_code, response.json().get("code")))
        connection.close()

    threads = [threading.Thread(target=claim, args=(api_of(user)._credentials,)) for user in (operator, second_operator)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(answers) == [(200, None), (409, "already_claimed")]
    assert WorkEvent.objects.filter(task=pending_task, verb="claim").count() == 1
