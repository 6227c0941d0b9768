"""The home page: who sees which panels and numbers, that they are true, and what they cost."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.dashboard import figures
from apps.notices.models import Notice
from apps.notices.services import notify
from apps.scanning.codes import Kind, encode
from apps.scanning.services.scans import record_scan
from apps.workorders.loads import loads
from apps.workorders.models import Task, WorkOrder
from apps.workorders.services import claim_task, hold_order, pause_task, reject_order, revise_order, start_task
from apps.workorders.states import OrderStatus
from tests.factories import TaskFactory, WorkOrderFactory
from tests.personas import PEOPLE, again, client_of
from tests.queries import count_queries
from tests.shop import Shop

HOME = reverse("admin:index")
PANELS = reverse("dashboard:panels")

# What each persona finds: the keys of the panels, in order.
PANELS_OF = {
    "maker": ["waiting", "late", "blocked", "notices", "edits"],
    "salesperson": ["waiting", "late", "blocked", "notices", "edits"],
    "supervisor": ["waiting", "late", "blocked", "load", "notices", "edits"],
    "operator": ["mine", "waiting", "late", "blocked", "notices", "edits"],
    "planner": ["waiting", "late", "blocked", "load", "notices", "edits"],
    "auditor": ["late", "blocked", "load", "notices", "edits"],
    "administrator": ["notices", "edits"],
    "nobody": [],
}
# Queries of the whole page, session and sidebar included.
COST = {
    "maker": 14, "salesperson": 16, "supervisor": 18, "operator": 14, "planner": 15, "auditor": 13, "administrator": 10, "superuser": 18,
    "nobody": 6,
}  # fmt: skip


def home(person: User) -> dict:
    """The page's panels by key, and its cards by label."""
    answer = client_of(person).get(HOME)
    assert answer.status_code == 200
    panels = {panel.key: panel for panel in [*answer.context["main_panels"], *answer.context["side_panels"]]}
    return {"panels": panels, "cards": {card.label: card for card in answer.context["cards"]}, "text": answer.content.decode()}


def titles(page: dict, key: str) -> str:
    return " | ".join(row.title for row in page["panels"][key].rows)


@pytest.mark.parametrize("name", PANELS_OF)
def test_each_role_finds_its_panels(shop: Shop, name: str) -> None:
    assert list(home(shop.people[name])["panels"]) == PANELS_OF[name]


def test_a_salesperson_finds_what_waits_for_him_with_what_is_in_it(shop: Shop, salesperson: User, other_salesperson: User) -> None:
    order = shop.submitted(("leaflet", 12500))
    page = home(salesperson)
    (row,) = page["panels"]["waiting"].rows
    assert order.number in row.title
    assert "Sunrise" in row.title
    assert "leaflet × 12,500 copies" in row.detail
    assert "by Maker" in row.detail
    assert page["cards"]["Waiting for your approval"].count == 1
    assert home(other_salesperson)["panels"]["waiting"].rows == []


def test_an_approved_order_is_counted_until_its_first_task_is_begun(shop: Shop, salesperson: User, operator: User) -> None:
    def counted() -> tuple[int, int]:
        found = home(salesperson)["cards"]
        return found["Approved, not begun"].count, found["In production"].count

    order = shop.approved()
    assert counted() == (1, 0)
    task = shop.ready_to_print(order)
    claim_task(task, by=operator)
    start_task(task, by=operator)
    assert counted() == (0, 1)


def test_a_maker_finds_his_drafts_and_why_one_was_rejected(shop: Shop, maker: User, salesperson: User) -> None:
    draft = shop.draft()
    rejected = reject_order(shop.submitted(), by=salesperson, reason="Wrong paper")
    first, second = home(maker)["panels"]["waiting"].rows
    assert rejected.number in first.title
    assert first.detail == "Rejected: Wrong paper"
    assert draft.number in second.title


