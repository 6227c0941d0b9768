"""Requests that no page of ours sends: strange addresses, headers and files, no token, no session, markup in every text."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import CharField, TextField
from django.test import Client
from django.urls import reverse

from apps.catalog.models import Customer
from apps.core.changes import history_of
from apps.dispatch.models import DispatchDecision
from apps.imports.models import ImportRun, ImportState
from apps.notices.models import Notice
from apps.workorders import services as do
from apps.workorders.models import OrderLine, OrderMaterial, Task, WorkEvent, WorkOrder
from apps.workorders.states import TaskStatus
from tests import factories
from tests.imports.samples import options, sample
from tests.personas import PASSWORD, api_of, client_of
from tests.queries import count_queries
from tests.security.doors import Page, checksum

ORDERS, TASKS, EVENTS = "/admin/workorders/workorder/", "/admin/workorders/task/", "/admin/workorders/workevent/"
HUGE = "9" * 30
TOLD = "The filter in this address cannot be read."


def page_of(model: Any, tail: str = "") -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{tail}"


def text_of(answer: Any) -> str:
    return Page(answer.content.decode()).text


@pytest.fixture
def busy(shop):
    """Orders and tasks in several states, and something of everything else."""
    shop.draft()
    task = shop.started(shop.ready_to_print(shop.approved("leaflet", external_number="PO-1")), by="operator")
    do.report(task, by=shop.people["operator"], good=100, scrap=2, reason="Torn.")
    do.share(task.order, by=shop.people["superuser"], user=shop.people["auditor"])
    for user in (shop.people["superuser"], shop.people["operator"]):
        factories.NoticeFactory(user=user)
        factories.ImportRunFactory(owner=user)
        factories.AccessTokenFactory(user=user)
    return shop


# -- addresses


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("p=99999999999999999999", ""),
        ("p=-1", ""),
        ("p=x", ""),
        ("o=99.-99.x", ""),
        (f"o={HUGE}", ""),
        ("all=", ""),
        ("q=%00", ""),
        ("q=%ED%A0%80%F0%9F%A6%8A%E2%80%AE", ""),
        (f"q={'x' * 10_000}", ""),
        (f"q=T{HUGE}", ""),
        ("due_date_from=2026-02-30", ""),
        ("due_date_from=0001-01-01&due_date_to=9999-12-31", ""),
        ("department=x", ""),
        (f"department={HUGE}", ""),
        (f"operator__id__exact={HUGE}", ""),
        (f"operator__id__exact={'9' * 5000}", TOLD),
        ("operator__id__exact=x", TOLD),
        ("operator__in=1,x", TOLD),
        ("priority__exact=%00", TOLD),
        ("operator__isnull=perhaps", ""),
        ("status__nothing=1", None),
        ("operator__password__startswith=a", None),
        ("_to_field=operator", None),
        ("version__gt=1", None),
    ],
)
def test_a_list_answers_any_address(busy, supervisor, query, told):
    """A filter that cannot be read is told and left out; one that no list offers is refused (None)."""
    client = client_of(supervisor)
    before = checksum()
    answer = client.get(f"{TASKS}?{query}", follow=True)
    assert answer.status_code == (400 if told is None else 200)
    assert (told or "") in text_of(answer)
    if told == TOLD:
        assert answer.redirect_chain == [(f"{TASKS}?e=1", 302)]
        assert client.get(f"{TASKS}export/?{query}&format=csv").status_code == 404
    assert checksum() == before


@pytest.mark.parametrize(
    ("page", "query"),
    [
        (EVENTS, "at_from=0001-01-01"),
        (EVENTS, "at__gte=0001-01-01"),
        (EVENTS, "at_to=9999-12-31"),
        (EVENTS, "at_from=2026-02-30"),
        (page_of(DispatchDecision), "made_at_from=0001-01-01"),
        (page_of(Customer), f"salesperson__id__in={HUGE}"),
        (page_of(Customer), "is_active__exact=perhaps"),
    ],
)
def test_no_list_breaks_over_a_day_or_key_past_its_column(busy, superuser, page, query):
    assert client_of(superuser).get(f"{page}?{query}", follow=True).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"term": "\x00"}, 200),
        ({"term": "x" * 10_000}, 200),
        ({"page": HUGE}, 404),
        ({"page": "x"}, 404),
        ({"page": "-1"}, 404),
        ({"field_name": "nothing"}, 403),
        ({"field_name": "created_by"}, 403),
        ({"model_name": "session"}, 403),
        ({"app_label": "\x00"}, 403),
        ({"app_label": ""}, 403),
    ],
)
def test_autocomplete_answers_anything(shop, maker, changes, status):
    asked = {"app_label": "workorders", "model_name": "workorder", "field_name": "customer", "term": "", "page": "1"}
    client = client_of(maker)
    assert client.get("/admin/autocomplete/", asked).status_code == 200
    answer = client.get("/admin/autocomplete/", asked | changes)
    assert answer.status_code == status
    assert "Sunrise" not in answer.content.decode()


@pytest.mark.parametrize("pk", ["0", "-1", "x", HUGE, "%00", "1%00", "%F0%9F%A6%8A", "1;drop", "..%2f1", "_5F"])
def test_a_strange_key_reads_as_absent_at_every_door(busy, superuser, pk):
    client, api = client_of(superuser), api_of(superuser)
    before = checksum()
    for model, verb in ((WorkOrder, "cancel"), (Task, "report"), (WorkEvent, "correct"), (ImportRun, "apply"), (ImportRun, "revert")):
        assert client.get(page_of(model, f"{pk}/change/")).status_code == 404
        # What no address of a verb takes is sent on to the row's page, by Django: there is none.
        assert client.post(page_of(model, f"{pk}/{verb}/"), {"reason": "x"}, follow=True).status_code == 404
    for path in ("tasks", "workorders", "customers", "notifications"):
        assert api.get(f"/api/{path}/{pk}/").status_code == 404
    for path in ("tasks/{}/claim/", "workorders/{}/approve/", "notifications/{}/read/"):
        assert api.post(f"/api/{path.format(pk)}").status_code == 404
    assert checksum() == before


def _addresses() -> list[str]:
    """Every address of every admin, with the key of a row where it takes one."""
    found = ["/admin/", "/admin/search/?s=a", "/admin/logout/", "/admin/jsi18n/", "/i18n/setlang/", "/health/"]
    for model, its_admin in admin.site._registry.items():
        row = model._default_manager.order_by("-pk").first()
        version = history_of(model).order_by("-pk").first() if history_of(model) is not None else None
        for pattern in its_admin.get_urls():
            address = re.sub(r"<(\w+:)?(object_id|pk|id)>", str(row.pk if row else 0), str(pattern.pattern))
            address = address.replace("^", "").replace("$", "").replace("([^/]+)", str(row.pk if row else 0), 1)
            address = address.replace("([^/]+)", str(version.pk if version else 0))
            found.append(page_of(model, address))
    return found


@pytest.mark.parametrize("method", ["get", "head"])
def test_no_address_changes_anything_on_get(busy, superuser, method):
    """Commands too: they show their form, or answer 405. Every row of every table is as before."""
    addresses = _addresses()
    task, order = Task.objects.get(status=TaskStatus.IN_PROGRESS), WorkOrder.objects.first()
    assert len([one for one in addresses if one.endswith(("/submit/", "/cancel/", "/claim/", "/confirm/", "/revoke/"))]) >= 5
    client, api = client_of(superuser), api_of(superuser)
    before = checksum()
    for address in addresses:
        assert getattr(client, method)(address).status_code in (200, 302, 400, 403, 404, 405), address
    for verb in [
        "claim",
        "release",
        "start",
        "pause",
        "resume",
        "cancel",
        "assign",
        "update_progress",
        "complete",
        "undo",
        "split",
        "dispatch",
    ]:
        assert getattr(api, method)(f"/api/tasks/{task.pk}/{verb}/").status_code == 405
    for verb in ["submit", "approve", "reject", "hold", "resume", "cancel", "reopen", "copy", "dispatch"]:
        assert getattr(api, method)(f"/api/workorders/{order.pk}/{verb}/").status_code == 405
    assert checksum() == before


# -- headers, tokens, sessions


@pytest.mark.parametrize(
    "given", ["a\r\nSet-Cookie: x=1", "a\nb", "a b", "<script>", "施工单", "x" * 65, "\x00", "%0d%0aX: y", "a;b", "../x"]
)
def test_a_request_id_that_could_forge_a_line_is_replaced(shop, operator, running_task, given):
    api = api_of(operator)
    answer = api.post(f"/api/tasks/{running_task.pk}/update_progress/", {"quantity": 1}, format="json", headers={"X-Request-ID": given})
    assert answer.status_code == 200
    assert re.fullmatch(r"[0-9a-f]{32}", answer["X-Request-ID"])
    assert WorkEvent.objects.order_by("-pk").first().request_id == answer["X-Request-ID"]
    assert "Set-Cookie" not in answer


@pytest.mark.parametrize(
    "header",
    ["Token", "Token ", "Token x", "Token a b", f"Token {'x' * 10_000}", "Token \x00", "Token 施", "Basic eDp5", "Bearer null", "\x00"],
)
def test_a_token_that_is_none_is_a_401(shop, running_task, header):
    before = checksum()
    answer = Client().post(f"/api/tasks/{running_task.pk}/claim/", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["detail"].endswith(".")
    assert checksum() == before


@pytest.mark.parametrize("path", ["copy/", "change/", "delete/", "submit/"])
def test_a_form_without_its_token_is_refused_with_a_sentence(shop, maker, draft_order, path):
    client = Client(enforce_csrf_checks=True)
    client.force_login(maker)
    before = checksum()
    answer = client.post(f"{ORDERS}{draft_order.pk}/{path}", {"post": "yes"})
    assert answer.status_code == 403
    assert "send the form once more" in text_of(answer)
    assert checksum() == before


def test_a_session_without_the_token_commands_nothing_over_the_api(shop, maker, draft_order):
    client = Client(enforce_csrf_checks=True)
    client.force_login(maker)
    before = checksum()
    answer = client.post(f"/api/workorders/{draft_order.pk}/submit/", "{}", "application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
    assert checksum() == before


@pytest.mark.parametrize("end", ["signed out", "deactivated", "strange cookie"])
def test_a_form_of_a_closed_session_goes_to_the_sign_in_page(shop, maker, draft_order, end):
    client = client_of(maker)
    if end == "signed out":
        client.post("/admin/logout/")
    elif end == "deactivated":
        maker.is_active = False
        maker.save()
    else:
        client.cookies["sessionid"] = "../" + "x" * 5000
    before = checksum()
    url = f"{ORDERS}{draft_order.pk}/submit/"
    for headers in ({}, {"HX-Request": "true"}):
        answer = client.post(url, headers=headers)
        assert (answer.status_code, answer["Location"]) == (302, f"/admin/login/?next={url}")
    assert client.get(url, follow=True).status_code == 200
    assert checksum() == before


@pytest.mark.parametrize(
    ("username", "password"),
    [("maker", "wrong"), ("nobody-here", PASSWORD), ("a\x00b", PASSWORD), ("x" * 10_000, PASSWORD), ("maker", "x" * 5_000), ("", ""),
     ("🦊", "\u202e"), ("<script>", "y"), ("maker' or 1=1--", "y"), ("system", "!")],
)  # fmt: skip
def test_a_wrong_sign_in_is_told_on_its_page(shop, username, password):
    answer = Client().post("/admin/login/", {"username": username, "password": password})
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert b"<script>y" not in answer.content
    assert b'value="<script>' not in answer.content


@pytest.mark.parametrize(
    "to", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "\r\nX: y", "/admin/\x00", HUGE]
)
def test_nobody_is_sent_elsewhere(shop, maker, to):
    answer = Client().post("/admin/login/", {"username": "maker", "password": PASSWORD, "next": to})
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/") or answer["Location"] == HUGE
    answer = client_of(maker).post("/i18n/setlang/", {"language": "zh-hans", "next": to})
    assert answer.status_code == 302
    assert "evil" not in answer["Location"]
    assert "javascript" not in answer["Location"]


@pytest.mark.parametrize("language", ["x", "", HUGE, "zh-hans\r\nX: y", "../../etc", "\x00", "zh-hans" * 100])
def test_a_language_that_is_none_changes_nothing(shop, maker, language):
    client = client_of(maker)
    assert client.post("/i18n/setlang/", {"language": language, "next": "/admin/"}).status_code == 302
    assert "django_language" not in client.cookies
    assert client.get("/admin/", headers={"Accept-Language": language.replace("\r\n", "").replace("\x00", "")}).status_code == 200


def test_refusals_are_in_the_language_of_the_person(busy, operator):
    """The same mistake in English and in Chinese: the second sentence has no English word in it."""
    task = Task.objects.get(status=TaskStatus.IN_PROGRESS)
    client = client_of(operator)
    before = checksum()
    english = client.post(f"{TASKS}{task.pk}/report/", {"quantity": "-1"}).context["form"].errors["quantity"]
    client.post("/i18n/setlang/", {"language": "zh-hans"})
    chinese = client.post(f"{TASKS}{task.pk}/report/", {"quantity": "-1"}).context["form"].errors["quantity"]
    assert re.search("[a-z]{3}", english[0])
    assert not re.search("[a-z]{3}", chinese[0])
    assert re.search("[\u4e00-\u9fff]", chinese[0])
    assert checksum() == before


# -- files


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "The file is empty."),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither a workbook nor a table"),
        (b"%PDF-1.7\n", "neither a workbook nor a table"),
        (b"MZ" + bytes(100), "neither a workbook nor a table"),
        (b"\x7fELF" + bytes(100), "neither a workbook nor a table"),
        (b"<html><script>alert(1)</script>", "neither a workbook nor a table"),
        (b'{"customer": "SUN"}', "neither a workbook nor a table"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "password-protected"),
        (b"PK\x03\x04" + bytes(100), "damaged or cut off"),
        (b"PK\x05\x06" + bytes(18), "neither a workbook nor a table"),
        (b"\xff\xfe", ""),
        (b"\n\n\n", ""),
        (b"External no.,Customer,Product code,Quantity\n", ""),
        (b"\x00" * 5000, "neither a workbook nor a table"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_file_that_is_no_table_is_refused_in_words(shop, supervisor, content, told):
    client = client_of(supervisor)
    before = checksum()
    answer = client.post(reverse("admin:imports_upload") + "?resource=orders", {"file": SimpleUploadedFile("o.xlsx", content), **options()})
    assert answer.status_code == 200
    assert answer.context["forms"][0].errors["file"]
    assert told in text_of(answer)
    assert checksum() == before


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "a\r\nContent-Type: x.csv", "<script>alert(1)</script>.csv", "施工单\u202evsc.exe", "🦊.csv", ".csv",
     "CON.csv", "a/b\\c.csv",
     "x" * 200 + ".csv", '"quoted".csv', "%00.csv", "a;b=c.csv"],
)  # fmt: skip
def test_the_name_of_a_file_is_only_a_name(shop, supervisor, name):
    upload = SimpleUploadedFile("orders.csv", sample("orders-semicolon.csv").read())
    upload._name = name  # what a browser of ill will sends: Django's setter would clean it here already
    client = client_of(supervisor)
    answer = client.post(reverse("admin:imports_upload") + "?resource=orders", {"file": upload, **options()}, follow=True)
    assert answer.status_code == 200
    run = ImportRun.objects.get()
    assert not re.search(r"[/\\\r\n\x00]", run.file_name)
    assert re.fullmatch(r"imports/\d{4}/\d\d/[0-9a-f]{32}\.csv", run.file.name)
    assert "<script>alert(1)" not in answer.content.decode()


@pytest.mark.parametrize("data", [{}, {"file": ""}, {"file": "text, not a file"}], ids=str)
def test_a_form_without_a_file_is_told(shop, supervisor, data):
    client = client_of(supervisor)
    before = checksum()
    answer = client.post(reverse("admin:imports_upload") + "?resource=orders", data)
    assert answer.status_code == 200
    assert answer.context["forms"][0].errors["file"]
    assert checksum() == before


def test_the_same_file_twice_is_told_and_imported_once(shop, supervisor):
    client, content = client_of(supervisor), b"External no.,Customer,Product code,Quantity\nPO-77,Sunrise,LEAFLET,1000\n"
    for _time in range(2):
        data = {"file": SimpleUploadedFile("orders.csv", content), **options()}
        assert client.post(reverse("admin:imports_upload") + "?resource=orders", data).status_code == 302
        client.post(reverse("admin:imports_apply", args=[ImportRun.objects.first().pk]))
    first, second = ImportRun.objects.order_by("pk")
    assert (first.state, second.state) == (ImportState.APPLIED, ImportState.APPLIED)
    assert [entry["action"] for entry in second.plan] == ["same"]
    assert "You uploaded this very file before" in second.problems[0]["message"]
    assert WorkOrder.objects.get().external_number == "PO-77"


# -- markup


MARK = """'"><i onmouseover=zq()>"""
RAW = [b"<i onmouseover", b"'\"><"]
MACHINE = {"password", "kind", "source_key", "steps_text", "file", "sha256", "resource", "process_colours", "username", "digest", "prefix"}


