"""The floor page as people use it: a scanner that types, a network that comes and goes, hands that change."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.scanning.codes import Kind, encode
from apps.scanning.models import OperatorSession, Outcome, Scan
from apps.scanning.printing import ticket_pdf
from apps.scanning.services import devices
from apps.workorders import services as do
from apps.workorders.models import WorkEvent
from apps.workorders.states import TaskStatus
from tests.browser.floor import Floor, command, reason
from tests.scanning.conftest import handheld, register
from tests.scanning.paper import Paper
from tests.scanning.sending import code_of, paper_of

__all__ = ["handheld", "register"]
pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.django_db(transaction=True)]
expect.set_options(timeout=20_000)
PHONE = {"width": 360, "height": 740}


@pytest.fixture
def floor(chromium, live_server, handheld) -> Iterator[Floor]:
    """A paired handheld; a fault of its page fails the test."""
    context = chromium.new_context(viewport=PHONE, base_url=live_server.url, locale="en")
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    one = Floor(context, handheld)
    one.pair()
    yield one
    broken = one.broken_rules
    context.close()
    assert (faults, broken) == ([], [])


def counted(task) -> list[tuple[int, int]]:
    """(good, scrap) of the task's reports, oldest first."""
    return list(WorkEvent.objects.filter(task=task, verb="report").order_by("pk").values_list("good", "scrap"))


def verbs(task) -> list[str]:
    return list(WorkEvent.objects.filter(task=task, source="scan").order_by("pk").values_list("verb", flat=True))


def test_what_is_scanned_without_a_network_is_counted_once(floor, pending_task, operator):
    floor.badge_in(operator)
    floor.scan(code_of(pending_task))
    floor.hears(f"T{pending_task.pk}")
    floor.scan(command("start"))
    floor.hears(f"T{pending_task.pk}", "good")
    floor.scan(command("report"), "Tab")
    floor.page.locator("#good").fill("100")
    floor.page.locator("#report-send").click()
    floor.hears("100", "good")
    floor.is_kept_for_offline()

    floor.context.set_offline(True)
    floor.report(50)
    floor.hears("Kept. It is sent when Docket answers.", "wait")
    floor.report(30, 5, "colour")
    floor.shows_waiting(2)
    floor.scan(command("pause"))
    floor.shows_waiting(3)
    floor.page.reload()
    floor.shows_waiting(3)
    floor.sees("180")
    assert Scan.objects.count() == 2

    floor.context.set_offline(False)
    floor.shows_waiting(0)
    pending_task.refresh_from_db()
    assert (pending_task.status, pending_task.good, pending_task.scrap) == (TaskStatus.PAUSED, 180, 5)
    assert counted(pending_task) == [(100, 0), (50, 0), (30, 5)]
    assert verbs(pending_task) == ["claim", "start", "report", "report", "report", "pause"]
    assert set(WorkEvent.objects.filter(task=pending_task, source="scan").values_list("device", flat=True)) == {"Press 1"}
    assert list(Scan.objects.values_list("outcome", flat=True)) == [Outcome.APPLIED] * 5


def test_an_answer_that_is_lost_on_the_way_counts_nothing_twice(floor, running_task, operator):
    floor.badge_in(operator)
    floor.scan(code_of(running_task))
    floor.hears("is running")
    sent = []

    def cut_after_commit(route):
        sent.append(route.request.post_data_json["items"][0]["client_event_id"])
        if len(sent) < 3:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    floor.lets_through(cut_after_commit)
    floor.report(40)
    floor.shows_waiting(1)
    floor.shows_waiting(0)
    assert len(set(sent)) == 1
    assert len(sent) >= 3
    assert counted(running_task) == [(40, 0)]
    assert Scan.objects.count() == 1