def test_an_operator_finds_his_tasks_with_the_next_move_and_the_queue(shop: Shop, running_task: Task, operator: User) -> None:
    page = home(operator)
    (row,) = page["panels"]["mine"].rows
    assert str(running_task) in row.title
    assert row.move == ("Report", reverse("admin:workorders_task_verb_report", args=[running_task.pk]))
    assert page["cards"]["My tasks"].count == 1
    assert page["panels"]["waiting"].rows == []
    other = shop.ready_to_print(shop.approved())
    page = home(operator)
    assert [row.move[0] for row in page["panels"]["waiting"].rows] == ["Claim"]
    assert str(other) in titles(page, "waiting")


def test_a_planner_finds_the_tasks_without_a_department(shop: Shop, planner: User, supervisor: User) -> None:
    task = TaskFactory(status="pending", order=WorkOrderFactory(status=OrderStatus.APPROVED))
    page = home(planner)
    assert str(task) in titles(page, "waiting")
    assert page["cards"]["Undispatched"].count == 1
    assert str(task) not in home(supervisor)["text"]


def test_late_is_told_in_words(shop: Shop, supervisor: User) -> None:
    order = shop.approved()
    WorkOrder.objects.filter(pk=order.pk).update(due_date=timezone.localdate() - timedelta(days=3))
    page = home(supervisor)
    (row,) = page["panels"]["late"].rows
    assert order.number in row.title
    assert ("3 days late", "danger") in row.labels
    assert page["cards"]["Late orders"].tone == "danger"


def test_blocked_names_the_reason(shop: Shop, supervisor: User, operator: User) -> None:
    waiting = shop.approved(received=False)
    held = hold_order(shop.approved(), by=supervisor, reason="Customer calls back")
    paused = shop.started(shop.ready_to_print(shop.approved()), by="operator")
    pause_task(paused, by=operator, reason_code="machine", reason="Feeder jams")
    rows = {row.title: row.detail for row in home(supervisor)["panels"]["blocked"].rows}
    said = {title: detail for title, detail in rows.items() if waiting.number in title}
    assert set(said.values()) == {"Material Coated art 157 g is not received."}
    assert rows[f"{held.number} · Sunrise"] == "Customer calls back"
    (told,) = [detail for title, detail in rows.items() if title.startswith(f"{paused} ")]
    assert told == "Paused: machine stopped · Feeder jams"


def test_what_only_waits_its_turn_is_not_blocked(shop: Shop, supervisor: User) -> None:
    shop.approved()
    assert home(supervisor)["panels"]["blocked"].rows == []


def test_blocked_agrees_with_the_readiness_of_the_step(shop: Shop, planner: User) -> None:
    from apps.workorders.readiness import what_is_missing

    order = shop.approved("carton", received=False)
    order.tools.filter(code="TOOL-carton").update(confirmed_at=None, confirmed_by=None)
    for task in Task.objects.filter(order=order, step__process__code="CTP"):
        shop.finish(task)
    found = {task.step_id for task in figures.blocked_tasks(planner)}
    missing = what_is_missing(order)
    waits = {step for step, sentences in missing.items() if any("completed" in sentence for sentence in sentences)}
    assert found == {step for step, sentences in missing.items() if sentences} - waits


def test_the_load_adds_up(shop: Shop, supervisor: User, planner: User, prepress_lead: User) -> None:
    shop.approved()
    departments, _people = loads(planner)
    total = Task.objects.open().aggregate(minutes=Task.objects.open_minutes())["minutes"]
    assert sum(one.minutes for one in departments) == pytest.approx(total, abs=len(departments))
    assert departments[0].share == 100
    assert [one.label for one in loads(prepress_lead)[0]] == ["design"]
    assert "design" not in [one.label for one in loads(supervisor)[0]]


def test_recent_edits_are_the_users_own_each_thing_once(shop: Shop, maker: User, other_maker: User) -> None:
    order = shop.draft()
    for quantity in (2000, 3000):
        order.run_quantity = quantity
        order = revise_order(order, by=maker)
    found = figures.recent_edits(maker, 10)
    assert [(edit.model, edit.label) for edit in found] == [(WorkOrder, order.number)]
    assert figures.recent_edits(other_maker, 10) == []


def test_recent_edits_leave_out_what_is_out_of_sight_now(shop: Shop, maker: User, other_maker: User) -> None:
    order = shop.draft()
    WorkOrder.objects.filter(pk=order.pk).update(maker=other_maker, created_by=other_maker)
    assert figures.recent_edits(maker, 10) == []