def _plant() -> None:
    """Markup in every text of every row and of its history, as far as the columns have room for it."""
    for model in [*admin.site._registry, OrderLine, OrderMaterial]:
        if model is not WorkEvent:  # the ledger is append-only: written by the verbs of the test
            _plant_in(model)


def _plant_in(model: Any) -> None:
    texts = [
        field.name
        for field in model._meta.concrete_fields
        if isinstance(field, CharField | TextField) and not field.choices and field.name not in MACHINE and (field.max_length or 999) > 36
    ]
    histories = history_of(model)
    for row in model._base_manager.all():
        values = dict.fromkeys(texts, f"{row.pk}{MARK}")
        if model is Notice:
            values["params"] = dict.fromkeys(("number", "order", "reason", "actor", "product"), MARK)
        if model is ImportRun:
            values["notes"] = [{"row": 2, "column": MARK, "value": MARK, "level": "warning", "message": MARK, "part": 0, "sheet": MARK}]
            remark = {"name": "code", "column": MARK, "value": MARK, "level": "error", "message": MARK, "nearest": MARK}
            told = {
                "what": MARK,
                "label": MARK,
                "details": [MARK],
                "counts": {MARK: 1},
                "name": MARK,
                "cells": {"code": MARK, "name": MARK},
            }
            factories.ImportRowFactory(run=row, number=2, state="done", address="catalog.customer:987654321", kept_because=MARK, **told)
            factories.ImportRowFactory(run=row, number=3, action="error", remarks=[remark, {**remark, "name": ""}], **told)
        if model is DispatchDecision:
            values |= {
                "reasons": [["person_because", {"actor": MARK, "reason": MARK}]],
                "candidates": [{"kind": "department", "id": 1, "name": MARK, "name_zh": MARK, "load": 1, "verdict": "chosen"}],
            }
        if values:
            model._base_manager.filter(pk=row.pk).update(**values)
        if histories is not None:
            kept = {name: values[name] for name in values if name in {field.name for field in histories.model._meta.fields}}
            histories.filter(id=row.pk).update(**kept, history_change_reason=MARK)