def test_the_printed_ticket_does_everything(floor, live_server, shop, operator, supervisor):
    """Its codes as zbar reads them from the page: both the bars and the QR codes."""
    task = shop.ready_to_print(shop.approved())
    with_address = Paper(ticket_pdf([task.order], by=supervisor, host=live_server.url)).codes()
    bars, squares = with_address["CODE-128"], with_address["QR-Code"]
    ours = paper_of(task, task.order.revision)
    assert command("start") in bars | {one.rsplit("/", 1)[-1] for one in squares}
    printed = {one.rsplit("/", 1)[-1]: one for one in bars | squares}
    floor.badge_in(operator)
    floor.scan(printed[ours])
    floor.hears(f"T{task.pk}")
    floor.scan(printed[command("start")])
    floor.hears(f"T{task.pk}", "good")
    floor.scan(printed[command("complete")])
    floor.hears(f"Complete T{task.pk}: how many more?")
    floor.page.get_by_role("button", name="All 1,000").click()
    floor.page.locator("#report-send").click()
    floor.hears(f"T{task.pk} is completed with 1000 of 1000.", "good")
    task.refresh_from_db()
    assert (task.status, task.good) == (TaskStatus.COMPLETED, 1000)


def test_an_old_ticket_warns_and_says_what_changed(floor, shop, operator, supervisor):
    task = shop.ready_to_print(shop.approved())
    old = paper_of(task, task.order.revision)
    type(task.order).objects.filter(pk=task.order_id).update(revision=task.order.revision + 1)
    floor.badge_in(operator)
    floor.scan(old)
    floor.hears(f"T{task.pk}: read this first", "warn")
    floor.hears("This ticket is of revision")


def test_completing_below_the_plan_asks_why_and_invents_nothing(floor, running_task, operator):
    floor.badge_in(operator)
    floor.scan(code_of(running_task))
    floor.hears("is running")
    floor.scan(command("complete"))
    floor.hears("how many more?")
    floor.page.locator("#good").fill("10")
    floor.page.locator("#report-send").click()
    floor.hears("It ends short of the plan.", "bad")
    floor.scan(reason("material"))
    floor.hears("Reason: faulty material", "good")
    floor.page.locator("#report-send").click()
    floor.hears("T", "good")
    floor.sees("completed")
    running_task.refresh_from_db()
    assert (running_task.status, running_task.good) == (TaskStatus.COMPLETED, 10)


def test_the_press_counter_gives_the_pieces(floor, running_task, operator):
    floor.badge_in(operator)
    floor.scan(code_of(running_task))
    floor.hears("is running")
    floor.page.locator("#do-report").click()
    floor.page.locator("#counter-mode").click()
    floor.page.locator("#start").fill("120000")
    floor.page.locator("#end").fill("119000")
    floor.page.locator("#report-send").click()
    floor.hears("below the start", "bad")
    floor.page.locator("#end").fill("120250")
    floor.page.locator("#scrap").fill("20")
    floor.page.locator("#reason-setup").click()
    floor.page.locator("#report-send").click()
    floor.hears("230", "good")
    assert counted(running_task) == [(230, 20)]


def test_another_persons_session_never_sends_what_waits(floor, running_task, operator, second_operator):
    floor.badge_in(operator)
    floor.scan(code_of(running_task))
    floor.hears("is running")
    floor.lets_through(lambda route: route.abort())
    for good in (11, 12, 13):
        floor.report(good)
    floor.shows_waiting(3)
    floor.scan(encode(Kind.BADGE, floor.handheld.badge_of(second_operator).pk))
    expect(floor.page.locator("dialog")).to_contain_text("It is sent when Operator signs in again, never in another name.")
    floor.page.locator("#choose-switch").click()
    floor.type_pin()
    floor.hears("Hello Second Operator.")
    floor.context.unroute("**/api/scans/batch/")
    floor.sees("Scans of Operator wait for Operator: 3")
    floor.page.reload()
    floor.shows_waiting(0)
    floor.sees("Scans of Operator wait for Operator: 3")
    assert Scan.objects.count() == 0

    floor.scan(encode(Kind.BADGE, floor.handheld.badge_of(operator).pk))
    floor.page.locator("#choose-switch").click()
    floor.type_pin()
    floor.hears("Hello Operator.")
    expect(floor.page.locator("#notes")).to_be_empty()
    floor.shows_waiting(0)
    assert counted(running_task) == [(11, 0), (12, 0), (13, 0)]
    assert set(Scan.objects.values_list("user", "session__user")) == {(operator.pk, operator.pk)}