def test_the_page_costs_the_same_for_few_and_for_many(shop: Shop) -> None:
    def costs() -> dict[str, int]:
        found = {}
        for name in COST:
            client = client_of(shop.people[name])
            client.get(HOME)
            with count_queries() as queries:
                assert client.get(HOME).status_code == 200
            found[name] = len(queries)
        return found

    people = [shop.people[name] for name in COST]
    for make in (shop.approved, shop.submitted, shop.draft):
        make()
    for number, order in enumerate((shop.approved(received=False), shop.submitted())):  # no panel is empty
        WorkOrder.objects.filter(pk=order.pk).update(due_date=timezone.localdate() - timedelta(days=number + 1))
    notify(people, "order_completed", number="1")
    first = costs()
    for number in range(12):
        order = shop.submitted() if number % 2 else shop.draft()
        WorkOrder.objects.filter(pk=order.pk).update(due_date=timezone.localdate() - timedelta(days=number))
        shop.approved(received=bool(number % 3))
        notify(people, "order_completed", number=str(number))
    assert costs() == first
    assert {name: cost for name, cost in first.items() if cost > COST[name]} == {}


def test_every_card_counts_what_its_link_lists(shop: Shop) -> None:
    shop.submitted()
    shop.draft()
    hold_order(shop.approved(), by=shop.people["supervisor"], reason="wait")
    running = shop.started(shop.ready_to_print(shop.approved()), by="operator")
    shop.ready_to_print(shop.approved())
    late = timezone.localdate() - timedelta(days=2)
    Task.objects.filter(pk=running.pk).update(due_date=late)
    WorkOrder.objects.filter(pk=running.order_id).update(due_date=late)
    TaskFactory(status="pending", order=WorkOrderFactory(status=OrderStatus.APPROVED))
    for name, person in list(shop.people.items()):
        client = client_of(person)
        for card in client.get(HOME).context["cards"]:
            answer = client.get(card.url)
            assert answer.status_code == 200, (name, card)
            assert answer.context["cl"].result_count == card.count, (name, card)


def test_every_link_of_the_page_opens(shop: Shop) -> None:
    shop.submitted()
    shop.draft()
    shop.started(shop.ready_to_print(shop.approved()), by="operator")
    shop.approved(received=False)
    for name in PEOPLE:
        client = client_of(shop.people[name])
        text = client.get(HOME).content.decode()
        links = {link.replace("&amp;", "&") for link in re.findall(r'href="(/[^"]+)"', text) if not link.startswith("/static/")}
        for link in sorted(links):
            assert client.get(link, follow=True).status_code == 200, (name, link)


def test_nothing_of_another_department_shows(shop: Shop, stranger: User) -> None:
    order = shop.approved(instructions="CANARY")
    shop.started(shop.ready_to_print(order), by="operator")
    text = home(stranger)["text"]
    assert order.number not in text
    assert "Sunrise" not in text
    assert "Operator" not in text.replace("operator</", "")


