from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.workorders.models import OrderLine, Task, WorkEvent, WorkOrder
from apps.workorders.services import share
from tests.personas import PEOPLE, api_of
from tests.queries import count_queries

ORDERS = "/api/workorders/"


def body_of(**changes):
    due = timezone.localdate() + timedelta(days=10)
    return {
        "customer": "SUN",
        "due_date": str(due),
        "priority": "high",
        "production_quantity": 1200,
        "lines": [{"product": "LEAFLET", "quantity": 1000}],
    } | changes


def make(user, **changes):
    return api_of(user).post(ORDERS, body_of(**changes), format="json")


def edit(user, order, tag=None, **body):
    client = api_of(user)
    tag = client.get(f"{ORDERS}{order.pk}/")["ETag"] if tag is None else tag
    return client.patch(f"{ORDERS}{order.pk}/", body, format="json", headers={"If-Match": tag} if tag else {})


def do(user, order, verb, **body):
    return api_of(user).post(f"{ORDERS}{order.pk}/{verb}/", body, format="json")


def problem(response, status, code, field=None):
    assert response.status_code == status, response.content
    body = response.json()
    assert body["code"] == code, body
    if field:
        assert field in {error["field"] for error in body["errors"]}, body
    return body


def ids(user, query=""):
    answer = api_of(user).get(f"{ORDERS}?page_size=200&{query}")
    assert answer.status_code == 200, answer.content
    return {row["id"] for row in answer.json()["results"]}


