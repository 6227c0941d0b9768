"""One scan: stored before it is understood, done by the verbs that people use, counted once for ever, answered in a sentence."""

import uuid
from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import translation

from apps.core.models import IdempotencyKey
from apps.scanning.codes import Kind, encode
from apps.scanning.models import Scan
from apps.scanning.services import scans
from apps.workorders import services as do
from apps.workorders.models import WorkEvent
from tests.personas import again, api_of
from tests.queries import count_queries
from tests.scanning.sending import broken, code_of, counted, item, moment, paper_of, send, stored, told


@pytest.fixture
def api(handheld, operator):
    return handheld.signed_in(operator)


class TestVerbs:
    def test_a_shift_at_the_press(self, api, pending_task, operator):
        """Every verb once, each with its sentence, its state and its events."""
        day = [
            (item(pending_task), "start", "in_progress"),
            (item(pending_task, "report", quantity=480, scrap=20, reason="colour"), "report", "in_progress"),
            (item(pending_task, "pause", reason_code="break"), "pause", "paused"),
            (item(pending_task), "resume", "in_progress"),
            (item(pending_task, "report", quantity=500), "report", "in_progress"),
            (item(pending_task, "undo"), "undo", "in_progress"),
            (item(pending_task, "complete", quantity=520), "complete", "completed"),
        ]
        for sent, verb, status in day:
            answer = send(api, sent)
            assert told(answer) == (200, "applied", ""), answer.content
            assert (answer.json()["verb"], answer.json()["task"]["status"]) == (verb, status)
            assert answer.json()["detail"]
            assert stored(sent).outcome == "applied"
        assert counted(pending_task) == (1000, 20)
        verbs = list(pending_task.events.exclude(verb__in=["queue", "dispatch"]).order_by("pk").values_list("verb", flat=True))
        assert verbs == ["claim", "start", "report", "pause", "resume", "report", "undo", "complete"]
        assert broken() == []

    def test_an_event_is_signed_with_person_handheld_scan_and_request(self, api, handheld, running_task, operator):
        sent = item(running_task, "report", quantity=5)
        answer = send(api, sent, HTTP_X_REQUEST_ID="scan-17")
        event, scan = running_task.events.get(verb="report"), stored(sent)
        assert (event.actor, event.source, event.device, event.scan_id) == (operator, "scan", "Press 1", scan.pk)
        assert (event.request_id, scan.request_id, answer["X-Request-ID"]) == ("scan-17",) * 3
        assert (scan.user, scan.device, scan.session.user, scan.raw, scan.task, scan.order) == (
            operator, handheld.device, operator, sent, running_task, running_task.order,
        )  # fmt: skip
        history = running_task.history.first()
        assert (history.source, history.history_user, history.request_id) == ("scan", operator, "scan-17")

    def test_claim_and_release(self, api, pending_task, operator):
        assert told(send(api, item(pending_task, "claim"))) == (200, "applied", "")
        pending_task.refresh_from_db()
        assert pending_task.operator == operator
        assert told(send(api, item(pending_task, "release", reason="another job"))) == (200, "applied", "")
        pending_task.refresh_from_db()
        assert (pending_task.status, pending_task.operator) == ("pending", None)

    def test_start_on_a_paused_task_resumes_it(self, api, shop):
        """The strip on the ticket has no resume: start, pause, complete, undo are all that a plain scanner has."""
        task = shop.task_in("paused")
        answer = send(api, item(task, "start"))
        assert told(answer) == (200, "applied", "")
        assert (answer.json()["verb"], answer.json()["task"]["status"]) == ("resume", "in_progress")

    def test_a_running_task_scanned_alone_asks_for_the_verb(self, api, running_task):
        assert told(send(api, item(running_task))) == (409, "refused", "verb_needed")

    @pytest.mark.parametrize("verb", ["", "start", "pause"])
    def test_pieces_are_never_dropped_for_want_of_the_verb(self, api, running_task, verb):
        sent = item(running_task, verb, quantity=7)
        assert told(send(api, sent)) == (409, "refused", "verb_needed")
        assert (stored(sent).outcome, stored(sent).quantity, counted(running_task)) == ("refused", 7, (0, 0))

    def test_completing_below_plan_needs_a_reason_and_invents_nothing(self, api, running_task):
        answer = send(api, item(running_task, "complete"))
        assert told(answer) == (409, "refused", "short")
        assert answer.json()["left"] == 1000
        assert told(send(api, item(running_task, "complete", quantity=300, reason="paper is out"))) == (200, "applied", "")
        assert counted(running_task) == (300, 0)

    def test_scrap_needs_a_reason_which_may_be_the_code_on_paper(self, api, running_task):
        assert told(send(api, item(running_task, "report", scrap=3))) == (409, "refused", "reason_needed")
        code = encode(Kind.REASON, 5)
        assert told(send(api, item(running_task, "report", scrap=3, reason=code))) == (200, "applied", "")
        assert running_task.events.get(verb="report").reason_code == "colour"

    def test_more_than_planned_warns_and_far_more_is_refused(self, api, running_task):
        answer = send(api, item(running_task, "report", quantity=1020))
        assert [one["code"] for one in answer.json()["warnings"]] == ["over_plan"]
        assert told(send(api, item(running_task, "report", quantity=900))) == (409, "refused", "over_cap")
        assert counted(running_task) == (1020, 0)


