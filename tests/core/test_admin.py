"""What every admin page does, shown on the catalogue's: each of these was open with the packages as they come."""

import uuid

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from unfold.admin import ModelAdmin

from apps.catalog.models import Customer, Route, Tool
from apps.core.admin import ScopedAdmin
from apps.core.verbs import MOST_AT_ONCE
from apps.workorders.models import WorkOrder
from tests.factories import CustomerFactory, RouteStepFactory, ToolFactory
from tests.personas import client_of

CUSTOMERS = "/admin/catalog/customer/"
ROUTES = "/admin/catalog/route/"
TOOLS = "/admin/catalog/tool/"
ORDERS = "/admin/workorders/workorder/"
PAYLOAD = "<script>alert(1)</script>'\"&"


def entries(customer, **changes):
    return {
        "version": customer.version,
        "code": customer.code,
        "name": customer.name,
        "salesperson": customer.salesperson_id or "",
        "is_active": "on",
    } | changes


def route_entries(route, **changes):
    data = {"version": route.version, "code": route.code, "name": route.name, "is_active": "on"}
    steps = list(route.steps.all())
    data |= {"steps-TOTAL_FORMS": len(steps), "steps-INITIAL_FORMS": len(steps)}
    for number, step in enumerate(steps):
        prefix = f"steps-{number}-"
        data |= {
            f"{prefix}id": step.pk,
            f"{prefix}route": route.pk,
            f"{prefix}process": step.process_id,
            f"{prefix}position": step.position,
        }
    return data | changes


@pytest.fixture
def customer(shop):
    """One with a history, as saved rows have."""
    row = Customer.objects.get(code="SUN")
    row.save()
    return row


def test_our_base_comes_before_the_packages():
    for its_admin in admin.site._registry.values():
        order = type(its_admin).__mro__
        if isinstance(its_admin, ScopedAdmin):
            assert order.index(ScopedAdmin) < order.index(ModelAdmin) < order.index(admin.ModelAdmin)


# -- stale forms


def test_a_save_over_somebody_elses_keeps_what_was_typed_and_says_what_changed(planner, superuser, customer):
    url, typed = f"{CUSTOMERS}{customer.pk}/change/", entries(customer, name="Typed")
    assert client_of(superuser).post(url, entries(customer, name="Meanwhile", phone="123")).status_code == 302
    response = client_of(planner).post(url, typed)
    text = response.content.decode()
    assert response.status_code == 200
    assert 'value="Typed"' in text
    assert 'id="docket-changes"' in text
    changes = {(one.field, one.old, one.new, one.by) for one in response.context["adminform"].form.changes}
    assert changes == {("name", "Sunrise", "Meanwhile", str(superuser)), ("phone", "", "123", str(superuser))}
    assert Customer.objects.get(pk=customer.pk).name == "Meanwhile"
    version = response.context["row_version"]
    assert client_of(planner).post(url, typed | {"version": version}).status_code == 302
    assert Customer.objects.get(pk=customer.pk).name == "Typed"


@pytest.mark.parametrize("version", ["", "x", "-1", "0", "99999999999999999999", "\x00"])
def test_a_form_without_its_version_is_not_saved(planner, customer, version):
    response = client_of(planner).post(f"{CUSTOMERS}{customer.pk}/change/", entries(customer, name="New", version=version))
    assert response.status_code == 200
    assert Customer.objects.get(pk=customer.pk).name == "Sunrise"


def test_a_changed_part_makes_a_form_of_the_whole_stale(shop, planner):
    route = Route.objects.get(code="route-leaflet")
    for step in route.steps.all():
        step.save()
    route.save()
    typed = route_entries(route, name="Typed")
    url = f"{ROUTES}{route.pk}/change/"
    changed = client_of(planner).post(url, route_entries(route) | {"steps-3-position": 77})
    assert changed.status_code == 302, changed.context["errors"]
    route.refresh_from_db()
    assert route.version == typed["version"] + 1
    response = client_of(planner).post(url, typed)
    assert response.status_code == 200
    assert [(one.field, one.old, one.new) for one in response.context["adminform"].form.changes] == [("position", "4", "77")]