class TestMaking:
    def test_a_new_order_has_its_draft_tasks_at_once(self, maker):
        response = make(maker)
        body = response.json()
        assert response.status_code == 201
        assert response["Location"].endswith(f"{ORDERS}{body['id']}/")
        assert (body["status"], body["priority"], body["production_quantity"]) == ("draft", "high", 1200)
        assert body["customer"]["code"] == "SUN"
        assert body["maker"]["name"] == "Maker"
        assert [line["product_code"] for line in body["lines"]] == ["LEAFLET"]
        assert [step["process"]["code"] for step in body["steps"]] == ["CTP", "CUT", "PRT", "PACK"]
        assert {task["status"] for task in body["tasks"]} == {"draft"}
        assert [tool["code"] for tool in body["tools"]] == ["TOOL-leaflet"]
        event = WorkEvent.objects.get(order=body["id"], verb="create")
        assert (event.source, event.actor) == ("api", maker)

    def test_ids_do_as_well_as_codes(self, shop, maker):
        body = make(maker, customer=shop.customer.pk, lines=[{"product": shop.products["poster"].pk, "quantity": 5}]).json()
        assert (body["customer"]["code"], body["lines"][0]["product_code"]) == ("SUN", "POSTER")

    def test_delivery_date_is_the_due_date(self, maker):
        day = str(timezone.localdate() + timedelta(days=3))
        body = body_of(delivery_date=day)
        del body["due_date"]
        answer = api_of(maker).post(ORDERS, body, format="json").json()
        assert answer["due_date"] == answer["delivery_date"] == day
        problem(make(maker, delivery_date=day), 400, "invalid", "delivery_date")

    def test_everything_that_an_order_can_say(self, shop, maker):
        body = make(
            maker, priority=4, allowance=50, external_number="PO-1", over_tolerance="10", under_tolerance=3.5, route="route-carton",
            printing_type="front", process_colours="CMK", spot_colours="528C", ups=4, instructions="mind the gold",
            order_date=str(timezone.localdate()), tools=["TOOL-carton:die", shop.tools["carton:foil"].pk],
            materials=[{"name": "Board 350 g", "size": "787x1092", "amount": "500.5", "unit": "sheet", "needs_cutting": True}],
        ).json()  # fmt: skip
        assert (body["priority"], body["colours"], body["ups"], body["route"]) == ("urgent", "CMK+528C (4)", 4, "route-carton")
        assert {tool["code"] for tool in body["tools"]} == {"TOOL-carton:die", "TOOL-carton:foil"}
        assert (body["materials"][0]["amount"], body["materials"][0]["needs_cutting"]) == ("500.500", True)
        assert (body["over_tolerance"], body["under_tolerance"], body["instructions"]) == ("10.00", "3.50", "mind the gold")

    def test_an_order_can_begin_with_nothing(self, maker):
        answer = api_of(maker).post(ORDERS, {}, format="json")
        assert answer.status_code == 201
        assert {problem["code"] for problem in answer.json()["problems"]} >= {"no_customer", "no_lines", "no_due_date"}

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"customer": "MOON-2"}, "customer"), ({"customer": 999_999}, "customer"), ({"customer": True}, "customer"),
            ({"customer": [1]}, "customer"), ({"customer": -1}, "customer"), ({"customer": 10**30}, "customer"),
            ({"customer": ""}, "customer"),
            ({"due_date": "tomorrow"}, "due_date"), ({"due_date": "2026-02-30"}, "due_date"), ({"due_date": 20261201}, "due_date"),
            ({"due_date": "2026-12-01T10:00"}, "due_date"), ({"priority": "soon"}, "priority"), ({"priority": 9}, "priority"),
            ({"priority": True}, "priority"), ({"production_quantity": -1}, "production_quantity"),
            ({"production_quantity": 10**12}, "production_quantity"), ({"production_quantity": "many"}, "production_quantity"),
            ({"lines": {}}, "lines"), ({"lines": "x"}, "lines"), ({"lines": [1]}, "lines.0"), ({"lines": [{}]}, "lines.0.product"),
            ({"lines": [{"product": "LEAFLET", "quantity": 0}]}, "lines.0.quantity"),
            ({"lines": [{"product": "LEAFLET", "quantity": 5}, {"product": "NOPE", "quantity": 5}]}, "lines.1.product"),
            ({"lines": [{"product": "LEAFLET", "quantity": 5, "colour": "red"}]}, "lines.0.colour"),
            ({"lines": [{"product": "LEAFLET", "quantity": 5, "unit": "bushel"}]}, "lines.0.unit"),
            ({"lines": [{"product": "LEAFLET", "quantity": 5, "id": 1}]}, "lines.0.id"),
            ({"lines": [{"product": "LEAFLET", "quantity": 5}] * 201}, "lines"),
            ({"materials": [{"name": ""}]}, "materials.0.name"), ({"materials": [{"name": "x", "amount": -1}]}, "materials.0.amount"),
            ({"materials": [{"name": "x", "needs_cutting": "yes"}]}, "materials.0.needs_cutting"), ({"tools": ["NOPE"]}, "tools.0"),
            ({"tools": [{"id": 1}]}, "tools.0"), ({"route": "NOPE"}, "route"), ({"ups": 0}, "ups"),
            ({"over_tolerance": 101}, "over_tolerance"),
            ({"over_tolerance": "NaN"}, "over_tolerance"), ({"process_colours": "RGB"}, "process_colours"),
            ({"instructions": "x" * 4001}, "instructions"), ({"external_number": 7}, "external_number"),
            ({"steps_text": "CTP > NOPE"}, "steps_text"), ({"printing_type": "sideways"}, "printing_type"),
        ],
        ids=lambda value: str(value)[:50],
    )  # fmt: skip
    def test_what_cannot_be_is_a_400_that_names_the_field(self, maker, changes, field):
        body = make(maker, **changes)
        assert body.status_code == 400, body.content
        assert field in {error["field"] for error in body.json()["errors"]}, body.content
        assert not WorkOrder.objects.exists()

    def test_several_faults_are_told_at_once(self, maker):
        body = problem(make(maker, priority="soon", ups=0, lines=[{"product": "LEAFLET", "quantity": -1}]), 400, "invalid")
        assert {error["field"] for error in body["errors"]} == {"priority", "ups", "lines.0.quantity"}

    def test_nobody_writes_what_is_not_his_to_write(self, maker):
        names = {field.name for field in WorkOrder._meta.fields} - {
            "customer", "due_date", "order_date", "priority", "allowance", "external_number", "over_tolerance", "under_tolerance", "route",
            "steps_text", "printing_type", "process_colours", "spot_colours", "ups", "instructions",
        }  # fmt: skip
        for name in names | {"customer_id", "maker_id"}:
            problem(make(maker, **{name: 1}), 400, "invalid", name)
        assert not WorkOrder.objects.exists()

    def test_a_customer_of_somebody_else_reads_as_absent(self, other_salesperson):
        there, nowhere = make(other_salesperson, customer="SUN"), make(other_salesperson, customer="XXX")
        assert problem(there, 400, "invalid")["detail"].replace("SUN", "XXX") == problem(nowhere, 400, "invalid")["detail"]

    @pytest.mark.parametrize("name", ["planner", "auditor"])
    def test_who_makes_no_orders_is_told_so(self, shop, name):
        problem(make(shop.people[name]), 403, "not_allowed")


