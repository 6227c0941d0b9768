"""What every address of the API does alike: refusals, limits, pages, keys, ETags."""

import json
import threading
from datetime import date, timedelta

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.models import User
from apps.core.models import IdempotencyKey
from apps.core.parsers import LARGEST_BODY
from apps.workorders.models import Task, WorkEvent, WorkOrder
from tests.personas import api_of
from tests.queries import count_queries

TASKS, ORDERS, READ_ALL = "/api/tasks/", "/api/workorders/", "/api/notifications/read_all/"
NOWHERE = ["/api/", "/api/nothing/", "/api/tasks/abc/", "/api/tasks/0x1/", "/api/tasks/1/nothing/", "/api/tasks"]
LISTS = ["/api/statistics/task_summary/", "/api/dashboard/statistics/", "/api/products/", "/api/notifications/"]
ORDERINGS = ["", "id", "-id", "due_date", "-due_date", "priority,-due_date", "-priority,due_date,planned", "order_number"]
TAMPERED = [
    '["-id", "x"]', '["-id"]', "[]", "{}", "1", f'["-id", {10**20}]', '["-id", null]', '["-id", [1]]', '["-id", true]', "[" * 300,
]  # fmt: skip
NO_JSON = [
    "{", "}", "nul", "'a'", '{"a": }', '{"a": NaN}', '{"a": Infinity}', '{"a": -Infinity}', "{} {}", '{"a": "\x01"}', "[" * 30_000,
    '{"a":' * 8_000, "1" * 5_000, '{"a": ' + "9" * 5_000 + "}", '{"a": ' + "[" * 30 + "]" * 30 + "}",
]  # fmt: skip
MEMBERS = {"type", "title", "status", "detail", "code", "errors", "retry"}


def problem(response, status, code, field=None):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body.keys() >= MEMBERS
    assert (body["status"], body["code"]) == (status, code), body
    assert body["detail"].endswith((".", ")", "?", "}")), body["detail"]
    if field is not None:
        assert field in {error["field"] for error in body["errors"]}, body
    return body


def send(client, path, raw, content_type="application/json", **headers):
    return client.generic("POST", path, raw, content_type, headers=headers)


@pytest.fixture
def worker(operator):
    return api_of(operator)


@pytest.fixture
def office(maker):
    return api_of(maker)