def test_an_untouched_form_leaves_version_and_history_alone(planner, customer):
    before = (customer.version, customer.history.count())
    assert client_of(planner).post(f"{CUSTOMERS}{customer.pk}/change/", entries(customer)).status_code == 302
    customer.refresh_from_db()
    assert (customer.version, customer.history.count()) == before


def test_a_save_is_signed_once(planner, customer):
    response = client_of(planner).post(f"{CUSTOMERS}{customer.pk}/change/", entries(customer, name="New"))
    row = customer.history.first()
    assert (row.history_user, row.source, row.request_id) == (planner, "admin", response["X-Request-ID"])
    assert LogEntry.objects.count() == 0


# -- out of sight


@pytest.mark.parametrize("tail", ["change/", "history/", "delete/", "deactivate/"])
def test_a_row_out_of_sight_reads_as_absent(shop, salesperson, tail):
    client, url = client_of(salesperson), f"{CUSTOMERS}{shop.other_customer.pk}/{tail}"
    assert client.get(url).status_code == 404
    # A history is only read, whosoever's it is.
    assert client.post(url, {"post": "yes"}).status_code == (405 if tail.startswith("history") else 404)


def test_the_history_of_a_row_out_of_sight_reads_as_absent(shop, salesperson, planner):
    shop.other_customer.save()
    version = shop.other_customer.history.first().pk
    url = f"{CUSTOMERS}{shop.other_customer.pk}/history/{version}/"
    assert client_of(salesperson).get(url).status_code == 404
    assert client_of(planner).get(url).status_code == 200
    assert client_of(planner).get(f"{CUSTOMERS}{shop.customer.pk}/history/{version}/").status_code == 404


@pytest.mark.parametrize("who", ["auditor", "planner", "superuser"])
def test_a_version_page_cannot_be_posted(everybody, customer, who):
    version = customer.history.first().pk
    url = f"{CUSTOMERS}{customer.pk}/history/{version}/"
    assert client_of(everybody[who]).post(url, entries(customer, name="Written")).status_code == 405
    assert Customer.objects.get(pk=customer.pk).name == "Sunrise"


@pytest.mark.parametrize("pk", ["0", "x", "999999999999999999999999", "-1", "%00", "_5F"])
@pytest.mark.parametrize("tail", ["change/", "history/", "delete/", "deactivate/", "history/1/"])
def test_a_strange_key_reads_as_absent(shop, superuser, pk, tail):
    client = client_of(superuser)
    assert client.get(f"{CUSTOMERS}{pk}/{tail}").status_code == 404
    assert client.post(f"{CUSTOMERS}{pk}/{tail}").status_code == (405 if tail.startswith("history") else 404)


def test_in_sight_but_not_allowed_is_refused(shop, maker, auditor, customer):
    for user in (maker, auditor):
        client = client_of(user)
        assert client.get(f"{CUSTOMERS}{customer.pk}/change/").status_code == 200
        assert client.post(f"{CUSTOMERS}{customer.pk}/change/", entries(customer, name="New")).status_code == 403
        assert client.post(f"{CUSTOMERS}{customer.pk}/delete/", {"post": "yes"}).status_code == 403
        assert client.get(f"{CUSTOMERS}add/").status_code == 403


# -- choices


def test_a_choice_out_of_sight_is_refused_like_an_unknown_one(shop, salesperson):
    client = client_of(salesperson)
    foreign = ToolFactory(customer=shop.other_customer, code="SECRETTOOL")
    data = {"kind": "artwork", "code": "A1", "revision": 1, "is_active": "on", "products": []}
    answers = []
    for pk in (shop.other_customer.pk, 999999, "9" * 30):
        response = client.post(f"{TOOLS}add/", data | {"customer": pk})
        assert response.status_code == 200
        answers.append(str(response.context["adminform"].form.errors["customer"]))
        assert "Moonlight" not in response.content.decode()
    assert len(set(answers)) == 1
    draft = shop.draft(by="salesperson")
    response = client.post(f"{ORDERS}{draft.pk}/change/", {"version": draft.version, "tools": [foreign.pk]})
    assert "SECRETTOOL" not in response.content.decode()