class TestEditing:
    def test_an_edit_brings_the_tasks_in_line(self, maker, draft_order):
        line = draft_order.lines.get()
        response = edit(maker, draft_order, priority="urgent", lines=[{"id": line.pk, "product": "POSTER", "quantity": 700}])
        body = response.json()
        assert response.status_code == 200, body
        assert (body["priority"], body["lines"][0]["id"], body["lines"][0]["quantity"]) == ("urgent", line.pk, 700)
        assert "TRIM" in {task["process"]["code"] for task in body["tasks"]}
        assert WorkOrder.history.filter(id=draft_order.pk).first().history_user == maker

    def test_what_is_not_named_stays(self, maker, draft_order):
        before = draft_order.due_date
        body = edit(maker, draft_order, instructions="fold twice").json()
        assert (body["due_date"], body["instructions"]) == (str(before), "fold twice")
        assert len(body["lines"]) == len(body["materials"]) == 1

    def test_a_line_that_is_not_named_goes_and_one_without_an_id_is_new(self, maker, draft_order):
        old = draft_order.lines.get().pk
        body = edit(maker, draft_order, lines=[{"product": "POSTER", "quantity": 10}]).json()
        assert [line["product_code"] for line in body["lines"]] == ["POSTER"]
        assert not OrderLine.objects.filter(pk=old).exists()

    def test_the_answer_carries_the_tag_for_the_next_edit(self, maker, draft_order):
        tag = edit(maker, draft_order, ups=2)["ETag"]
        assert edit(maker, draft_order, tag, ups=3).status_code == 200

    def test_without_a_tag_it_is_a_428(self, maker, draft_order):
        assert problem(edit(maker, draft_order, "", ups=2), 428, "precondition_required")["retry"] == "new_key"
        for tag in ("*", '"nonsense"', "5"):
            problem(edit(maker, draft_order, tag, ups=2), 428, "precondition_required")

    def test_with_an_old_tag_it_is_a_412_that_shows_the_present_state(self, maker, supervisor, draft_order):
        old = api_of(maker).get(f"{ORDERS}{draft_order.pk}/")["ETag"]
        edit(maker, draft_order, instructions="mine")
        body = problem(edit(maker, draft_order, old, instructions="late"), 412, "stale", "If-Match")
        assert body["current"]["instructions"] == "mine"
        assert body["retry"] == "new_key"
        draft_order.refresh_from_db()
        assert draft_order.instructions == "mine"

    def test_the_tag_of_another_order_does_not_do(self, shop, maker, draft_order):
        other = api_of(maker).get(f"{ORDERS}{shop.draft().pk}/")["ETag"]
        problem(edit(maker, draft_order, other, ups=2), 412, "stale")

    def test_only_a_draft_or_rejected_order_is_edited(self, maker, submitted_order, salesperson):
        assert problem(edit(maker, submitted_order, ups=2), 409, "wrong_state")["detail"].endswith(".")
        do(salesperson, submitted_order, "reject", reason="wrong paper")
        assert edit(maker, submitted_order, ups=2).status_code == 200

    def test_a_part_of_another_order_is_refused(self, shop, maker, draft_order):
        foreign = shop.draft().lines.get()
        body = {"lines": [{"id": foreign.pk, "product": "LEAFLET", "quantity": 1}]}
        problem(edit(maker, draft_order, **body), 400, "invalid", "lines.0.id")
        foreign.refresh_from_db()
        assert foreign.quantity == 1000

    def test_out_of_sight_is_absent_before_any_tag_is_looked_at(self, other_maker, maker, draft_order):
        tag = api_of(maker).get(f"{ORDERS}{draft_order.pk}/")["ETag"]
        for given in (tag, '"1.1.0000000000000000"', ""):
            response = api_of(other_maker).patch(f"{ORDERS}{draft_order.pk}/", {"ups": 2}, format="json", headers={"If-Match": given})
            problem(response, 404, "not_found")

    def test_in_sight_but_not_allowed_is_a_403(self, planner, draft_order):
        problem(edit(planner, draft_order, ups=2), 403, "not_allowed")

    def test_deleting_a_draft(self, maker, other_maker, draft_order):
        problem(api_of(other_maker).delete(f"{ORDERS}{draft_order.pk}/"), 404, "not_found")
        assert api_of(maker).delete(f"{ORDERS}{draft_order.pk}/").status_code == 204
        assert not WorkOrder.objects.exists()

    def test_an_approved_order_is_not_deleted(self, supervisor, approved_order):
        problem(api_of(supervisor).delete(f"{ORDERS}{approved_order.pk}/"), 409, "wrong_state")


