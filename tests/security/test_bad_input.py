"""Bad input of every kind through the doors that people and handhelds use: a sentence, never a fault, and nothing half done.

Addresses, headers, files, sessions and markup are in security/test_requests.py. Shapes, cursors, parameters and keys of the API
are attacked in core/test_api.py and workorders/test_api_*.py, files in imports/test_preflight.py, rows of files in
imports/test_services.py and workorders/test_resources.py.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django import forms
from django.contrib import admin

from apps.accounts.models import Department, Membership, User
from apps.catalog.models import Customer, Process, Product, Route, Tool
from apps.dispatch.models import DispatchRule
from apps.workorders import services as do
from apps.workorders.models import Task, WorkEvent, WorkOrder
from apps.workorders.states import TaskStatus
from tests import factories
from tests.personas import again, api_of, client_of
from tests.security.doors import Page, checksum, fields_of

ORDERS, TASKS = "/admin/workorders/workorder/", "/admin/workorders/task/"
HUGE, LONG = "9" * 30, "x" * 10_000
NUMBERS = ["soon", "-1", "1000000000000", HUGE, "9" * 5000, "1.5", "1e3", "0x10", "NaN", "1\x002"]
DAYS = ["2026-02-30", "0000-01-01", "99999-01-01", "soon", HUGE, "2026-13-01", "2026-11-21\x00", "-1"]
KEYS = ["x", "0", "-1", HUGE, "9" * 5000, "1\x00", "NaN", "1,2", "<script>"]
CHOICES = ["nothing", "0x", LONG, "\x00", "<script>", HUGE]
TEXTS = [LONG, "a\x00b"]
ODD_TEXTS = {
    "right to left override": "\u202egnirts\u202c",
    "emoji beyond 16 bits": "🦊👩🏽‍🏭",
    "combining": "Z\u0351\u036b\u0343 e\u0301",
    "zero width": "a\u200bb\ufeffc",
    "rare han": "𠮷𡃁 施工单",
    "quotes": """'"`\\;--""",
    "formula": "=1+1",
    "template": "{{ 7*7 }} {% load x %} %(name)s {0}",
    "line ends": "a\u2028b\x85c",
}
NEW = {
    User: {"username": "newcomer", "name": "New", "email": "", "password1": "hK3-long-enough", "password2": "hK3-long-enough"},
    Department: {"code": "new", "name": "New", "position": "1"},
    Customer: {"code": "NEW", "name": "New"},
    Process: {
        "code": "NEW", "name": "New", "position": "9", "task_rule": "single", "stage": "finish",
        "setup_minutes": "1", "minutes_per_1000": "1",
    },
    Route: {"code": "NEW", "name": "New"},
    Product: {"code": "NEW", "name": "New", "unit": "piece"},
    Tool: {"kind": "die", "code": "NEW", "revision": "1"},
    WorkOrder: {"priority": "2", "order_date": "2026-11-21", "ups": "1", "printing_type": "none", "allowance": "0"},
}  # fmt: skip


def page_of(model: Any, tail: str = "") -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{tail}"


def rows_for(field: forms.Field) -> list[str]:
    """The bad values for a field of this kind; none where a text may say anything."""
    if isinstance(field, forms.ModelChoiceField):
        return KEYS
    if isinstance(field, forms.ChoiceField):
        return CHOICES
    if isinstance(field, forms.DecimalField):
        return [value for value in NUMBERS if value not in ("1.5", "1e3")]
    if isinstance(field, forms.IntegerField):
        return NUMBERS
    if isinstance(field, forms.DateField):
        return DAYS
    if isinstance(field, forms.CharField) and not isinstance(field.widget, forms.PasswordInput):
        return TEXTS
    return []


def errors_in(answer: Any) -> set[str]:
    """The fields that the page says something about."""
    context = answer.context
    form = context["adminform"].form if "adminform" in context else context["form"]
    return set(form.errors)