class TestRefusals:
    @pytest.mark.parametrize(
        "path", ["/api/", "/api/nothing/", "/api/tasks/abc/", "/api/tasks/0x1/", "/api/tasks/1/nothing/", "/api/tasks"]
    )
    def test_an_unknown_address_is_json_for_everybody(self, shop, path):
        assert "slash" in problem(APIClient().get(path), 404, "not_found")["detail"] or path.endswith("/")

    def test_an_unknown_address_is_json_for_every_method(self, shop):
        problem(Client(enforce_csrf_checks=True).post("/api/nothing/", {}), 404, "not_found")

    def test_an_id_past_every_integer_is_absent(self, worker):
        problem(worker.get(f"{TASKS}{10**17}/"), 404, "not_found")
        problem(worker.get(f"{TASKS}{10**30}/"), 404, "not_found")

    @pytest.mark.parametrize("method", ["put", "delete", "options", "patch", "post"])
    def test_a_method_that_is_not_taken_is_a_405(self, worker, method):
        problem(getattr(worker, method)(TASKS), 405, "method_not_allowed")

    def test_a_command_does_nothing_on_get(self, worker, pending_task):
        problem(worker.get(f"{TASKS}{pending_task.pk}/claim/"), 405, "method_not_allowed")
        pending_task.refresh_from_db()
        assert pending_task.status == "pending"

    def test_nothing_but_json_is_answered(self, worker):
        problem(worker.get(TASKS, headers={"Accept": "application/xml"}), 406, "not_acceptable")

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"]
    )
    def test_nothing_but_json_is_read(self, worker, kind):
        problem(send(worker, READ_ALL, "quantity=1", kind), 415, "unsupported_media_type")

    @pytest.mark.parametrize("raw", NO_JSON, ids=lambda raw: raw[:20])
    def test_what_is_no_json_is_told(self, worker, raw):
        body = problem(send(worker, READ_ALL, raw), 400, "malformed")
        assert body["retry"] == "never"

    @pytest.mark.parametrize("raw", [b"\xff\xfe{\x00}\x00", b'{"reason": "\xc3\x28"}', '{"reason": "施工单"}'.encode("gbk")])
    def test_what_is_not_utf_8_is_told(self, worker, raw):
        problem(send(worker, READ_ALL, raw), 400, "malformed")

    @pytest.mark.parametrize("charset", ["bz2_codec", "nonsense", "utf-16"])
    def test_a_strange_charset_does_not_matter(self, worker, charset):
        assert send(worker, READ_ALL, "{}", f"application/json; charset={charset}").status_code == 200

    @pytest.mark.parametrize("raw", [r'{"reason": "a\u0000b"}', r'{"reason": "\ud800"}', r'{"\u0000": 1}', r'{"a": ["\udfff"]}'])
    def test_characters_that_cannot_be_stored_are_told(self, worker, raw):
        problem(send(worker, READ_ALL, raw), 400, "malformed")

    def test_a_body_may_begin_with_a_byte_order_mark_or_be_blank(self, worker):
        assert send(worker, READ_ALL, b"\xef\xbb\xbf{}").status_code == 200
        assert send(worker, READ_ALL, b"  \n").status_code == 200

    @pytest.mark.parametrize("size", [LARGEST_BODY + 1, 3 * 1024 * 1024])
    def test_a_body_that_is_too_large_is_a_413(self, worker, size):
        problem(send(worker, READ_ALL, b" " * size), 413, "too_large")

    @pytest.mark.parametrize("raw", ["[]", "1", '"x"', "true", "null", "[{}]", "1.5"])
    def test_a_body_that_is_no_object_is_told(self, worker, raw):
        for verb in ("claim", "update_progress", "pause"):
            problem(send(worker, f"{TASKS}1/{verb}/", raw), 400, "invalid")

    def test_a_field_that_is_not_known_is_named(self, worker):
        body = problem(worker.post(f"{TASKS}1/update_progress/", {"quantitty": 5}, format="json"), 400, "invalid", "quantitty")
        assert body["errors"][0]["code"] == "unknown_field"
        assert "quantity" in body["detail"]

    @pytest.mark.parametrize("value", [-1, 10**12, 10**30, 1.5, True, None, "x", "", "1e3", "-5", [1], {"a": 1}, "9" * 30])
    @pytest.mark.parametrize("field", ["quantity", "scrap"])
    def test_a_number_that_cannot_be_is_told(self, worker, field, value):
        problem(worker.post(f"{TASKS}1/update_progress/", {field: value}, format="json"), 400, "invalid", field)

    def test_digits_of_any_script_are_numbers(self, worker, running_task):
        for times, value in enumerate([5, "5", "５", " 5 "], 1):
            answer = worker.post(f"{TASKS}{running_task.pk}/update_progress/", {"quantity": value}, format="json")
            assert answer.json()["good"] == 5 * times

    @pytest.mark.parametrize("value", [1, True, ["x"], {"a": "b"}, None, "x" * 1001])
    def test_a_text_that_is_none_is_told(self, worker, value):
        problem(worker.post(f"{TASKS}1/pause/", {"reason": value}, format="json"), 400, "invalid", "reason")

    def test_any_text_goes_through_unchanged(self, worker, running_task):
        texts = ["施工单 🖨️", "\u202eright to left", "<script>alert(1)</script>", "'; DROP TABLE x; --", "=1+1", "a\nb", "é" * 1000]
        for text in texts:
            path = f"{TASKS}{running_task.pk}/update_progress/"
            assert worker.post(path, {"quantity": 1, "notes": text}, format="json").status_code == 200
        notes = WorkEvent.objects.filter(task=running_task, verb="report").order_by("pk").values_list("note", flat=True)
        assert list(notes) == texts

    def test_sentences_are_in_the_callers_language_and_codes_are_not(self, worker):
        english, chinese = (worker.get(f"{TASKS}?page=0", headers={"Accept-Language": language}) for language in ("en", "zh-hans"))
        assert problem(english, 400, "invalid")["code"] == chinese.json()["code"]
        assert chinese["Content-Language"] == "zh-hans"

    def test_a_fault_is_a_500_that_says_whom_to_tell(self, operator, monkeypatch):
        client = api_of(operator)
        client.raise_request_exception = False
        monkeypatch.setattr("apps.workorders.api.tasks.TaskViewSet.rows", lambda self, rows: 1 / 0)
        response = client.get(TASKS, headers={"X-Request-ID": "fault-1"})
        assert "fault-1" in problem(response, 500, "fault")["detail"] + "."
        assert response["X-Request-ID"] == "fault-1"

    def test_storage_that_is_away_is_a_503(self, operator, monkeypatch):
        def away(self, rows):
            raise OperationalError("database is locked")

        client = api_of(operator)
        monkeypatch.setattr("apps.workorders.api.tasks.TaskViewSet.rows", away)
        response = client.get(TASKS)
        assert problem(response, 503, "storage_unavailable")["retry"] == "same_key"
        assert int(response["Retry-After"]) > 0

    def test_every_answer_carries_its_request_id(self, worker, running_task):
        response = worker.post(
            f"{TASKS}{running_task.pk}/update_progress/", {"quantity": 1}, format="json", headers={"X-Request-ID": "scan-17"}
        )
        assert response["X-Request-ID"] == "scan-17"
        event = WorkEvent.objects.get(task=running_task, verb="report")
        assert (event.request_id, event.source, event.actor.username) == ("scan-17", "api", "operator")
        assert running_task.history.first().request_id == "scan-17"
        assert worker.get("/api/nothing/")["X-Request-ID"]

    def test_a_request_id_that_could_forge_a_log_line_is_replaced(self, worker):
        assert worker.get(TASKS, headers={"X-Request-ID": "a b<script>"})["X-Request-ID"] != "a b<script>"

    def test_pages_of_the_site_keep_their_own_errors(self, shop):
        response = Client().get("/nothing-here/")
        assert (response.status_code, response["Content-Type"]) == (404, "text/html; charset=utf-8")