def test_signing_out_warns_while_something_waits(floor, running_task, operator):
    floor.badge_in(operator)
    floor.scan(code_of(running_task))
    floor.hears("is running")
    floor.lets_through(lambda route: route.abort())
    floor.report(5)
    floor.shows_waiting(1)
    floor.page.locator("#tab-settings").click()
    floor.page.locator("#sign-out").click()
    expect(floor.page.locator("dialog")).to_contain_text("Not sent yet: 1")
    floor.page.locator("#choose-leave").click()
    floor.hears("Operator is signed out.")
    assert OperatorSession.objects.get().ended_at is not None
    assert Scan.objects.count() == 0


def test_a_session_that_has_ended_asks_for_the_badge_and_keeps_what_waits(floor, running_task, operator):
    floor.badge_in(operator)
    floor.scan(code_of(running_task))
    floor.hears("is running")
    OperatorSession.objects.update(ended_at=timezone.now())
    floor.report(7)
    floor.hears("Operator, scan your badge again")
    floor.shows_waiting(1)
    floor.scan(encode(Kind.BADGE, floor.handheld.badge_of(operator).pk))
    floor.type_pin()
    floor.hears("Hello Operator.")
    floor.shows_waiting(0)
    assert counted(running_task) == [(7, 0)]


def test_a_handheld_that_was_put_down_is_nobodys_also_without_a_network(floor, running_task, operator, second_operator):
    """The same badge goes on collecting, another one does not; nothing is sent before the PIN is entered."""
    floor.badge_in(operator)
    floor.scan(code_of(running_task))
    floor.hears("is running")
    floor.is_kept_for_offline()
    floor.context.set_offline(True)
    floor.page.evaluate("""async () => {
        const database = await new Promise((done) => (indexedDB.open("docket-floor").onsuccess = (event) => done(event.target.result)));
        const meta = database.transaction("meta", "readwrite").objectStore("meta");
        meta.get("session").onsuccess = (event) => meta.put({...event.target.result, active_at: Date.now() - 16 * 60_000}, "session");
    }""")
    floor.page.reload()
    floor.hears("Operator, scan your badge again")
    floor.scan(encode(Kind.BADGE, floor.handheld.badge_of(second_operator).pk))
    floor.type_pin()
    floor.hears("nobody can sign in", "bad")
    floor.scan(encode(Kind.BADGE, floor.handheld.badge_of(operator).pk))
    floor.type_pin("0000")
    floor.hears("Operator, you can go on without the network.", "warn")
    floor.scan(code_of(running_task))
    floor.hears("is running")
    floor.report(3)
    floor.shows_waiting(1)
    floor.context.set_offline(False)
    floor.page.reload()
    floor.sees("With the network on, enter your PIN")
    assert Scan.objects.count() == 0
    floor.page.locator("#pin-owed").click()
    floor.type_pin("0000")
    floor.hears("wrong", "bad")
    assert Scan.objects.count() == 0
    floor.type_pin()
    floor.hears("Hello Operator.")
    floor.shows_waiting(0)
    assert counted(running_task) == [(3, 0)]


def test_a_revoked_handheld_says_so_and_is_nobodys(floor, running_task, operator, administrator):
    floor.badge_in(operator)
    devices.revoke_device(floor.handheld.device, by=administrator, reason="Lost.")
    floor.page.reload()
    floor.hears("Who works here?")


def test_a_refusal_is_red_and_stops_its_lane_until_it_is_understood(floor, shop, operator, second_operator):
    task = shop.started(shop.ready_to_print(shop.approved()), by="operator")
    floor.badge_in(operator)
    floor.scan(code_of(task))
    floor.hears("is running")
    floor.lets_through(lambda route: route.abort())
    floor.scan(command("pause"))
    floor.hears("Kept.", "wait")
    do.pause_task(task, by=operator)
    floor.scan(command("resume"))
    floor.shows_waiting(2)
    floor.context.unroute("**/api/scans/batch/")
    floor.page.locator("#tab-last").click()
    floor.page.get_by_role("button", name="Send now").click()
    floor.hears("They wait behind one that was refused: read it and press Understood.", "warn")
    floor.sees("Refused: Pause")
    floor.sees("Waiting behind it: 1")
    task.refresh_from_db()
    assert task.status == TaskStatus.PAUSED
    floor.page.get_by_role("button", name="Understood").click()
    floor.shows_waiting(0)
    task.refresh_from_db()
    assert task.status == TaskStatus.IN_PROGRESS