class TestCounter:
    def test_what_the_press_counted_less_the_scrap_is_good(self, api, running_task):
        answer = send(api, item(running_task, "report", counter={"start": 12000, "end": 12480}, scrap=30, reason="setup"))
        assert told(answer) == (200, "applied", "")
        assert counted(running_task) == (450, 30)
        assert running_task.events.get(verb="report").note == "Counter 12000 → 12480"

    def test_a_quantity_beside_it_has_to_agree(self, api, running_task):
        counter = {"start": 100, "end": 200}
        assert told(send(api, item(running_task, "report", quantity=90, counter=counter))) == (409, "refused", "counter_mismatch")
        assert told(send(api, item(running_task, "report", quantity=100, counter=counter))) == (200, "applied", "")

    @pytest.mark.parametrize(
        ("counter", "scrap", "code"),
        [
            ({"start": 200, "end": 100}, 0, "counter_backwards"),
            ({"start": 0, "end": 5}, 9, "counter_mismatch"),
            ({"start": 0, "end": 2**52}, 0, "bad_number"),
        ],
    )
    def test_what_cannot_be_is_refused_in_words(self, api, running_task, counter, scrap, code):
        sent = item(running_task, "report", counter=counter, scrap=scrap, reason="setup")
        answer = send(api, sent)
        assert (answer.json()["code"], answer.json()["result"]) == (code, "refused")
        assert stored(sent).outcome_code == code
        assert counted(running_task) == (0, 0)


class TestOnceForEver:
    def test_sent_again_it_answers_what_the_first_got_and_does_nothing(self, api, running_task):
        sent = item(running_task, "report", quantity=480, scrap=20, reason="colour")
        first = send(api, sent).json()
        with count_queries(4) as queries:
            answer = send(api, sent)
        assert len(queries) == 4
        assert told(answer) == (200, "duplicate", "")
        assert answer.json() == first | {"result": "duplicate"}
        assert counted(running_task) == (480, 20)

    def test_a_refusal_is_final_too(self, api, running_task):
        sent = item(running_task, "report", scrap=3)
        assert told(send(api, sent)) == (409, "refused", "reason_needed")
        answer = send(api, sent)
        assert told(answer) == (200, "duplicate", "reason_needed")
        assert answer.json()["outcome"] == "refused"

    def test_the_same_key_with_another_body_counts_the_first_and_says_so(self, api, running_task):
        sent = item(running_task, "report", quantity=10)
        send(api, sent)
        answer = send(api, sent | {"quantity": 99})
        assert told(answer) == (200, "duplicate", "")
        assert [one["code"] for one in answer.json()["warnings"]] == ["other_body"]
        assert counted(running_task) == (10, 0)

    def test_another_time_of_sending_is_no_other_body(self, api, running_task):
        sent = item(running_task, "report", quantity=10, device_time=moment())
        send(api, sent)
        assert send(api, sent | {"device_time": moment()}).json()["warnings"] == []

    def test_years_later_it_still_counts_once(self, api, running_task):
        sent = item(running_task, "report", quantity=10)
        send(api, sent)
        Scan.objects.update(received_at="2019-01-01T00:00:00Z")
        assert told(send(api, sent)) == (200, "duplicate", "")
        assert counted(running_task) == (10, 0)

    def test_the_sentence_stays_as_it_was_told(self, api, running_task):
        """It is what stood on the screen, in the language of that moment."""
        sent = item(running_task, "report", quantity=10)
        first = send(api, sent).json()["detail"]
        assert send(api, sent, HTTP_ACCEPT_LANGUAGE="zh-hans").json()["detail"] == first

    def test_keys_are_unique_for_each_handheld_and_for_each_person_without_one(self, register, running_task, operator):
        sent = item(running_task, "report", quantity=10)
        for client in (register("A").signed_in(operator), register("B").signed_in(operator), api_of(operator)):
            assert told(send(client, sent)) == (200, "applied", "")
            assert told(send(client, sent)) == (200, "duplicate", "")
        assert counted(running_task) == (30, 0)
        assert Scan.objects.filter(client_event_id=sent["client_event_id"]).count() == 3

    def test_nobody_sends_or_hears_the_scan_of_somebody_else(self, handheld, running_task, operator, second_operator):
        sent = item(running_task, "report", quantity=10)
        send(handheld.signed_in(operator), sent)
        answer = send(handheld.signed_in(second_operator), sent)
        assert told(answer) == (409, "refused", "other_person")
        assert answer.json()["task"] is None
        assert running_task.order.number not in answer.content.decode()

    def test_an_idempotency_key_replays_the_answer_itself(self, api, running_task):
        sent = item(running_task, "report", quantity=10)
        first = send(api, sent, HTTP_IDEMPOTENCY_KEY="k1")
        again_ = send(api, sent, HTTP_IDEMPOTENCY_KEY="k1")
        assert (again_.status_code, again_.json(), again_["Idempotent-Replayed"]) == (200, first.json(), "true")
        assert send(api, item(running_task, "report", quantity=1), HTTP_IDEMPOTENCY_KEY="k1").status_code == 422
        assert counted(running_task) == (10, 0)

    def test_a_refused_scan_stays_stored_whatever_the_key(self, api, running_task):
        sent = item(running_task, "report", scrap=3)
        assert send(api, sent, HTTP_IDEMPOTENCY_KEY="k2").status_code == 409
        assert stored(sent).outcome == "refused"
        assert not IdempotencyKey.objects.filter(key="k2").exists()


