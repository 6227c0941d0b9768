"""The catalogue through the admin."""

import pytest
from django.urls import reverse

from apps.accounts.models import User
from apps.catalog.models import Customer, Process, Product, Route, RouteStep, Tool, ToolKind
from apps.core.units import Unit
from tests.factories import CustomerFactory, ProcessFactory, ProductFactory, RouteFactory, RouteStepFactory, ToolFactory
from tests.personas import client_of
from tests.queries import count_queries
from tests.shop import Shop

MODELS = {"customer": Customer, "product": Product, "process": Process, "route": Route, "tool": Tool}


def at(name: str, page: str, *args: object) -> str:
    return reverse(f"admin:catalog_{name}_{page}", args=args)


def test_a_planner_makes_a_customer_and_the_history_says_so(shop: Shop, planner: User, salesperson: User) -> None:
    data = {"code": "C9", "name": "Nine", "salesperson": salesperson.pk, "contact": "", "phone": "", "address": ""}
    assert client_of(planner).post(at("customer", "add"), data).status_code == 302
    customer = Customer.objects.get(code="C9")
    assert customer.salesperson == salesperson
    assert customer.history.get().history_user == planner


def test_only_salespeople_look_after_customers(shop: Shop, planner: User, operator: User) -> None:
    data = {"code": "C9", "name": "Nine", "salesperson": operator.pk, "contact": "", "phone": "", "address": ""}
    answer = client_of(planner).post(at("customer", "add"), data)
    assert answer.status_code == 200
    assert "salesperson" in answer.context["adminform"].form.errors
    assert not Customer.objects.filter(code="C9").exists()


def test_a_salesperson_sees_only_his_customers(shop: Shop, salesperson: User) -> None:
    client = client_of(salesperson)
    assert client.get(at("customer", "change", shop.other_customer.pk)).status_code == 404
    text = client.get(at("customer", "changelist")).content.decode()
    assert "Sunrise" in text
    assert "Moonlight" not in text


@pytest.mark.parametrize("name", MODELS)
def test_a_maker_changes_nothing_but_tools(shop: Shop, maker: User, name: str) -> None:
    client, row = client_of(maker), MODELS[name].objects.first()
    assert client.get(at(name, "changelist")).status_code == 200
    assert client.get(at(name, "add")).status_code == (200 if name == "tool" else 403)
    assert client.post(at(name, "change", row.pk), {}).status_code == (200 if name == "tool" else 403)


@pytest.mark.parametrize("name", MODELS)
def test_a_thing_is_taken_out_of_use_and_back_by_a_dialog(shop: Shop, planner: User, auditor: User, name: str) -> None:
    client, row = client_of(planner), MODELS[name].objects.first()
    out, back = at(name, "verb_deactivate", row.pk), at(name, "verb_activate", row.pk)
    assert client.get(out).status_code == 200
    assert MODELS[name].objects.get(pk=row.pk).is_active
    assert client_of(auditor).post(out, {}).status_code == 403
    assert client.post(out, {}).status_code == 302
    assert not MODELS[name].objects.get(pk=row.pk).is_active
    assert client.post(out, {}).status_code == 409
    assert client.post(back, {}).status_code == 302
    assert MODELS[name].objects.get(pk=row.pk).is_active
    assert row.history.latest("history_id").history_user == planner


def test_what_is_in_use_elsewhere_is_not_deleted(shop: Shop, planner: User) -> None:
    process = shop.processes["PRT"]
    client = client_of(planner)
    assert "use it" in client.get(at("process", "delete", process.pk)).content.decode()
    client.post(at("process", "delete", process.pk), {"post": "yes"})
    assert Process.objects.filter(pk=process.pk).exists()


def test_a_tool_is_confirmed_by_a_button_and_then_stays_what_it_is(shop: Shop, planner: User, auditor: User) -> None:
    tool = ToolFactory(code="NEW")
    address = at("tool", "verb_confirm", tool.pk)
    assert client_of(auditor).post(address, {}).status_code == 403
    client = client_of(planner)
    assert client.get(address).status_code == 200
    assert Tool.objects.get(pk=tool.pk).confirmed_at is None
    assert client.post(address, {}).status_code == 302
    confirmed = Tool.objects.get(pk=tool.pk)
    assert confirmed.confirmed_by == planner
    data = {"kind": ToolKind.DIE, "code": "OTHER", "revision": 9, "name": "Cover", "customer": "", "version": confirmed.version}
    assert client.post(at("tool", "change", tool.pk), data).status_code == 302
    changed = Tool.objects.get(pk=tool.pk)
    assert (changed.kind, changed.code, changed.revision, changed.name) == (ToolKind.ARTWORK, "NEW", 1, "Cover")
    assert client.post(address, {}).status_code == 409


def test_many_tools_are_confirmed_at_once_and_refusals_are_named(shop: Shop, planner: User) -> None:
    fresh, done = ToolFactory(code="FRESH"), shop.tools["leaflet"]
    data = {"action": "bulk_confirm", "_selected_action": [fresh.pk, done.pk], "apply": "1"}
    answer = client_of(planner).post(at("tool", "changelist"), data, follow=True)
    assert Tool.objects.get(pk=fresh.pk).confirmed_at is not None
    said = [str(message) for message in answer.context["messages"]]
    assert any("1 row done" in text for text in said)
    assert any("is confirmed already" in text for text in said)