def test_nothing_older_than_a_shift_is_sent_unasked(floor, running_task, operator):
    floor.badge_in(operator)
    floor.scan(code_of(running_task))
    floor.hears("is running")
    floor.lets_through(lambda route: route.abort())
    floor.report(9)
    floor.shows_waiting(1)
    floor.page.evaluate("""async () => {
        const database = await new Promise((done) => (indexedDB.open("docket-floor").onsuccess = (event) => done(event.target.result)));
        const change = database.transaction("items", "readwrite");
        const items = change.objectStore("items");
        items.getAll().onsuccess = (event) => event.target.result.forEach(
            (item) => items.put({...item, captured_at: new Date(Date.now() - 13 * 3_600_000).toISOString()}));
        await new Promise((done) => (change.oncomplete = done));
    }""")
    address = floor.page.url
    floor.page.goto("about:blank")  # whatever was still being tried as a fresh one ends here
    floor.context.unroute("**/api/scans/batch/")
    floor.page.goto(address)
    floor.sees("From another shift: 1")
    assert Scan.objects.count() == 0
    floor.page.get_by_role("button", name="Send them").click()
    floor.shows_waiting(0)
    assert counted(running_task) == [(9, 0)]


def test_a_scanner_leaves_no_trace_in_a_field_and_comes_once(floor, running_task, operator):
    floor.badge_in(operator)
    floor.scan(code_of(running_task))
    floor.hears("is running")
    floor.page.locator("#do-report").click()
    floor.page.locator("#good").fill("25")
    for _twice in range(2):
        floor.scan(reason("glue"))
    floor.hears("Reason: glue fault")
    expect(floor.page.locator("#good")).to_have_value("25")
    expect(floor.page.locator("#reason-glue")).to_have_attribute("aria-pressed", "true")
    floor.page.locator("#good").focus()
    floor.scan(reason("cut"), suffix="")
    floor.hears("Reason: cut fault")
    expect(floor.page.locator("#good")).to_have_value("25")
    floor.page.keyboard.press("7")
    expect(floor.page.locator("#good")).to_have_value("257")


def test_a_misread_a_foreign_code_and_an_unknown_one_are_told_at_once(floor, running_task, operator, shop):
    floor.badge_in(operator)
    right = code_of(running_task)
    floor.scan(right[:-1] + ("A" if right[-1] != "A" else "B"))
    floor.hears("was not read right", "bad")
    floor.scan("T598")
    floor.hears("T598 is the task's number", "bad")
    floor.scan("https://docket.example.com/s/" + right)
    floor.hears("This code belongs to docket.example.com", "bad")
    floor.scan(encode(Kind.TASK, 99_999))
    floor.hears("Nobody knows this code here", "bad")
    hidden = shop.task(shop.approved(), "CUT")
    floor.scan(code_of(hidden))
    floor.hears("Nobody knows this code here", "bad")


def test_two_tabs_of_one_handheld_send_once(floor, running_task, operator):
    floor.badge_in(operator)
    floor.scan(code_of(running_task))
    floor.hears("is running")
    sent = []
    other = floor.new_tab()
    other.goto("/floor/")
    floor.context.set_offline(True)
    floor.report(21)
    floor.hears("Kept.")
    expect(other.locator("#waiting")).to_contain_text("1 waiting")
    floor.lets_through(lambda route: (sent.append(route.request.post_data_json["items"]), route.continue_()))
    floor.context.set_offline(False)  # both tabs hear of it at the same moment
    floor.shows_waiting(0)
    expect(other.locator("#waiting")).to_contain_text("All sent")
    assert [len(items) for items in sent] == [1]
    assert counted(running_task) == [(21, 0)]