@pytest.mark.once
def test_no_page_takes_a_text_for_markup(busy, superuser):
    """Every page of every admin: no raw markup, no text in a script, in an attribute that runs, or in a link of its own scheme."""
    task = Task.objects.get(status=TaskStatus.IN_PROGRESS)
    do.report(task, by=busy.people["operator"], good=1, reason=MARK, note=MARK, scrap=1)
    do.pause_task(task, by=busy.people["operator"], reason=MARK)
    _plant()
    client, wrong, met = client_of(superuser), [], 0
    addresses = _addresses()
    addresses += [f"{page_of(model)}?q=onmouseover" for model in admin.site._registry]
    addresses += [f"{TASKS}?q={MARK}", "/admin/search/?s=onmouseover&extended=1", "/admin/login/?next=" + MARK, "/admin/account/"]
    for address in addresses:
        if address == "/admin/logout/":
            continue
        answer = client.get(address)
        if answer.streaming or "html" not in answer.get("Content-Type", ""):
            continue
        met += b"onmouseover" in answer.content
        wrong += [f"{address} has {raw!r}" for raw in RAW if raw in answer.content]
        page = Page(answer.content.decode())
        for tag, name, value in page.attributes:
            runs = name.startswith(("x-", "@", ":", "on", "hx-vals", "hx-on", "style")) and "zq()" in value
            scheme = name in ("href", "src", "action", "hx-get", "hx-post") and value.strip().lower().startswith(
                ("javascript:", "data:text")
            )
            if runs or scheme:
                wrong.append(f"{address} has <{tag} {name}={value[:60]!r}>")
        wrong += [f"{address} has it in a script" for script in page.scripts if "zq()" in script]
    assert not wrong, "\n".join(dict.fromkeys(wrong))
    assert met > 60