def test_autocomplete_and_filters_offer_only_what_is_seen(shop, salesperson):
    client = client_of(salesperson)
    found = client.get("/admin/autocomplete/", {"app_label": "workorders", "model_name": "workorder", "field_name": "customer", "term": ""})
    assert [row["text"] for row in found.json()["results"]] == ["Sunrise"]
    assert "Moonlight" not in client.get(ORDERS).content.decode()
    shop.draft(by="other_maker", customer=shop.other_customer)
    assert "Moonlight" not in client.get(f"{ORDERS}?customer__id__exact={shop.other_customer.pk}").content.decode()


def test_what_a_row_points_to_stays_though_it_is_out_of_sight(shop, salesperson, other_maker):
    draft = shop.draft(by="other_maker")
    client = client_of(salesperson)
    form = client.get(f"{ORDERS}{draft.pk}/change/").context["adminform"].form
    assert list(form.fields["maker"].queryset.filter(pk=other_maker.pk)) == [other_maker]
    fresh = client.get(f"{ORDERS}add/").context["adminform"].form
    assert not fresh.fields["maker"].queryset.filter(pk=other_maker.pk).exists()


# -- lists


@pytest.mark.parametrize("lookup", ["exact", "startswith", "icontains", "regex", "gt", "in", "isnull"])
def test_only_declared_filters_answer(shop, planner, lookup):
    client = client_of(planner)
    for field in ("phone", "contact", "address", "name", "salesperson__password", "orders__number", "tools__code", "history__name", "id"):
        assert client.get(f"{CUSTOMERS}?{field}__{lookup}=1").status_code == 400, field
    assert client.get(f"{CUSTOMERS}?salesperson__id__exact=1").status_code == 200


def test_a_list_cannot_be_edited_in_place(shop, planner, customer):
    data = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": customer.pk, "form-0-name": "Written", "_save": "Save"}
    client_of(planner).post(CUSTOMERS, data)
    assert Customer.objects.get(pk=customer.pk).name == "Sunrise"


def test_nothing_is_deleted_in_bulk(shop, superuser, customer):
    client_of(superuser).post(CUSTOMERS, {"action": "delete_selected", "_selected_action": [customer.pk], "post": "yes"})
    assert Customer.objects.filter(pk=customer.pk).exists()


def test_a_bulk_action_has_a_limit(shop, planner):
    CustomerFactory.create_batch(MOST_AT_ONCE + 1)
    data = {"action": "bulk_deactivate", "select_across": "1", "_selected_action": ["1"], "apply": "1"}
    response = client_of(planner).post(CUSTOMERS, data, follow=True)
    assert any("At most 200 rows" in str(message) for message in response.context["messages"])
    assert not Customer.objects.filter(is_active=False).exists()


# -- deleting


def test_a_delete_page_counts_what_hangs_on_a_row_and_names_nothing(shop, planner):
    step = RouteStepFactory(process__name="Hidden process")
    text = client_of(planner).get(f"{ROUTES}{step.route_id}/delete/").content.decode()
    assert "Hidden process" not in text
    assert "route steps" in text.lower()


def test_a_delete_page_does_not_speak_of_links_that_nobody_knows(shop, planner, superuser):
    order = shop.draft()  # its steps follow one another
    text = client_of(superuser).get(f"/admin/workorders/workorder/{order.pk}/delete/").content.decode().lower()
    assert "steps: 4" in " ".join(text.split())
    assert "relationship" not in text