class TestWhatCannotBe:
    @pytest.mark.parametrize("verb", ["", "start"])
    def test_a_task_of_a_colleague_names_him(self, api, shop, pending_task, second_operator, verb):
        do.claim_task(pending_task, by=again(second_operator))
        answer = send(api, item(pending_task, verb))
        assert told(answer) == (409, "refused", "already_claimed")
        assert "Second Operator" in answer.json()["detail"]
        assert answer.json()["task"] is None

    def test_what_is_out_of_sight_reads_and_costs_as_what_is_absent(self, handheld, stranger, running_task):
        api = handheld.signed_in(stranger)
        send(api, item("T2N7"))
        answers = []
        for code in (code_of(running_task), encode(Kind.TASK, 987654)):
            with count_queries() as queries:
                answer = send(api, item(code, "report", quantity=5))
            assert told(answer) == (404, "refused", "unknown_code")
            answers.append((len(queries), answer.json()["detail"], answer.json()["task"]))
        assert answers[0] == answers[1]

    @pytest.mark.parametrize("kind", [Kind.BADGE, Kind.COMMAND, Kind.REASON])
    def test_a_badge_a_command_or_a_reason_says_what_to_scan_first(self, handheld, operator, kind):
        number = handheld.badge_of(operator).pk if kind == Kind.BADGE else 1
        assert told(send(handheld.signed_in(operator), item(encode(kind, number)))) == (409, "refused", "scan_task_first")

    @pytest.mark.parametrize(
        ("code", "expected"),
        [("T2N8", "wrong_check"), ("hello", "bad_code"), ("https://other.example/s/T2N7", "foreign_host"), ("é", "bad_code")],
    )
    def test_what_is_no_code_of_ours_is_stored_and_told(self, api, code, expected):
        sent = item(code)
        assert told(send(api, sent)) == (400, "refused", expected)
        assert (stored(sent).outcome_code, stored(sent).code) == (expected, code)

    def test_our_own_address_of_a_code_is_a_code(self, api, running_task):
        code = f"https://testserver/s/{code_of(running_task)}"
        assert told(send(api, item(code, "report", quantity=1))) == (200, "applied", "")
        with override_settings(ALLOWED_HOSTS=["testserver", ".example.com"]):
            code = f"https://docket.example.com/s/{code_of(running_task)}"
            assert told(send(api, item(code, "report", quantity=1))) == (200, "applied", "")

    def test_a_badge_scanned_along_has_to_be_ones_own(self, handheld, running_task, operator, second_operator):
        own, other = code_of(handheld.badge_of(operator)), code_of(handheld.badge_of(second_operator))
        api = handheld.signed_in(operator)
        assert told(send(api, item(running_task, "report", quantity=1, badge=own))) == (200, "applied", "")
        assert told(send(api, item(running_task, "report", quantity=1, badge=other))) == (409, "refused", "badge_mismatch")
        assert told(send(api, item(running_task, "report", quantity=1, badge="E00"))) == (409, "refused", "badge_mismatch")
        assert counted(running_task) == (1, 0)

    def test_a_handheld_alone_scans_nothing(self, handheld, running_task):
        answer = send(handheld.alone, item(running_task, "report", quantity=1))
        assert (answer.status_code, answer.json()["code"]) == (403, "badge_needed")
        assert not Scan.objects.exists()

    def test_who_may_not_hears_it_and_the_scan_stays(self, auditor, running_task):
        sent = item(running_task, "report", quantity=1)
        assert told(send(api_of(auditor), sent)) == (403, "refused", "not_allowed")
        assert stored(sent).outcome_code == "not_allowed"