@pytest.mark.once
def test_no_answer_of_the_api_is_read_as_a_page(busy, maker):
    order = factories.WorkOrderFactory(customer=busy.customer, created_by=maker, maker=maker, instructions=MARK, external_number=MARK)
    api = api_of(maker)
    for path in (f"/api/workorders/{order.pk}/", "/api/workorders/", f"/api/{MARK}/", f"/api/workorders/?ordering={MARK}"):
        answer = api.get(path)
        assert answer["Content-Type"].split(";")[0] in ("application/json", "application/problem+json")
        assert answer["X-Content-Type-Options"] == "nosniff"


def cost(client: Client, path: str) -> tuple[int, list[str]]:
    """The status of the answer, and the statements behind it without their values."""
    with count_queries() as statements:
        status = client.get(path).status_code
    return status, [re.sub(r"'[^']*'|\d+", "", sql) for sql in statements]


@pytest.mark.parametrize("path", [f"{TASKS}%d/change/", f"{ORDERS}%d/change/", f"{ORDERS}%d/history/", "/api/tasks/%d/", "/api/orders/%d/"])
def test_what_is_out_of_sight_costs_what_is_not_there_does(busy, path):
    """Who measures how long the answer takes learns no more than from the answer: both are the same work."""
    model = WorkOrder if "order/" in path or "orders/" in path else Task
    user, row = busy.people["prepress_lead" if model is Task else "other_maker"], model.objects.filter(status="in_progress").get()
    assert not model.objects.visible_to(user).filter(pk=row.pk).exists()
    ask = api_of(user) if path.startswith("/api/") else client_of(user)
    cost(ask, path % row.pk)  # whatever is asked once in a process, or once a minute
    assert cost(ask, path % row.pk) == cost(ask, path % 987_654)
    assert cost(ask, path % row.pk)[0] == 404