class TestParameters:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("stauts=pending", "stauts"), ("status=nonsense", "status"), ("status=pending,nonsense", "status"), ("late=maybe", "late"),
            ("claimable=2", "claimable"), ("due_before=tomorrow", "due_before"), ("due_before=2026-02-30", "due_before"),
            ("assigned_operator=you", "assigned_operator"), ("assigned_operator=0", "assigned_operator"), ("priority=9", "priority"),
            (f"assigned_operator={10**30}", "assigned_operator"), ("page=0", "page"), ("page=-1", "page"), ("page=x", "page"),
            (f"page={10**30}", "page"), ("page_size=0", "page_size"), ("page_size=201", "page_size"), ("count=2", "count"),
            ("ordering=password", "ordering"), ("ordering=operator__password", "ordering"), ("search=" + "x" * 100, "search"),
            ("search=a%00b", "search"), ("process=%00", "process"), ("department=" + "x" * 61, "department"), ("cursor=nonsense", "cursor"),
            ("cursor=%FF%FE", "cursor"), ("page=1&cursor=", "cursor"), ("operator__password=a", "operator__password"),
            ("_connector=OR", "_connector"), ("search=" + "x" * 600, "search"),
        ],
    )  # fmt: skip
    def test_a_parameter_that_cannot_be_is_named(self, worker, query, field):
        body = worker.get(f"{TASKS}?{query}")
        assert body.status_code == 400, body.content
        assert field in {error["field"] for error in body.json()["errors"]}

    @pytest.mark.parametrize(
        "path", ["/api/statistics/task_summary/", "/api/dashboard/statistics/", "/api/products/", "/api/notifications/"]
    )
    def test_every_list_refuses_what_it_does_not_read(self, planner, path):
        assert api_of(planner).get(f"{path}?nonsense=1").json()["errors"][0]["code"] == "unknown_parameter"

    def test_a_large_number_finds_nothing_and_breaks_nothing(self, worker):
        for query in (f"workorder={10**15}", "process=999999999999", "department=１", "search=%25_%5C"):
            assert worker.get(f"{TASKS}?{query}").json()["results"] == [], query