class TestOrderCodes:
    def test_the_callers_only_task_is_meant(self, api, pending_task):
        answer = send(api, item(pending_task.order))
        assert told(answer) == (200, "applied", "")
        assert (answer.json()["task"]["id"], answer.json()["verb"]) == (pending_task.pk, "start")
        assert told(send(api, item(pending_task.order, "report", quantity=9))) == (200, "applied", "")
        assert counted(pending_task) == (9, 0)

    def test_several_are_named(self, api, shop, operator):
        order = shop.approved(steps_text="PRT > VAN > PACK")
        answer = send(api, item(order, "claim"))
        assert told(answer) == (409, "refused", "ambiguous")
        for task in order.tasks.filter(step__process__code__in=["PRT", "VAN"]):
            assert str(task) in answer.json()["detail"]

    def test_ones_own_goes_before_what_one_could_take(self, api, shop, operator):
        order = shop.approved(steps_text="PRT > VAN > PACK")
        do.claim_task(shop.task(order, "VAN"), by=again(operator))
        assert told(send(api, item(order, "release"))) == (200, "applied", "")

    def test_nothing_to_do_says_so(self, api, pending_task):
        assert told(send(api, item(pending_task.order, "complete"))) == (409, "refused", "nothing_to_do")

    def test_an_order_without_a_task_of_ones_own_is_unknown(self, handheld, stranger, pending_task):
        assert told(send(handheld.signed_in(stranger), item(pending_task.order))) == (404, "refused", "unknown_code")

    def test_an_old_ticket_counts_and_warns(self, api, running_task):
        running_task.order.revision = 5
        running_task.order.save()
        answer = send(api, item(paper_of(running_task, 3), "report", quantity=4))
        assert told(answer) == (200, "applied", "")
        assert [one["code"] for one in answer.json()["warnings"]] == ["old_ticket"]
        assert send(api, item(paper_of(running_task, 5), "report", quantity=4)).json()["warnings"] == []