def test_a_route_is_made_with_its_steps_in_order(shop: Shop, planner: User) -> None:
    first, second = shop.processes["CTP"], shop.processes["PRT"]
    data = {
        "code": "R9", "name": "Nine", "steps-TOTAL_FORMS": 2, "steps-INITIAL_FORMS": 0, "steps-MIN_NUM_FORMS": 0, "steps-MAX_NUM_FORMS": 99,
        "steps-0-position": 1, "steps-0-process": first.pk, "steps-0-transfer_minimum": "",
        "steps-1-position": 2, "steps-1-process": second.pk, "steps-1-transfer_minimum": 500,
    }  # fmt: skip
    answer = client_of(planner).post(at("route", "add"), data)
    assert answer.status_code == 302
    assert [(step.process, step.transfer_minimum) for step in Route.objects.get(code="R9").steps.all()] == [(first, None), (second, 500)]


def steps_sent(route: Route, after: dict[int, list[int]], positions: dict[int, int]) -> dict:
    steps = list(route.steps.all())
    data = {
        "code": route.code, "name": route.name, "version": route.version, "steps-TOTAL_FORMS": len(steps),
        "steps-INITIAL_FORMS": len(steps), "steps-MIN_NUM_FORMS": 0, "steps-MAX_NUM_FORMS": 99,
    }  # fmt: skip
    for number, step in enumerate(steps):
        data |= {
            f"steps-{number}-id": step.pk, f"steps-{number}-route": route.pk, f"steps-{number}-process": step.process_id,
            f"steps-{number}-position": positions.get(step.pk, step.position), f"steps-{number}-after": after.get(step.pk, []),
            f"steps-{number}-transfer_minimum": "",
        }  # fmt: skip
    return data


def test_a_step_waits_for_earlier_steps_only(shop: Shop, planner: User) -> None:
    route = Route.objects.get(code="route-leaflet")
    first, second, third, _last = route.steps.all()
    client, address = client_of(planner), at("route", "change", route.pk)
    answer = client.post(address, steps_sent(route, {first.pk: [third.pk]}, {}))
    assert answer.status_code == 200
    assert "does not come before this step" in answer.content.decode()
    assert client.post(address, steps_sent(route, {third.pk: [first.pk]}, {})).status_code == 302
    assert list(third.after.all()) == [first]
    route.refresh_from_db()
    moved = client.post(address, steps_sent(route, {third.pk: [first.pk]}, {first.pk: 9}))
    assert moved.status_code == 200
    assert RouteStep.objects.get(pk=first.pk).position == 1
    assert second.after.count() == 0


def test_a_step_cannot_wait_for_a_step_of_another_route(shop: Shop, planner: User) -> None:
    route, other = Route.objects.get(code="route-leaflet"), RouteStepFactory(position=1)
    last = route.steps.last()
    answer = client_of(planner).post(at("route", "change", route.pk), steps_sent(route, {last.pk: [other.pk]}, {}))
    assert answer.status_code == 200
    assert last.after.count() == 0


def test_where_a_process_is_done_is_in_its_history(shop: Shop, planner: User) -> None:
    process, printing = shop.processes["CTP"], shop.departments["printing"]
    data = {
        "code": "CTP", "position": 1, "name": "plate making", "name_zh": "制版",
        "task_rule": "per_tool", "needs_tool": "", "stage": "prepare",
        "setup_minutes": 20, "minutes_per_1000": 0, "departments": [printing.pk], "version": process.version,
    }  # fmt: skip
    assert client_of(planner).post(at("process", "change", process.pk), data).status_code == 302
    assert list(process.departments.all()) == [printing]
    latest = process.history.latest("history_id")
    assert [row.department_id for row in latest.departments.all()] == [printing.pk]
    assert latest.history_user == planner


@pytest.mark.parametrize(
    ("name", "query", "found"),
    [
        ("tool", "confirmed=no", {"FRESH v1"}),
        ("tool", "q=fresh", {"FRESH v1"}),
        ("customer", "q=sunrise", {"Sunrise"}),
        ("product", f"unit__exact={Unit.SHEET}", {"poster (POSTER)"}),
        ("process", "needs_tool__exact=die", {"die cutting"}),
        ("route", "q=poster", {"Route of the poster"}),
    ],
)
def test_lists_are_searched_and_filtered(shop: Shop, planner: User, name: str, query: str, found: set) -> None:
    ToolFactory(code="FRESH")
    answer = client_of(planner).get(f"{at(name, 'changelist')}?{query}")
    assert {str(row) for row in answer.context["cl"].result_list} == found


@pytest.mark.parametrize("name", MODELS)
def test_lists_cost_the_same_for_many(shop: Shop, planner: User, name: str) -> None:
    make = {
        "customer": lambda: CustomerFactory(salesperson=shop.people["salesperson"]),
        "product": lambda: ProductFactory(route=RouteFactory()),
        "process": lambda: ProcessFactory().departments.add(*shop.departments.values()),
        "route": lambda: RouteStepFactory(route=RouteFactory()),
        "tool": lambda: ToolFactory(customer=CustomerFactory()).products.add(ProductFactory()),
    }[name]

    def cost() -> int:
        client = client_of(planner)
        client.get(reverse("admin:index"))
        with count_queries() as queries:
            assert client.get(at(name, "changelist")).status_code == 200
        return len(queries)

    make()
    first = cost()
    for _number in range(15):
        make()
    assert cost() == first
    assert first <= 12


def test_a_catalogue_speaks_both_languages(shop: Shop, planner: User) -> None:
    text = client_of(planner).get(at("process", "changelist"), headers={"accept-language": "zh-hans"}).content.decode()
    assert "印刷" in text