@pytest.fixture
def busy(shop):
    """Orders and tasks in several states, and something of everything else."""
    shop.draft()
    shop.submitted()
    task = shop.started(shop.ready_to_print(shop.approved("leaflet", external_number="PO-1")), by="operator")
    do.report(task, by=shop.people["operator"], good=100, scrap=2, reason="Torn.")
    do.share(task.order, by=shop.people["superuser"], user=shop.people["auditor"])
    for user in (shop.people["superuser"], shop.people["operator"]):
        factories.NoticeFactory(user=user)
        factories.ImportRunFactory(owner=user)
        factories.AccessTokenFactory(user=user)
    return shop


# -- forms


@pytest.mark.parametrize("model", NEW, ids=lambda model: model._meta.model_name)
def test_every_field_of_a_new_row_refuses_what_it_cannot_be(shop, superuser, model):
    """All fields at once get their first bad value, then their second: each is told, and nothing is saved."""
    client, url = client_of(superuser), page_of(model, "add/")
    page = client.get(url)
    form, valid = page.context["adminform"].form, fields_of(page) | NEW[model]
    before = checksum()
    for turn in range(max(map(len, (KEYS, NUMBERS, DAYS, CHOICES)))):
        bad = {name: rows_for(field)[turn] for name, field in form.fields.items() if turn < len(rows_for(field))}
        if not bad:
            continue
        answer = client.post(url, valid | bad)
        assert answer.status_code == 200, bad
        assert errors_in(answer) >= set(bad), {name: bad[name] for name in set(bad) - errors_in(answer)}
    assert checksum() == before


def test_every_field_of_a_part_refuses_what_it_cannot_be(shop, maker, planner):
    order, route = shop.draft(), Route.objects.first()
    cases = [(maker, f"{ORDERS}{order.pk}/change/", "lines-0-"), (maker, f"{ORDERS}{order.pk}/change/", "materials-0-"),
             (planner, page_of(Route, f"{route.pk}/change/"), "steps-0-")]  # fmt: skip
    clients = {user: client_of(user) for user in (maker, planner)}
    before = checksum()
    for user, url, prefix in cases:
        page = clients[user].get(url)
        formset = next(one.formset for one in page.context["inline_admin_formsets"] if prefix.startswith(one.formset.prefix))
        hidden = {"id", formset.fk.name, "DELETE"}
        for turn in range(10):
            bad = {
                f"{prefix}{name}": rows_for(field)[turn]
                for name, field in formset.forms[0].fields.items()
                if name not in hidden and turn < len(rows_for(field))
            }
            if not bad:
                continue
            answer = clients[user].post(url, fields_of(page) | bad)
            assert answer.status_code == 200, bad
            told = next(one.formset for one in answer.context["inline_admin_formsets"] if one.formset.prefix == formset.prefix)
            assert {f"{prefix}{name}" for name in told.errors[0]} >= set(bad), bad
    assert checksum() == before


def test_digits_of_any_script_are_numbers_in_a_form(shop, maker):
    client, url = client_of(maker), f"{ORDERS}add/"
    answer = client.post(url, fields_of(client.get(url)) | {"run_quantity": "１５００", "allowance": "٥٠", "ups": "４"})
    assert answer.status_code == 302
    order = WorkOrder.objects.get()
    assert (order.run_quantity, order.allowance, order.ups) == (1500, 50, 4)


@pytest.mark.parametrize("kind", ODD_TEXTS)
def test_any_text_is_kept_as_it_was_typed_and_shown_as_text(shop, planner, maker, kind):
    text = ODD_TEXTS[kind]
    client = client_of(planner)
    assert client.post(page_of(Customer, "add/"), NEW[Customer] | {"name": text, "contact": text, "address": text}).status_code == 302
    customer = Customer.objects.get(code="NEW")
    assert (customer.name, customer.contact, customer.address) == (text, text, text)
    assert client.get(page_of(Customer, f"{customer.pk}/change/")).context["adminform"].form["name"].value() == text
    assert list(client.get(page_of(Customer), {"q": text}).context["cl"].result_list) == [customer]
    made = api_of(maker).post("/api/workorders/", {"instructions": text, "external_number": text[:60]}, format="json")
    assert made.status_code == 201
    assert api_of(maker).get(made["Location"]).json()["instructions"] == text