class TestShapes:
    def test_an_unknown_field_is_told_and_the_scan_kept(self, api, running_task):
        sent = item(running_task, "report", quantity=1, colour="red")
        answer = send(api, sent)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
        assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [("colour", "unknown_field")]
        assert (stored(sent).outcome, stored(sent).raw) == ("refused", sent)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("code", 7), ("code", ""), ("code", "x" * 301), ("code", None), ("verb", "fly"), ("verb", 3), ("quantity", -1),
            ("quantity", 1.5), ("quantity", 10**30), ("quantity", True), ("quantity", [1]), ("scrap", "many"), ("reason", "x" * 1001),
            ("reason", {}), ("reason_code", "weather"), ("badge", "E" * 41), ("captured_at", "yesterday"),
            ("captured_at", "2026-11-21T06:30:00"), ("captured_at", "0001-01-01T00:00:00+14:00"),
            ("captured_at", "9999-12-31T23:59:59-12:00"), ("captured_at", 5), ("device_time", "now"), ("lane", "x" * 65), ("lane", 1),
            ("seq", "first"), ("seq", 2**60), ("counter", 5), ("counter", {"start": 1}), ("counter", {"start": 1, "end": None}),
            ("counter", {"start": 1, "end": 2, "more": 3}), ("counter", {"start": -1, "end": 2}),
        ],
    )  # fmt: skip
    def test_a_wrong_field_is_named(self, api, running_task, field, value):
        sent = item(running_task, "report", quantity=1) | {field: value}
        answer = send(api, sent)
        assert answer.status_code == 400
        assert [one["field"].split(".")[0] for one in answer.json()["errors"]] == [field]
        assert counted(running_task) == (0, 0)
        assert stored(sent).outcome == "refused"

    @pytest.mark.parametrize("key", [None, "", "17", 17, "{0b9f3c52-7d3e-4c5a-9a57-0d2f6c1e8b44}", "x" * 36, []])
    def test_without_a_key_of_its_own_nothing_is_stored(self, api, running_task, key):
        answer = send(api, item(running_task, "report", quantity=1) | {"client_event_id": key})
        assert answer.status_code == 400
        assert [one["field"] for one in answer.json()["errors"]] == ["client_event_id"]
        assert not Scan.objects.exists()

    @pytest.mark.parametrize("body", ["[]", "7", '"T2N7"', "null", "{", "\x00", '{"code": NaN}'])
    def test_what_is_no_object_is_refused(self, api, body):
        assert api.post("/api/scans/", body, content_type="application/json").status_code == 400

    @pytest.mark.parametrize("value", ["1e999", "-1e999", "123456789012345678901234567890", "1e5"])
    def test_numbers_that_no_column_holds_are_no_fault(self, api, running_task, value):
        key = str(uuid.uuid4())
        body = f'{{"client_event_id": "{key}", "code": "{code_of(running_task)}", "verb": "report", "quantity": {value}}}'
        answer = api.post("/api/scans/", body, content_type="application/json")
        assert answer.status_code == 400
        assert stored({"client_event_id": key}).outcome == "refused"

    def test_digits_of_any_script_are_a_number(self, api, running_task):
        assert told(send(api, item(running_task, "report", quantity="１２"))) == (200, "applied", "")
        assert counted(running_task) == (12, 0)

    def test_a_body_of_a_megabyte_is_too_large(self, api, running_task):
        answer = send(api, item(running_task, "report", reason="x" * 1_000_000))
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert not Scan.objects.exists()


class TestClock:
    def test_three_times_are_kept_and_a_right_clock_is_believed(self, api, handheld, running_task):
        sent = item(running_task, "report", quantity=1, captured_at=moment(30), device_time=moment())
        assert send(api, sent).json()["warnings"] == []
        scan = stored(sent)
        assert scan.captured_at.isoformat() == sent["captured_at"]
        assert scan.sent_at.isoformat() == sent["device_time"]
        assert abs((scan.received_at - scan.happened_at).total_seconds() - 1800) < 2
        handheld.device.refresh_from_db()
        assert abs(handheld.device.clock_offset_ms) < 2000

    def test_a_clock_of_last_year_is_flagged_and_set_right(self, api, handheld, running_task):
        year = timedelta(days=-365)
        sent = item(running_task, "report", quantity=1, captured_at=moment(30, clock=year), device_time=moment(clock=year))
        answer = send(api, sent)
        assert told(answer) == (200, "applied", "")
        assert [one["code"] for one in answer.json()["warnings"]] == ["clock_off"]
        scan = stored(sent)
        assert (scan.is_clock_off, scan.captured_at.isoformat()) == (True, sent["captured_at"])
        assert abs((scan.received_at - scan.happened_at).total_seconds() - 1800) < 2
        handheld.device.refresh_from_db()
        assert abs(handheld.device.clock_offset_ms / 1000 + 365 * 86400) < 5

    def test_a_capture_of_last_year_without_the_time_of_sending_is_not_believed(self, api, running_task):
        sent = item(running_task, "report", quantity=1, captured_at=moment(365 * 24 * 60))
        assert [one["code"] for one in send(api, sent).json()["warnings"]] == ["clock_off"]
        assert stored(sent).happened_at == stored(sent).received_at

    def test_nothing_happens_in_the_future(self, api, running_task):
        sent = item(running_task, "report", quantity=1, captured_at=moment(-60), device_time=moment())
        assert [one["code"] for one in send(api, sent).json()["warnings"]] == ["clock_off"]
        assert stored(sent).happened_at == stored(sent).received_at

    def test_two_minutes_are_no_fault(self, api, running_task):
        sent = item(running_task, "report", quantity=1, captured_at=moment(), device_time=moment(1.9))
        assert send(api, sent).json()["warnings"] == []