class TestVerbs:
    def test_from_draft_to_approved(self, maker, salesperson, draft_order):
        assert do(maker, draft_order, "submit").json()["status"] == "submitted"
        assert ids(salesperson, "waiting=true") == {draft_order.pk}
        body = do(salesperson, draft_order, "approve", comment="price agreed").json()
        assert body["status"] == "approved"
        assert {task["status"] for task in body["tasks"]} == {"pending"}
        assert WorkEvent.objects.get(order=draft_order, verb="approve").reason == "price agreed"

    def test_what_is_missing_before_submitting_is_named_all_at_once(self, maker):
        order = WorkOrder(pk=api_of(maker).post(ORDERS, {}, format="json").json()["id"])
        body = problem(do(maker, order, "submit"), 400, "incomplete", "customer")
        assert {error["field"] for error in body["errors"]} >= {"customer", "lines", "due_date"}

    def test_rejecting_needs_a_reason_and_comes_back_as_an_edit(self, maker, salesperson, submitted_order):
        problem(do(salesperson, submitted_order, "reject"), 409, "reason_needed", "reason")
        assert do(salesperson, submitted_order, "reject", comment="wrong paper").json()["status"] == "rejected"
        assert "submit" in api_of(maker).get(f"{ORDERS}{submitted_order.pk}/").json()["moves"]

    def test_holding_resuming_cancelling(self, salesperson, approved_order):
        assert do(salesperson, approved_order, "hold", reason="wait").json()["status"] == "on_hold"
        assert do(salesperson, approved_order, "resume", reason="go on").json()["status"] == "approved"
        assert do(salesperson, approved_order, "cancel", reason="withdrawn").json()["status"] == "cancelled"
        problem(do(salesperson, approved_order, "resume"), 409, "wrong_state")

    def test_reopening_a_completed_order(self, supervisor, completed_order):
        assert do(supervisor, completed_order, "reopen", reason="200 are missing").json()["status"] == "in_progress"

    def test_copying_makes_a_new_draft(self, maker, completed_order):
        response = do(maker, completed_order, "copy")
        assert (response.status_code, response.json()["status"]) == (201, "draft")
        assert response.json()["id"] != completed_order.pk

    def test_dispatching_at_once(self, shop, supervisor):
        order = shop.approved(dispatched=False)
        do(supervisor, order, "dispatch")
        assert not Task.objects.filter(order=order, dispatched_at=None).exists()

    def test_nobody_approves_his_own(self, shop, salesperson):
        order = shop.submitted(by="salesperson")
        body = problem(do(salesperson, order, "approve"), 403, "not_allowed")
        assert order.number in body["detail"]

    VERBS = ("submit", "approve", "reject", "hold", "resume", "cancel", "reopen", "copy", "dispatch")

    @pytest.mark.parametrize("verb", VERBS)
    def test_out_of_sight_is_absent_and_in_sight_but_not_allowed_is_a_403(self, shop, other_maker, auditor, submitted_order, verb):
        body = {} if verb in ("submit", "copy", "dispatch") else {"reason": "x"}
        there, nowhere = do(other_maker, submitted_order, verb, **body), do(other_maker, WorkOrder(pk=999_999), verb, **body)
        problem(there, 404, "not_found")
        assert there.content == nowhere.content
        problem(do(auditor, submitted_order, verb, **body), 403, "not_allowed")
        submitted_order.refresh_from_db()
        assert submitted_order.status == "submitted"

    @pytest.mark.parametrize("verb", VERBS)
    def test_no_verb_on_get_or_without_a_token(self, maker, draft_order, verb):
        assert api_of(maker).get(f"{ORDERS}{draft_order.pk}/{verb}/").status_code == 405
        assert APIClient().post(f"{ORDERS}{draft_order.pk}/{verb}/").status_code == 401

    def test_operators_see_no_orders(self, operator, approved_order):
        problem(api_of(operator).get(ORDERS), 403, "not_allowed")
        problem(api_of(operator).get(f"{ORDERS}{approved_order.pk}/"), 403, "not_allowed")