def test_ones_own_phone_signs_in_by_password_and_undoes(chromium, live_server, handheld, running_task, operator):
    context = chromium.new_context(viewport=PHONE, base_url=live_server.url, locale="en")
    floor = Floor(context, handheld)
    floor.open(f"#code={code_of(running_task)}")
    floor.hears("Sign in first.", "warn")
    floor.page.locator("#username").fill("operator")
    floor.page.locator("#password").fill("testpass123")
    floor.page.keyboard.press("Enter")
    floor.hears("is running")
    floor.report(60)
    floor.hears("60", "good")
    floor.page.locator("#do-undo").click()
    floor.page.locator("#choose-yes").click()
    expect(floor.page.locator(".figure.is-good dd")).to_have_text("0")
    running_task.refresh_from_db()
    assert running_task.good == 0
    assert verbs(running_task) == ["report", "undo"]
    context.close()


def opened(floor, task) -> None:
    """The task is on the screen, by its code."""
    floor.scan(code_of(task))
    floor.hears("is running")
    expect(floor.page.locator("#do-report")).to_be_visible()


def refuses(floor, verb: str) -> None:
    """A scanned command finds no task."""
    floor.scan(command(verb))
    floor.hears("Scan a task first.", "warn")


def test_a_command_acts_on_nothing_but_the_task_on_the_screen(floor, running_task, operator, shop):
    """Whatever was scanned after the task, or left it: the command must not act on the one that was open before."""
    floor.badge_in(operator)
    opened(floor, running_task)
    floor.scan(code_of(running_task.order))  # and the command at once, before the server has said what the order is
    refuses(floor, "pause")
    expect(floor.page.locator(".screen-pick")).to_be_visible()
    refuses(floor, "complete")
    right, hidden = code_of(running_task), shop.task(shop.approved(), "CUT")
    misread = right[:-1] + ("A" if right[-1] != "A" else "B")
    for wrong in (misread, "PO-4711", "https://docket.example.com/s/" + right, encode(Kind.TASK, 99_999), code_of(hidden)):
        opened(floor, running_task)
        floor.scan(wrong)
        floor.hears("", "bad")
        refuses(floor, "pause")
    opened(floor, running_task)
    floor.page.locator("#back").click()
    refuses(floor, "undo")
    opened(floor, running_task)
    floor.page.locator("#tab-settings").click()
    refuses(floor, "release")
    floor.scan(reason("glue"))
    floor.hears("glue fault: no task is open", "warn")
    running_task.refresh_from_db()
    assert (running_task.status, verbs(running_task)) == (TaskStatus.IN_PROGRESS, [])
    assert Scan.objects.count() == 0


def test_a_failed_scan_keeps_what_is_typed_but_no_command_counts_it(floor, running_task, operator):
    floor.badge_in(operator)
    opened(floor, running_task)
    floor.page.locator("#do-report").click()
    floor.page.locator("#good").fill("40")
    floor.scan(encode(Kind.TASK, 99_999))
    floor.hears("Nobody knows this code here", "bad")
    refuses(floor, "complete")
    expect(floor.page.locator("#good")).to_have_value("40")
    floor.page.locator("#report-send").click()
    floor.hears("40", "good")
    floor.scan(command("pause"))
    floor.hears("is paused", "good")
    assert counted(running_task) == [(40, 0)]


def test_what_the_supervisor_decides_is_told_until_it_is_read(floor, running_task, operator, shop):
    floor.badge_in(operator)
    opened(floor, running_task)
    floor.lets_through(lambda route: route.abort())
    floor.report(20)
    floor.shows_waiting(1)
    do.complete_task(running_task, by=shop.people["supervisor"], good=1000)
    floor.page.locator("#tab-last").click()
    floor.hears("Waiting to be sent: 1", "calm")
    floor.page.clock.install()
    floor.context.unroute("**/api/scans/batch/")
    floor.hears("your supervisor decides", "warn")
    floor.shows_waiting(0)
    floor.page.clock.fast_forward(60_000)
    floor.hears("your supervisor decides", "warn")
    floor.page.locator("#voice").click()
    expect(floor.page.locator("#voice.is-calm")).to_be_visible()
    floor.sees("with the supervisor")