class TestReading:
    def test_everybody_sees_his_own_and_a_supervisor_those_of_his_tasks(self, api, running_task, operator, supervisor, stranger, auditor):
        send(api, item(running_task, "report", quantity=1))
        send(api_of(stranger), item(running_task, "report", quantity=1))
        numbers = {
            person: [row["verb"] for row in api_of(person).get("/api/scans/").json()["results"]]
            for person in (operator, supervisor, stranger, auditor)
        }
        assert numbers == {operator: ["report"], supervisor: ["report"], stranger: ["report"], auditor: ["report", "report"]}
        theirs = Scan.objects.get(user=operator).pk
        assert api_of(stranger).get(f"/api/scans/{theirs}/").status_code == 404
        assert api_of(supervisor).get(f"/api/scans/{theirs}/").json()["order_number"] == running_task.order.number

    def test_the_list_is_filtered_and_costs_the_same_for_any_number(self, api, running_task, supervisor):
        for _turn in range(2):
            send(api, item(running_task, "report", quantity=1))
        send(api, item(running_task))
        assert len(api.get("/api/scans/?outcome=refused").json()["results"]) == 1
        assert len(api.get("/api/scans/?mine=true&outcome=applied").json()["results"]) == 2
        assert len(api_of(supervisor).get("/api/scans/?mine=1").json()["results"]) == 0
        costs = []
        for _size in range(2):
            with count_queries() as queries:
                api.get("/api/scans/")
            costs.append(len(queries))
            for _turn in range(5):
                send(api, item(running_task, "report", quantity=1))
        assert costs[0] == costs[1]


class TestCost:
    """With the queries that find out who sends it."""

    def cost(self, api, sent, expected="applied"):
        with count_queries() as queries:
            answer = send(api, sent)
        assert answer.json()["result"] == expected, answer.content
        return len(queries)

    def test_a_report_costs_11_and_the_first_of_an_order_15(self, api, shop):
        """The first one moves the order too, with its history and its tools."""
        task = shop.started(shop.task(shop.approved(steps_text="PRT > PACK"), "PRT"), by="operator")
        send(api, item(task))  # the first request makes the bucket of the limit
        first = self.cost(api, item(task, "report", quantity=1))
        later = [self.cost(api, item(task, "report", quantity=1, captured_at=moment(1))) for _turn in range(3)]
        assert (first, later) == (15, [11] * 3)

    def test_every_verb_costs_at_most_14(self, api, pending_task):
        send(api, item("T2N7"))
        costs = {"claim": self.cost(api, item(pending_task, "claim")), "start": self.cost(api, item(pending_task, "start"))}
        send(api, item(pending_task, "report", quantity=1))
        costs |= {
            "pause": self.cost(api, item(pending_task, "pause")),
            "resume": self.cost(api, item(pending_task, "resume")),
            "refused": self.cost(api, item(pending_task, "report", scrap=1), "refused"),
            "report": self.cost(api, item(pending_task, "report", quantity=9)),
            "undo": self.cost(api, item(pending_task, "undo")),
            "complete": self.cost(api, item(pending_task, "complete", quantity=999)),
        }
        assert costs == {
            "claim": 12, "start": 14, "pause": 11, "resume": 11, "refused": 6, "report": 11, "undo": 14, "complete": 14,
        }  # fmt: skip
        assert max(costs.values()) <= 14

    def test_one_scan_that_is_two_verbs_costs_both(self, api, pending_task):
        """Starting a task of the queue claims it first: two moves of the task, and the decision who has it."""
        send(api, item("T2N7"))
        assert self.cost(api, item(pending_task)) == 17


def test_a_scan_as_a_service_needs_no_http(shop, running_task, operator):
    result = scans.record_scan(item(running_task, "report", quantity=3), by=again(operator))
    assert (result.result, result.task["good"], result.error) == ("applied", 3, None)
    with translation.override("en"):
        wrong = scans.record_scan(item(running_task, "report", quantity=3, badge="x"), by=again(operator))
    assert (wrong.result, wrong.error.code) == ("refused", "badge_mismatch")
    assert WorkEvent.objects.filter(source="scan").count() == 1


@pytest.mark.parametrize(
    ("given", "field", "sentence"),
    [
        ({"quantity": 10**9}, "quantity", "Good: enter a whole number from 0 to 100,000,000."),
        ({"quantity": 1, "scrap": -1}, "scrap", "Scrap: enter a whole number from 0 to 100,000,000."),
    ],
)
def test_a_number_that_cannot_be_is_told_to_people_in_their_words(handheld, operator, running_task, given, field, sentence):
    answer = send(handheld.signed_in(operator), item(running_task, "report", **given))
    assert answer.status_code == 400
    assert sentence in answer.content.decode()
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [(field, "bad_number")]