class TestReading:
    @pytest.mark.parametrize("name", [*PEOPLE])
    def test_everybody_sees_what_visible_to_says_and_nothing_else(self, shop, name):
        shop.draft()
        shop.draft(by="other_maker", customer=shop.other_customer)
        shop.approved()
        user = shop.people[name]
        if not user.has_perm("workorders.view_workorder"):
            problem(api_of(user).get(ORDERS), 403, "not_allowed")
            return
        seen = set(WorkOrder.objects.visible_to(user).values_list("pk", flat=True))
        assert ids(user) == seen
        for order in WorkOrder.objects.all():
            assert api_of(user).get(f"{ORDERS}{order.pk}/").status_code == (200 if order.pk in seen else 404)

    def test_tasks_and_events_inside_are_those_in_sight(self, shop, prepress_lead, approved_order):
        body = api_of(prepress_lead).get(f"{ORDERS}{approved_order.pk}/").json()
        assert {task["process"]["code"] for task in body["tasks"]} == {"CTP"}
        hidden = set(Task.objects.filter(order=approved_order).exclude(step__process__code="CTP").values_list("pk", flat=True))
        assert not hidden & {event["task"] for event in body["events"]}

    def test_a_shared_order_is_seen_and_not_edited(self, shop, supervisor, other_maker, approved_order):
        share(approved_order, by=supervisor, user=other_maker)
        assert approved_order.pk in ids(other_maker)
        problem(do(other_maker, approved_order, "hold", reason="x"), 403, "not_allowed")

    @pytest.mark.parametrize("rows", [2, 30])
    def test_the_list_costs_the_same_for_few_and_many(self, shop, planner, rows):
        first = shop.draft()
        copies = [WorkOrder.objects.get(pk=first.pk) for _row in range(rows - 1)]
        for number, copy in enumerate(copies):
            copy.pk, copy.number = None, f"copy-{number}"
        WorkOrder.objects.bulk_create(copies)
        client = api_of(planner)
        client.get(ORDERS)
        with count_queries() as statements:
            answer = client.get(f"{ORDERS}?page_size=200")
        assert len(answer.json()["results"]) == rows
        assert len(statements) == 4

    @pytest.mark.parametrize("lines", [1, 6])
    def test_the_detail_costs_the_same_for_few_and_many_lines(self, shop, maker, lines):
        order = shop.draft(*["leaflet"] * lines)
        client = api_of(maker)
        client.get(ORDERS)
        with count_queries() as statements:
            assert len(client.get(f"{ORDERS}{order.pk}/").json()["lines"]) == lines
        assert len(statements) <= 24

    def test_finding(self, shop, planner, salesperson, submitted_order):
        late = shop.draft(external_number="PO-9", priority=4)
        WorkOrder.objects.filter(pk=late.pk).update(due_date=timezone.localdate() - timedelta(days=2))
        other = shop.draft(by="other_maker", customer=shop.other_customer)
        assert ids(planner, "status=draft") == {late.pk, other.pk}
        assert ids(planner, "status=draft,submitted") == ids(planner)
        assert ids(planner, "customer=MOON") == ids(planner, f"customer={shop.other_customer.pk}") == {other.pk}
        assert ids(planner, "late=1") == ids(planner, f"due_before={timezone.localdate()}") == {late.pk}
        assert ids(planner, "priority=urgent") == ids(planner, "search=po-9") == {late.pk}
        assert ids(planner, "search=moonlight") == {other.pk}
        assert ids(planner, f"search={submitted_order.number}") == {submitted_order.pk}
        assert ids(planner, "waiting=true") == set()
        assert ids(salesperson, "waiting=true") == {submitted_order.pk}
        assert submitted_order.pk not in ids(salesperson, "waiting=false")