class TestPages:
    @pytest.fixture
    def many(self, shop):
        """60 tasks whose due dates and priorities repeat, some without a date."""
        order = shop.draft()
        step = order.steps.first()
        today = timezone.localdate()
        Task.objects.bulk_create(
            Task(
                order=order, step=step, source_key=f"x:{number}", planned=number + 1, priority=number % 4 + 1,
                due_date=None if number % 7 == 0 else today + timedelta(days=number % 5),
            )
            for number in range(60)
        )  # fmt: skip
        return Task.objects.count()

    def walk(self, client, url):
        rows = []
        while url:
            answer = client.get(url)
            assert answer.status_code == 200, answer.content
            rows += [row["id"] for row in answer.json()["results"]]
            url = answer.json()["next"]
        return rows

    @pytest.mark.parametrize(
        "ordering", ["", "id", "-id", "due_date", "-due_date", "priority,-due_date", "-priority,due_date,planned", "order_number"]
    )
    @pytest.mark.parametrize("way", ["page=1", "cursor="])
    def test_a_walk_meets_every_row_once(self, many, planner, ordering, way):
        query = f"{way}&page_size=7" + (f"&ordering={ordering}" if ordering else "")
        rows = self.walk(api_of(planner), f"{TASKS}?{query}")
        assert len(rows) == len(set(rows)) == many

    @pytest.mark.parametrize("ordering", ["due_date", "-due_date", "priority,-due_date", "-id"])
    def test_cursor_and_page_have_the_same_order(self, many, planner, ordering):
        client = api_of(planner)
        by_cursor = self.walk(client, f"{TASKS}?cursor=&ordering={ordering}&page_size=9")
        assert by_cursor == self.walk(client, f"{TASKS}?ordering={ordering}&page_size=11")

    def test_rows_without_a_date_come_last_either_way(self, many, planner):
        for ordering in ("due_date", "-due_date"):
            last = api_of(planner).get(f"{TASKS}?ordering={ordering}&page_size=200").json()["results"][-1]
            assert last["due_date"] is None

    def test_a_cursor_walk_is_not_disturbed_by_new_rows(self, many, planner, shop):
        client = api_of(planner)
        first = client.get(f"{TASKS}?cursor=&page_size=10").json()
        shop.draft()
        rest = self.walk(client, first["next"])
        assert len({row["id"] for row in first["results"]} | set(rest)) == many

    def test_a_cursor_of_another_list_is_refused(self, many, planner):
        client = api_of(planner)
        cursor = client.get(f"{TASKS}?cursor=&page_size=5&ordering=due_date").json()["next"].split("cursor=")[1].split("&")[0]
        problem(client.get(f"{TASKS}?cursor={cursor}&ordering=priority"), 400, "bad_cursor", "cursor")
        problem(client.get(f"{TASKS}?cursor={cursor}"), 400, "bad_cursor", "cursor")

    @pytest.mark.parametrize("inside", TAMPERED, ids=lambda inside: inside[:20])
    def test_a_tampered_cursor_is_refused(self, worker, inside):
        import base64

        cursor = base64.urlsafe_b64encode(inside.encode()).decode().rstrip("=")
        problem(worker.get(f"{TASKS}?cursor={cursor}"), 400, "bad_cursor")

    def test_a_cursor_shows_nothing_that_is_out_of_sight(self, many, planner, stranger):
        following = api_of(planner).get(f"{TASKS}?cursor=&page_size=5").json()["next"]
        assert api_of(stranger).get(following).json()["results"] == []

    def test_the_count_is_told_where_it_costs_nothing_or_is_asked_for(self, many, planner):
        client = api_of(planner)
        assert "count" not in client.get(f"{TASKS}?page_size=5").json()
        assert client.get(f"{TASKS}?page_size=5&count=1").json()["count"] == many
        assert client.get(f"{TASKS}?page_size=200").json()["count"] == many

    def test_no_page_counts_the_table(self, many, planner):
        client = api_of(planner)
        with count_queries() as statements:
            client.get(f"{TASKS}?page_size=5&page=3")
        assert not [sql for sql in statements if "COUNT(" in sql.upper() and "LIMIT" not in sql]

    def test_pages_link_to_each_other(self, many, planner):
        answer = api_of(planner).get(f"{TASKS}?page=2&page_size=5&status=draft").json()
        assert "page=3" in answer["next"]
        assert "status=draft" in answer["next"]
        assert "page=1" in answer["previous"]

    def test_a_deep_page_says_to_use_a_cursor(self, worker):
        assert "cursor" in problem(worker.get(f"{TASKS}?page=51&page_size=200"), 400, "too_deep", "page")["detail"]
        assert worker.get(f"{TASKS}?page=50&page_size=200").status_code == 200

    def test_the_last_page_that_can_be_reached_goes_on_with_a_cursor(self, many, planner, monkeypatch):
        monkeypatch.setattr("apps.core.pages.DEEPEST", 20)
        client = api_of(planner)
        assert "cursor=" in client.get(f"{TASKS}?page=2&page_size=10").json()["next"]
        assert len(set(self.walk(client, f"{TASKS}?page_size=10"))) == many

    def test_an_empty_page_has_no_count_to_lie_about(self, worker):
        answer = worker.get(f"{TASKS}?page=4").json()
        assert answer == {"next": None, "previous": answer["previous"], "results": []}