def test_a_number_that_cannot_be_is_refused_in_the_form_and_stays_typed(floor, running_task, operator):
    floor.badge_in(operator)
    opened(floor, running_task)
    floor.page.locator("#do-report").click()
    good, send = floor.page.locator("#good"), floor.page.locator("#report-send")
    for number, words in (("999999999", "More than 100,000,000 cannot be counted"), ("1501", "1,501 good is far over the 1,000 planned")):
        good.fill(number)
        send.click()
        floor.hears(words, "bad")
        expect(good).to_have_value(number)
    good.fill("1051")
    send.click()
    expect(floor.page.locator("dialog")).to_contain_text("1,051 good of 1,000 planned: is that right?")
    floor.scan(reason("glue"))  # a scan closes the question, and the form goes on
    expect(floor.page.locator("dialog")).to_have_count(0)
    expect(good).to_have_value("1051")
    assert Scan.objects.count() == 0
    send.click()
    floor.page.locator("#choose-yes").click()
    floor.hears("1051 good and 0 scrap counted", "warn")
    assert counted(running_task) == [(1051, 0)]


def test_a_blocked_task_says_why_and_does_not_offer_to_start(floor, shop, operator):
    task = shop.task(shop.approved(), "PRT")
    floor.badge_in(operator)
    floor.scan(code_of(task))
    floor.hears("read this first", "warn")
    expect(floor.page.locator("#blocked")).to_contain_text("It cannot start yet.")
    expect(floor.page.locator(".warning")).to_have_count(1)
    assert "is-primary" not in floor.page.locator("#do-start").get_attribute("class")
    assert "is-primary" in floor.page.locator("#do-claim").get_attribute("class")


def test_only_ones_own_last_entry_is_offered_to_be_taken_back(floor, shop, running_task, operator):
    floor.badge_in(operator)
    opened(floor, running_task)
    expect(floor.page.locator("#do-undo")).to_be_visible()
    do.report(running_task, by=shop.people["supervisor"], good=10)
    floor.page.locator("#back").click()
    floor.page.get_by_role("button", name="Refresh").click()
    floor.page.locator(f"#task-{running_task.pk}").click()
    expect(floor.page.locator(".figure.is-good dd")).to_have_text("10")
    expect(floor.page.locator("#do-undo")).to_have_count(0)
    floor.report(5)
    floor.hears("5 good and 0 scrap counted", "good")
    expect(floor.page.locator("#do-undo")).to_be_visible()
    floor.page.clock.set_fixed_time(timezone.now() + timedelta(minutes=20))
    floor.page.locator("#tab-home").click()
    floor.page.locator(f"#task-{running_task.pk}").click()
    expect(floor.page.locator("#do-pause")).to_be_visible()
    expect(floor.page.locator("#do-undo")).to_have_count(0)


def test_back_and_forward_go_through_the_page(floor, running_task, operator):
    floor.badge_in(operator)
    opened(floor, running_task)
    floor.page.locator("#do-report").click()
    expect(floor.page.locator("#good")).to_be_visible()
    floor.page.go_back()
    expect(floor.page.locator("#do-report")).to_be_visible()
    floor.page.go_back()
    expect(floor.page.locator(".screen-home")).to_be_visible()
    refuses(floor, "undo")
    floor.page.go_forward()
    expect(floor.page.locator("#do-report")).to_be_visible()
    floor.scan(command("pause"))
    floor.hears("is paused", "good")


def test_all_that_may_be_done_stands_above_the_bar(floor, running_task, operator):
    floor.badge_in(operator)
    opened(floor, running_task)
    floor.page.wait_for_function("""() => {
        const bar = document.getElementById("foot").getBoundingClientRect().top;
        const buttons = [...document.querySelectorAll("#do-report, #do-pause, #do-complete, #do-undo")];
        return buttons.length === 4 && buttons.every((one) => one.getBoundingClientRect().bottom <= bar);
    }""")


def test_signing_out_in_one_tab_is_said_in_the_other(floor, running_task, operator):
    floor.badge_in(operator)
    other = floor.new_tab()
    other.goto("/floor/")
    other.locator("#tab-settings").click()
    other.locator("#sign-out").click()
    floor.hears("Operator is signed out.", "warn")
    floor.hears("It was done in another tab of this page.")
    expect(floor.page.locator(".screen-badge")).to_be_visible()