def test_the_panels_are_sent_again_only_when_something_changed(shop: Shop, supervisor: User, monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    monkeypatch.setattr("django.utils.timezone.now", lambda: now)  # the stamp holds for a minute at most
    client = client_of(supervisor)
    first = client.get(PANELS)
    assert first.status_code == 200
    assert "<html" not in first.content.decode()
    seen = {"seen": first.context["stamp"]}
    with count_queries(2):
        assert client.get(PANELS, seen).status_code == 204
    shop.submitted()
    assert client.get(PANELS, seen).status_code == 200


def test_who_is_signed_out_gets_the_whole_page_again(shop: Shop) -> None:
    answer = client_of(None).get(PANELS)
    assert answer.status_code == 401
    assert answer["HX-Refresh"] == "true"


def test_without_the_office_pages_there_is_no_home(shop: Shop, maker: User) -> None:
    User.objects.filter(pk=maker.pk).update(is_staff=False)
    client = client_of(again(maker))
    assert client.get(HOME).status_code == 302
    assert client.get(PANELS).status_code == 401


def test_a_notice_is_opened_and_read_by_post(shop: Shop, maker: User, other_maker: User) -> None:
    order = shop.draft()
    notify([maker], "order_completed", url=order.get_absolute_url(), number=order.number)
    notice = Notice.objects.get(user=maker)
    address = reverse("dashboard:open_notice", args=[notice.pk])
    assert client_of(maker).get(address).status_code == 405
    assert client_of(other_maker).post(address).status_code == 404
    notice.refresh_from_db()
    assert notice.read_at is None
    answer = client_of(maker).post(address)
    assert (answer.status_code, answer["Location"]) == (302, order.get_absolute_url())
    notice.refresh_from_db()
    assert notice.read_at is not None


@pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "/nowhere/", ""])
def test_a_notice_never_leads_to_another_site(shop: Shop, maker: User, url: str) -> None:
    notice = Notice.objects.create(user=maker, kind="order_completed", params={"number": "1"}, url=url)
    assert client_of(maker).post(reverse("dashboard:open_notice", args=[notice.pk]))["Location"] == HOME


def test_a_notice_about_an_order_leads_the_floor_to_its_tasks(shop: Shop, operator: User, running_task: Task) -> None:
    order = running_task.order
    notify([operator], "order_held", url=order.get_absolute_url(), number=order.number, reason="wait")
    client = client_of(operator)
    answer = client.post(reverse("dashboard:open_notice", args=[Notice.objects.get(user=operator, kind="order_held").pk]), follow=True)
    assert answer.status_code == 200
    assert list(answer.context["cl"].result_list) == [running_task]


def test_a_notice_can_be_read_without_leaving(shop: Shop, maker: User) -> None:
    notice = Notice.objects.create(user=maker, kind="order_completed", params={"number": "1"}, url="/admin/account/")
    assert client_of(maker).post(reverse("dashboard:open_notice", args=[notice.pk]), {"stay": "1"})["Location"] == HOME


def test_all_notices_are_read_at_once(shop: Shop, maker: User, other_maker: User) -> None:
    for person in (maker, maker, other_maker):
        notify([person], "order_completed", number="1")
    client = client_of(maker)
    assert client.get(reverse("dashboard:read_notices")).status_code == 405
    assert client.post(reverse("dashboard:read_notices")).status_code == 302
    assert Notice.objects.unread().count() == 1


def test_counts_stop_at_their_limit(shop: Shop, maker: User) -> None:
    Notice.objects.bulk_create(Notice(user=maker, kind="order_completed", params={"number": "1"}) for _number in range(120))
    assert figures.badges(maker)["notices"] == 100
    assert 'title="99+"' in home(maker)["text"] or "99+" in home(maker)["text"]


def test_the_home_page_speaks_the_readers_language(shop: Shop, maker: User) -> None:
    assert Role.MAKER.label
    answer = client_of(maker).get(HOME, headers={"accept-language": "zh-hans"})
    assert 'lang="zh-hans"' in answer.content.decode()


def test_late_scans_wait_on_the_home_page_of_who_decides(shop: Shop) -> None:
    task = shop.task_in("completed")
    for quantity in (40, 50):
        sent = {"client_event_id": str(uuid4()), "code": encode(Kind.TASK, task.pk), "verb": "report", "quantity": quantity}
        assert record_scan(sent, by=again(shop.people["operator"])).result == "held"
    page = client_of(shop.people["supervisor"]).get(HOME)
    panel = next(panel for panel in page.context["main_panels"] if panel.key == "inbox")
    assert [row.labels[0][0] for row in panel.rows] == ["40 good, 0 scrap", "50 good, 0 scrap"]
    assert str(task) in panel.rows[0].title
    assert figures.badges(again(shop.people["supervisor"]))["inbox"] == 2
    listed = client_of(shop.people["supervisor"]).get(panel.more).context["cl"].result_list
    assert len(listed) == 2
    for name in ("operator", "prepress_lead", "planner", "maker"):
        context = client_of(shop.people[name]).get(HOME).context
        assert "inbox" not in [panel.key for panel in context["main_panels"]], name