def test_a_row_in_use_is_kept_with_a_sentence(shop, planner):
    order = shop.draft()
    client, url = client_of(planner), f"{CUSTOMERS}{shop.customer.pk}/delete/"
    page = client.get(url).content.decode()
    assert "row uses it" in page
    assert order.number not in page
    client.post(url, {"post": "yes"})
    assert Customer.objects.filter(pk=shop.customer.pk).exists()


def test_an_unused_row_is_deleted_and_its_history_stays_for_the_superuser(shop, planner, superuser):
    row = CustomerFactory()
    assert client_of(planner).post(f"{CUSTOMERS}{row.pk}/delete/", {"post": "yes"}).status_code == 302
    last = Customer.history.filter(id=row.pk).first()
    assert (last.history_type, last.history_user) == ("-", planner)
    assert client_of(planner).get(f"{CUSTOMERS}{row.pk}/history/").status_code == 404
    assert client_of(superuser).get(f"{CUSTOMERS}{row.pk}/history/").status_code == 200


# -- verbs


def test_a_dialog_that_is_sent_twice_is_done_once(shop, maker, draft_order):
    client, url = client_of(maker), f"{ORDERS}{draft_order.pk}/copy/"
    once = client.get(url).context["form"].initial["once"]
    for _time in range(3):
        assert client.post(url, {"once": str(once)}).status_code == 302
    assert WorkOrder.objects.count() == 2
    assert client.post(url, {"once": str(uuid.uuid4())}).status_code == 302
    assert WorkOrder.objects.count() == 3


def test_a_refused_dialog_can_be_sent_again(shop, salesperson, submitted_order):
    client, url, once = client_of(salesperson), f"{ORDERS}{submitted_order.pk}/reject/", str(uuid.uuid4())
    assert client.post(url, {"once": once, "reason": ""}).status_code == 400
    assert client.post(url, {"once": once, "reason": "Colours."}).status_code == 302


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_a_dialog_answers_get_and_post_only(maker, draft_order, method):
    assert getattr(client_of(maker), method)(f"{ORDERS}{draft_order.pk}/copy/").status_code == 405


def test_a_dialog_is_a_fragment_for_htmx_and_a_page_without(maker, draft_order):
    client, url = client_of(maker), f"{ORDERS}{draft_order.pk}/copy/"
    assert "<html" not in client.get(url, headers={"HX-Request": "true"}).content.decode()
    assert "<html" in client.get(url).content.decode()


def test_a_stale_button_is_answered_with_a_sentence(maker, submitted_order):
    response = client_of(maker).get(f"{ORDERS}{submitted_order.pk}/submit/", headers={"HX-Request": "true"})
    assert response.status_code == 200
    assert "not possible any more" in response.content.decode()


def test_a_verb_needs_the_token_of_the_page(shop, maker, draft_order):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(maker)
    assert client.post(f"{ORDERS}{draft_order.pk}/copy/").status_code == 403
    assert WorkOrder.objects.count() == 1


# -- markup


def test_markup_in_a_name_is_text_on_every_page(shop, planner):
    customer = CustomerFactory(name=PAYLOAD, contact=PAYLOAD)
    tool = ToolFactory(name=PAYLOAD, code="<b>x</b>", customer=customer)
    order = shop.draft(customer=customer, external_number=PAYLOAD, instructions=PAYLOAD, tools=[tool])
    client = client_of(planner)
    customer.save()
    tail = f"history/{customer.history.first().pk}/"
    urls = [CUSTOMERS, *(f"{CUSTOMERS}{customer.pk}/{page}" for page in ("change/", "history/", "delete/", "deactivate/", tail))]
    urls += [TOOLS, f"{TOOLS}{tool.pk}/change/", ORDERS, f"{ORDERS}{order.pk}/change/", f"{ORDERS}{order.pk}/copy/"]
    for url in urls:
        text = client.get(url).content.decode()
        assert "<script>alert(1)" not in text, url
        assert "<b>x</b>" not in text, url
    assert Tool.objects.filter(pk=tool.pk).exists()