class TestLimits:
    def test_commands_are_limited_by_account_in_the_database(self, operator, second_operator, running_task, settings):
        settings.DOCKET_API_PER_MINUTE = 3
        client = api_of(operator)
        path = f"{TASKS}{running_task.pk}/update_progress/"
        answers = [client.post(path, {"quantity": 1}, format="json") for _try in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        body = problem(answers[-1], 429, "throttled")
        assert (body["retry"], int(answers[-1]["Retry-After"])) == ("same_key", 20)
        # Another token of the same person changes nothing; another person is free.
        assert api_of(operator).post(path, {"quantity": 1}, format="json").status_code == 429
        assert api_of(second_operator).post("/api/notifications/read_all/").status_code == 200

    def test_reading_is_limited_without_writing(self, operator, settings):
        settings.DOCKET_API_PER_MINUTE = 3
        cache.clear()
        client = api_of(operator)
        client.get(TASKS)
        with count_queries() as statements:
            client.get(TASKS)
        assert not [sql for sql in statements if not sql.startswith(("SELECT", "(SELECT"))]
        assert client.get(TASKS).status_code == 200
        response = client.get(TASKS)
        assert 0 < int(response["Retry-After"]) <= 60
        problem(response, 429, "throttled")

    def test_a_cache_that_forgets_lets_people_work(self, operator, monkeypatch):
        def forgot(key, *args):
            raise ValueError(key)

        monkeypatch.setattr(cache, "incr", forgot)
        assert api_of(operator).get(TASKS).status_code == 200

    def test_the_limit_is_not_by_address(self, shop, settings):
        settings.DOCKET_API_PER_MINUTE = 2
        cache.clear()
        for name in ("operator", "second_operator", "stranger", "planner", "maker"):
            assert api_of(shop.people[name]).get("/api/auth/me/").status_code == 200


class TestKeys:
    def report(self, client, task, key="k-1", **body):
        return client.post(f"{TASKS}{task.pk}/update_progress/", body or {"quantity": 10}, format="json", headers={"Idempotency-Key": key})

    def test_the_same_report_twice_counts_once(self, worker, running_task):
        first, second = self.report(worker, running_task), self.report(worker, running_task)
        assert (first.status_code, second.status_code) == (200, 200)
        assert first.json() == second.json()
        assert "Idempotent-Replayed" not in first
        assert second["Idempotent-Replayed"] == "true"
        running_task.refresh_from_db()
        assert running_task.good == 10
        assert WorkEvent.objects.filter(task=running_task, verb="report").count() == 1

    def test_the_same_body_in_other_words_is_the_same(self, worker, running_task):
        path = f"{TASKS}{running_task.pk}/update_progress/"
        send(worker, path, '{"quantity": 10, "scrap": 0}', **{"Idempotency-Key": "k"})
        assert send(worker, path, '{ "scrap":0,"quantity":10 }', **{"Idempotency-Key": "k"})["Idempotent-Replayed"] == "true"

    @pytest.mark.parametrize("verb", ["update_progress", "complete"])
    def test_the_key_for_another_request_is_a_422(self, worker, running_task, verb):
        self.report(worker, running_task)
        response = worker.post(f"{TASKS}{running_task.pk}/{verb}/", {"quantity": 990}, format="json", headers={"Idempotency-Key": "k-1"})
        assert problem(response, 422, "key_reused")["retry"] == "new_key"
        running_task.refresh_from_db()
        assert running_task.good == 10

    def test_a_key_says_nothing_to_another_person(self, worker, running_task, supervisor):
        self.report(worker, running_task)
        response = self.report(api_of(supervisor), running_task)
        assert "Idempotent-Replayed" not in response
        running_task.refresh_from_db()
        assert running_task.good == 20

    def test_a_refusal_keeps_no_key_so_that_it_can_be_asked_again(self, worker, pending_task):
        assert self.report(worker, pending_task).status_code == 403
        assert not IdempotencyKey.objects.exists()
        worker.post(f"{TASKS}{pending_task.pk}/start/")
        assert self.report(worker, pending_task).status_code == 200

    def test_key_and_effect_commit_together_or_not_at_all(self, operator, running_task, monkeypatch):
        client = api_of(operator)
        client.raise_request_exception = False
        monkeypatch.setattr("apps.workorders.api.tasks.TaskViewSet.answer", lambda *args: 1 / 0)
        assert self.report(client, running_task).status_code == 500
        running_task.refresh_from_db()
        assert (running_task.good, IdempotencyKey.objects.count()) == (0, 0)
        monkeypatch.undo()
        assert self.report(client, running_task).json()["good"] == 10

    def test_a_new_order_is_made_once(self, office, shop):
        body = {"customer": "SUN", "due_date": str(date.today() + timedelta(days=9)), "lines": [{"product": "LEAFLET", "quantity": 500}]}
        answers = [office.post(ORDERS, body, format="json", headers={"Idempotency-Key": "order-1"}) for _try in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 201]
        assert len({answer["Location"] for answer in answers}) == len({answer["ETag"] for answer in answers}) == 1
        assert WorkOrder.objects.count() == 1

    def test_an_answer_without_a_body_is_replayed_too(self, operator):
        client = api_of(operator)
        assert client.post("/api/notifications/read_all/", headers={"Idempotency-Key": "n"}).json() == {"read": 0}
        assert client.post("/api/notifications/read_all/", headers={"Idempotency-Key": "n"})["Idempotent-Replayed"] == "true"

    @pytest.mark.parametrize("key", ["", " ", "a b", "x" * 129, "käse", "a\tb"])
    def test_a_key_that_cannot_be_kept_is_told(self, worker, running_task, key):
        problem(self.report(worker, running_task, key), 400, "bad_key", "Idempotency-Key")

    def test_a_key_costs_two_queries(self, worker, running_task):
        self.report(worker, running_task, "warm")
        with count_queries() as without:
            worker.post(f"{TASKS}{running_task.pk}/update_progress/", {"quantity": 1}, format="json")
        with count_queries() as statements:
            self.report(worker, running_task, "second")
        extra = 3 if connection.vendor == "postgresql" else 2
        assert len(statements) == len(without) + extra


@pytest.mark.django_db(transaction=True)
def test_the_same_key_from_ten_threads_counts_once(shop, operator, running_task):
    """Some are told that the first one still runs, the others get its answer; the pieces are counted once."""
    token = api_of(operator)._credentials
    answers, gate = [], threading.Barrier(10)

    def one():
        client = APIClient()
        client.credentials(**token)
        gate.wait()
        response = client.post(
            f"{TASKS}{running_task.pk}/update_progress/", {"quantity": 10}, format="json", headers={"Idempotency-Key": "same"}
        )
        answers.append((response.status_code, response.json().get("code"), response.get("Idempotent-Replayed")))
        connection.close()

    threads = [threading.Thread(target=one) for _number in range(10)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    running_task.refresh_from_db()
    assert running_task.good == 10
    assert set(answers) <= {(200, None, None), (200, None, "true"), (409, "in_flight", None)}
    assert answers.count((200, None, None)) == 1


def test_a_key_whose_first_request_still_runs_is_a_409(worker, running_task, monkeypatch):
    """On PostgreSQL another transaction holds the key's lock; SQLite has one writer at a time, so nobody ever gets here."""
    monkeypatch.setattr("apps.core.idempotency._lock", lambda owner, key: False)
    monkeypatch.setattr("apps.core.idempotency.connection", type("Other", (), {"vendor": "postgresql"}))
    response = worker.post(f"{TASKS}{running_task.pk}/update_progress/", {"quantity": 1}, format="json", headers={"Idempotency-Key": "k"})
    assert problem(response, 409, "in_flight")["retry"] == "same_key"
    assert response["Retry-After"] == "1"


class TestCaching:
    def test_an_unchanged_row_is_a_304(self, worker, pending_task):
        first = worker.get(f"{TASKS}{pending_task.pk}/")
        second = worker.get(f"{TASKS}{pending_task.pk}/", headers={"If-None-Match": first["ETag"]})
        assert (second.status_code, second.content) == (304, b"")
        assert worker.get(f"{TASKS}{pending_task.pk}/", headers={"If-None-Match": f'W/{first["ETag"]}, "x"'}).status_code == 304

    def test_a_change_around_the_row_is_a_change(self, worker, pending_task, shop, salesperson):
        """The order is held: the task's own version stays, what its operator may do does not."""
        first = worker.get(f"{TASKS}{pending_task.pk}/")
        api_of(salesperson).post(f"{ORDERS}{pending_task.order_id}/hold/", {"reason": "wait"}, format="json")
        second = worker.get(f"{TASKS}{pending_task.pk}/", headers={"If-None-Match": first["ETag"]})
        assert second.status_code == 200
        assert second.json()["version"] == first.json()["version"]

    def test_no_tag_of_what_is_out_of_sight(self, stranger, pending_task, operator):
        tag = api_of(operator).get(f"{TASKS}{pending_task.pk}/")["ETag"]
        problem(api_of(stranger).get(f"{TASKS}{pending_task.pk}/", headers={"If-None-Match": tag}), 404, "not_found")

    def test_answers_are_for_their_caller_only(self, worker):
        response = worker.get(TASKS)
        assert response["Cache-Control"] == "private, no-cache"
        assert {"Authorization", "Cookie", "Accept-Language"} <= set(response["Vary"].split(", "))

    def test_gzip_keeps_the_tag_usable(self, worker, pending_task):
        tag = worker.get(f"{TASKS}{pending_task.pk}/", headers={"Accept-Encoding": "gzip"})["ETag"]
        assert worker.get(f"{TASKS}{pending_task.pk}/", headers={"If-None-Match": tag}).status_code == 304


class TestOrigins:
    @pytest.fixture(autouse=True)
    def _one_origin(self, settings):
        settings.CORS_ALLOWED_ORIGINS = ["https://board.example.com"]

    def test_a_configured_origin_may_read(self, worker):
        response = worker.get(TASKS, headers={"Origin": "https://board.example.com"})
        assert response["Access-Control-Allow-Origin"] == "https://board.example.com"
        assert "Access-Control-Allow-Credentials" not in response
        assert "ETag" in response["Access-Control-Expose-Headers"]

    @pytest.mark.parametrize("origin", ["https://evil.test", "null", "https://board.example.com.evil.test", ""])
    def test_no_other_origin_may(self, worker, origin):
        assert "Access-Control-Allow-Origin" not in worker.get(TASKS, headers={"Origin": origin})

    def test_a_preflight_needs_no_token(self, shop):
        response = APIClient().options(TASKS, headers={"Origin": "https://board.example.com", "Access-Control-Request-Method": "POST"})
        assert response.status_code == 204
        assert "Idempotency-Key" in response["Access-Control-Allow-Headers"]

    def test_pages_of_the_admin_have_no_origins(self, shop):
        assert "Access-Control-Allow-Origin" not in Client().get("/admin/login/", headers={"Origin": "https://board.example.com"})


def test_a_right_that_was_taken_away_counts_from_the_next_request(operator, pending_task):
    client = api_of(operator)
    assert client.get(TASKS).status_code == 200
    User.objects.get(pk=operator.pk).groups.clear()
    problem(client.get(TASKS), 403, "not_allowed")


def test_json_is_readable_in_chinese(worker):
    """No escapes: a log or a curl shows the words."""
    assert json.loads(worker.get("/api/auth/me/").content)["name"] == "Operator"