def test_bytes_that_are_no_text_become_a_mark(shop, planner):
    """A lone surrogate and a cut sequence cannot be stored; what a browser never sends is no reason for a fault."""
    client = client_of(planner)
    for number, raw in enumerate([b"%ED%A0%80", b"%FF%FE", b"%E6%96", b"%F0%9F%A6"]):
        body = b"code=N%d&name=n%d%s" % (number, number, raw)
        answer = client.generic("POST", page_of(Customer, "add/"), body, "application/x-www-form-urlencoded")
        assert answer.status_code == 302
        assert "\ufffd" in Customer.objects.get(code=f"N{number}").name


def test_an_address_may_propose_anything(shop, superuser):
    """`add/?customer=x` is a link that somebody typed."""
    client = client_of(superuser)
    before = checksum()
    for model in NEW:
        names = [*client.get(page_of(model, "add/")).context["adminform"].form.fields, "lines", "nothing"]
        for value in ("x", HUGE, "1\x00", "1,x", f"1,{HUGE}", "2026-02-30", '"><script>', LONG):
            answer = client.get(page_of(model, "add/"), dict.fromkeys(names, value))
            assert answer.status_code == 200, (model, value[:20])
            assert b'"><script>' not in answer.content
    assert checksum() == before


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"lines-TOTAL_FORMS": ""}, 200, "ManagementForm"),
        ({"lines-TOTAL_FORMS": "x"}, 200, "ManagementForm"),
        ({"lines-TOTAL_FORMS": "-1"}, 200, "not there any more"),
        ({"lines-TOTAL_FORMS": "0"}, 200, "not there any more"),
        ({"lines-INITIAL_FORMS": "0", "lines-0-id": ""}, 200, "not there any more"),
        ({"lines-TOTAL_FORMS": HUGE}, 200, "at most 500 forms"),
        ({"lines-INITIAL_FORMS": "5", "lines-TOTAL_FORMS": "5"}, 200, ""),
        ({"lines-0-id": "x"}, 200, ""),
        ({"lines-0-id": HUGE}, 200, ""),
        ({"lines-0-id": "0"}, 200, ""),
        ({"lines-0-id": ""}, 200, ""),
        ({"lines-0-order": "0"}, 200, ""),
        ({"lines-0-order": "x"}, 200, ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_formset_that_was_tampered_with_saves_nothing(shop, maker, changes, status, told):
    order = shop.draft()
    client, url = client_of(maker), f"{ORDERS}{order.pk}/change/"
    valid = fields_of(client.get(url)) | {"instructions": "changed"}
    before = checksum()
    answer = client.post(url, valid | changes)
    assert answer.status_code == status
    assert told in Page(answer.content.decode()).text
    assert answer.context["errors"]
    assert checksum() == before


def test_a_form_with_more_fields_than_any_page_has_is_refused(shop, maker):
    client = client_of(maker)
    before = checksum()
    answer = client.post(f"{ORDERS}add/", {f"field{number}": "x" for number in range(5001)})
    assert answer.status_code == 400
    assert Page(answer.content.decode()).text
    assert checksum() == before


def test_a_form_that_is_sent_twice_adds_one_row(shop, maker):
    client, url = client_of(maker), f"{ORDERS}add/"
    data = fields_of(client.get(url)) | {"external_number": "PO-7"}
    assert client.post(url, data).status_code == 302
    before = checksum()
    answer = client.post(url, data, follow=True)
    assert answer.redirect_chain == [(ORDERS, 302)]
    assert "This form was saved already." in Page(answer.content.decode()).text
    assert checksum() == before
    assert WorkOrder.objects.count() == 1
    assert client.post(url, fields_of(client.get(url)) | {"external_number": "PO-7"}).status_code == 302
    assert WorkOrder.objects.count() == 2


def test_a_form_that_was_refused_can_be_sent_again(shop, maker):
    client, url = client_of(maker), f"{ORDERS}add/"
    data = fields_of(client.get(url))
    refused = client.post(url, data | {"run_quantity": "-1"})
    assert fields_of(refused)["once"] == data["once"]
    assert client.post(url, fields_of(refused) | {"run_quantity": "1"}).status_code == 302


@pytest.mark.parametrize(
    ("model", "same"),
    [(Customer, {"code": "SUN"}), (Customer, {"name": "Sunrise"}), (Product, {"code": "LEAFLET"}), (Process, {"code": "PRT"}),
     (Department, {"code": "printing"}), (User, {"username": "maker"}), (Tool, {"kind": "artwork", "code": "TOOL-leaflet"})],
    ids=str,
)  # fmt: skip
def test_a_duplicate_is_told(shop, superuser, model, same):
    client, url = client_of(superuser), page_of(model, "add/")
    valid = fields_of(client.get(url)) | NEW[model]
    before = checksum()
    answer = client.post(url, valid | same)
    assert answer.status_code == 200
    assert "already" in Page(answer.content.decode()).text
    assert checksum() == before


# -- what is out of sight, in every field that points to a row


def _relations(page: Any) -> Iterator[tuple[str, forms.ModelChoiceField]]:
    """(name in the form, field) of everything on a form page that points to rows."""
    for name, field in page.context["adminform"].form.fields.items():
        if isinstance(field, forms.ModelChoiceField):
            yield name, field
    for inline in page.context["inline_admin_formsets"]:
        formset = inline.formset
        for name, field in formset.empty_form.fields.items():
            if isinstance(field, forms.ModelChoiceField) and name not in ("id", formset.fk.name):
                yield f"{formset.prefix}-0-{name}", field


def test_no_field_takes_a_row_out_of_sight(busy, everybody):
    """Every form, every persona, every key and list of keys: an id out of sight reads as one that no row has."""
    factories.ToolFactory(code="M-1", customer=busy.other_customer)
    asked = 0
    clients = {name: client_of(user) for name, user in everybody.items()}
    before = checksum()
    for name, client in clients.items():
        user = again(everybody[name])
        for model in NEW | {DispatchRule: {}, Membership: {}}:
            page = client.get(page_of(model, "add/"))
            if page.status_code == 403:
                continue
            for field_name, field in _relations(page):
                rows = field.queryset.model._default_manager
                unseen = rows.exclude(pk__in=rows.visible_to(user).values("pk")).first() if hasattr(rows, "visible_to") else None
                if unseen is None:
                    continue
                asked += 1
                data = fields_of(page) | NEW.get(model, {}) | {field_name: unseen.pk}
                prefix = field_name.split("-0-")[0]
                if "-0-" in field_name:
                    data |= {f"{prefix}-TOTAL_FORMS": "1", f"{prefix}-0-quantity": "1", f"{prefix}-0-position": "1"}
                answer = client.post(page_of(model, "add/"), data)
                assert answer.status_code == 200, (name, field_name)
                text = Page(answer.content.decode()).text
                assert "Select a valid choice." in text, (name, field_name)
                assert str(unseen) not in text, (name, field_name)
    assert checksum() == before
    assert asked >= 5


def test_no_body_of_the_api_takes_a_row_out_of_sight(busy, salesperson, supervisor, prepress_lead):
    hidden_tool = factories.ToolFactory(code="M-1", customer=busy.other_customer)
    task = Task.objects.get(status=TaskStatus.IN_PROGRESS)
    seller, lead, design = api_of(salesperson), api_of(supervisor), busy.departments["design"]
    cases = [
        (seller, "/api/workorders/", {"customer": busy.other_customer.pk}, "customer"),
        (seller, "/api/workorders/", {"customer": "MOON"}, "customer"),
        (seller, "/api/workorders/", {"tools": [hidden_tool.pk]}, "tools"),
        (lead, f"/api/tasks/{task.pk}/assign/", {"department": design.pk}, "department"),
        (lead, f"/api/tasks/{task.pk}/assign/", {"operator_id": prepress_lead.pk}, "operator_id"),
    ]
    before = checksum()
    for client, path, body, field in cases:
        unseen = client.post(path, body, format="json")
        absent = client.post(path, {name: [10**9] if isinstance(value, list) else 10**9 for name, value in body.items()}, format="json")
        assert unseen.status_code == absent.status_code == 400, (body, unseen.content)
        assert unseen.json()["errors"][0]["field"].startswith(field)
        assert unseen.json()["errors"][0]["code"] == absent.json()["errors"][0]["code"]
        assert "Moonlight" not in unseen.content.decode()
    assert checksum() == before


# -- dialogs


def _dialogs(shop: Any) -> Iterator[tuple[Any, str, Any]]:
    """(person, address, form page) of each dialog of orders and tasks that is open to somebody now."""
    people = [shop.people[name] for name in ("operator", "supervisor", "maker", "salesperson", "superuser")]
    clients = {user: client_of(user) for user in people}
    for model in (Task, WorkOrder):
        its_admin = admin.site._registry[model]
        for verb in its_admin.verbs:
            found = (
                (user, its_admin.verb_url(verb, row.pk), answer)
                for user in people
                for row in model.objects.order_by("-pk")[:12]
                if (answer := clients[user].get(its_admin.verb_url(verb, row.pk))).status_code == 200
            )
            one = next(found, None)
            if one is not None:
                yield one


def test_every_field_of_every_dialog_refuses_what_it_cannot_be(busy):
    dialogs = list(_dialogs(busy))
    assert len(dialogs) >= 18
    clients = {user: client_of(user) for user, _url, _page in dialogs}
    before = checksum()
    for user, url, page in dialogs:
        client, form = clients[user], page.context["form"]
        for turn in range(10):
            values = {"once": ["x", HUGE, "\x00"], "quantity": NUMBERS, "scrap": NUMBERS, "quantities": NUMBERS}
            kinds = {name: values.get(name) or rows_for(field) for name, field in form.fields.items()}
            bad = {name: kind[turn] for name, kind in kinds.items() if turn < len(kind) and (name, kind[turn]) not in FINE}
            if not bad:
                continue
            answer = client.post(url, fields_of(page) | bad)
            assert answer.status_code == 400, (url, bad)
            assert errors_in(answer) >= set(bad), (url, {name: bad[name] for name in set(bad) - errors_in(answer)})
    assert checksum() == before


# "1e3" of a spreadsheet is a number of pieces.
FINE = {("quantity", "1e3"), ("scrap", "1e3"), ("quantities", "1e3")}


def test_an_address_of_a_dialog_may_propose_anything(busy):
    for user, url, page in _dialogs(busy):
        for value in ("x", HUGE, "1\x00", '"><script>'):
            answer = client_of(user).get(url, dict.fromkeys(page.context["form"].fields, value))
            assert answer.status_code == 200, url
            assert b'"><script>' not in answer.content


@pytest.mark.parametrize(
    ("verb", "data"),
    [
        ("report", {"quantity": "10"}),
        ("complete", {"quantity": "900", "reason_code": "other"}),
        ("pause", {}),
        ("share", {"person": "stranger", "level": "view"}),
        ("split", {"quantities": "100"}),
    ],
)
def test_a_double_click_counts_once(busy, supervisor, operator, verb, data):
    task = Task.objects.get(status=TaskStatus.IN_PROGRESS)
    client = client_of(supervisor if verb in ("share", "split") else operator)
    url = f"{TASKS}{task.pk}/{verb}/"
    data = data | {"once": str(uuid.uuid4())}
    events = WorkEvent.objects.count()
    assert client.post(url, data).status_code == 302
    assert WorkEvent.objects.count() > events
    after = checksum()
    assert client.post(url, data).status_code == 302
    assert checksum() == after


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"action": "nothing"}, ""),
        ({"action": ""}, "No action selected."),
        ({"action": "bulk_cancel'--"}, ""),
        ({"_selected_action": []}, "Items must be selected"),
        ({"_selected_action": ["x"]}, "Items must be selected"),
        ({"_selected_action": [HUGE]}, "Items must be selected"),
        ({"_selected_action": ["1\x00"]}, "Items must be selected"),
        ({"_selected_action": ["-1"]}, "Items must be selected"),
        ({"_selected_action": ["0", "999999999"]}, ""),
        ({"reason": LONG}, ""),
        ({"reason": ""}, ""),
        ({"once": "x"}, ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bulk_action_that_was_tampered_with_changes_nothing(busy, supervisor, changes, told):
    client = client_of(supervisor)
    pks = [str(pk) for pk in Task.objects.open().values_list("pk", flat=True)]
    data = {"action": "bulk_cancel", "_selected_action": pks, "apply": "1", "reason": "Gone.", "index": "0"}
    before = checksum()
    answer = client.post(TASKS, data | changes, follow=True)
    assert answer.status_code == 200
    assert told in Page(answer.content.decode()).text
    assert checksum() == before
