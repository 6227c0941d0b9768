"""The supervisor's inbox: late scans are applied, corrected or dismissed, each once, each with a reason; and scans by hand."""

import uuid
from datetime import timedelta

import pytest
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from apps.core.errors import InvalidInput, RuleError
from apps.scanning.models import Scan
from apps.scanning.services import inbox, scans
from apps.workorders import services as do
from apps.workorders.models import WorkEvent, WorkOrder
from tests.personas import again, client_of
from tests.queries import count_queries
from tests.scanning.sending import broken, counted, item

LIST, ADD = reverse("admin:scanning_scan_changelist"), reverse("admin:scanning_scan_add")


def page(scan):
    return reverse("admin:scanning_scan_change", args=[scan.pk])


def text_of(answer):
    """What one reads on a page."""
    assert answer.status_code == 200
    return " ".join(strip_tags(answer.content.decode()).split())


def press(client, scan, verb, **values):
    return client.post(reverse(f"admin:scanning_scan_verb_{verb}", args=[scan.pk]), {"once": uuid.uuid4()} | values)


def held(task, by, verb="report", **values):
    """A late scan of `by` on a closed task."""
    result = scans.record_scan(item(task, verb, **{"quantity": 40} | values), by=again(by))
    assert result.outcome == "held", result
    return Scan.objects.get(pk=result.scan_id)


@pytest.fixture
def late(shop, operator):
    """40 more pieces for a printing task that was completed with 1,000; its order runs."""
    return held(shop.task_in("completed"), operator)


class TestServices:
    def test_applied_to_a_completed_task_it_is_opened_counted_and_completed_again(self, late, supervisor, operator):
        before = late.task.events.order_by("-pk").first().pk
        scan = inbox.apply_scan(late, by=again(supervisor), reason="He told me.")
        assert counted(late.task) == (1040, 0)
        assert late.task.status == "completed"
        told = late.task.events.filter(pk__gt=before).order_by("pk")
        assert [(e.verb, e.good, e.source, e.scan_id, e.actor) for e in told] == [
            ("undo", -1000, "command", None, supervisor),
            ("report", 40, "scan", scan.pk, supervisor),
            ("complete", 1000, "command", None, supervisor),
        ]
        assert "Operator" in told[1].note
        assert (scan.decision, scan.decided_by, scan.decision_reason) == ("applied", supervisor, "He told me.")
        assert broken() == []

    def test_applied_to_a_completed_order_it_is_reopened_and_completed_again(self, shop, operator, supervisor):
        order = shop.finish_all(shop.approved())
        scan = held(shop.task(order, "PRT"), operator)
        inbox.apply_scan(scan, by=again(supervisor), reason="He told me.")
        assert counted(scan.task) == (1040, 0)
        assert WorkOrder.objects.get(pk=order.pk).status == "completed"
        assert list(order.events.filter(task=None, step=None).order_by("-pk").values_list("verb", flat=True)[:2]) == ["complete", "reopen"]
        assert broken() == []

    @pytest.mark.parametrize("what", ["task", "order"])
    def test_on_a_cancelled_one_nothing_is_counted(self, running_task, operator, supervisor, salesperson, what):
        if what == "task":
            do.cancel_task(running_task, by=again(supervisor), reason="Not needed.")
        else:
            do.cancel_order(running_task.order, by=again(salesperson), reason="Gone.")
        scan = held(running_task, operator)
        for decide in (inbox.apply_scan, lambda scan, **kw: inbox.correct_scan(scan, good=1, scrap=0, **kw)):
            with pytest.raises(RuleError) as refusal:
                decide(scan, by=again(supervisor), reason="So?")
            assert refusal.value.code == "task_cancelled"
        assert inbox.dismiss_scan(scan, by=again(supervisor), reason="Counted elsewhere.").decision == "dismissed"
        assert counted(running_task) == (0, 0)
        assert broken() == []

    def test_when_the_task_runs_again_it_is_a_plain_report(self, late, operator, supervisor):
        do.undo_last(late.task, by=again(operator))
        inbox.apply_scan(late, by=again(supervisor), reason="He told me.")
        assert counted(late.task) == (40, 0)
        assert late.task.status == "in_progress"
        assert broken() == []

    def test_a_late_completion_completes_the_task_that_runs_again(self, shop, operator, supervisor):
        scan = held(shop.task_in("completed"), operator, "complete", quantity=900)
        do.undo_last(scan.task, by=again(operator))
        inbox.apply_scan(scan, by=again(supervisor), reason="He told me.")
        assert counted(scan.task) == (900, 0)
        assert scan.task.status == "completed"

    def test_on_a_paused_task_of_somebody_else_it_is_counted_and_paused_again(self, running_task, operator, second_operator, supervisor):
        do.assign_task(running_task, by=again(supervisor), operator=second_operator)
        scan = held(running_task, operator)
        inbox.apply_scan(scan, by=again(supervisor), reason="He made them before.")
        assert counted(running_task) == (40, 0)
        assert (running_task.status, running_task.operator) == ("paused", second_operator)
        assert broken() == []

    def test_corrected_it_counts_other_numbers_and_keeps_what_was_scanned(self, late, supervisor):
        scan = inbox.correct_scan(late, by=again(supervisor), good=25, scrap=5, reason="I counted them.")
        assert counted(late.task) == (1025, 5)
        assert (scan.decision, scan.quantity, scan.raw["quantity"]) == ("corrected", 40, 40)
        assert broken() == []
        with pytest.raises(InvalidInput):
            inbox.correct_scan(late, by=again(supervisor), good=0, scrap=0, reason="Nothing.")

    def test_dismissed_it_counts_nothing_and_stays(self, late, supervisor):
        inbox.dismiss_scan(late, by=again(supervisor), reason="Counted already.")
        assert counted(late.task) == (1000, 0)
        assert not Scan.objects.in_inbox().exists()
        assert broken() == []

    def test_each_is_decided_once(self, late, supervisor):
        inbox.apply_scan(late, by=again(supervisor), reason="He told me.")
        for decide in (inbox.apply_scan, inbox.dismiss_scan):
            with pytest.raises(RuleError) as refusal:
                decide(late, by=again(supervisor), reason="Again.")
            assert refusal.value.code == "already_decided"
        assert counted(late.task) == (1040, 0)

    def test_a_reason_is_needed_and_only_late_scans_are_decided(self, late, running_task, operator, supervisor):
        with pytest.raises(RuleError) as refusal:
            inbox.dismiss_scan(late, by=again(supervisor), reason=" ")
        assert refusal.value.code == "reason_needed"
        result = scans.record_scan(item(running_task, "report", quantity=1), by=again(operator))
        with pytest.raises(RuleError) as refusal:
            inbox.apply_scan(Scan.objects.get(pk=result.scan_id), by=again(supervisor), reason="Why not.")
        assert refusal.value.code == "not_held"

    def test_what_counts_nothing_can_only_be_dismissed(self, shop, operator, supervisor):
        ago = (timezone.now() - timedelta(minutes=30)).isoformat()
        sent = {"quantity": None, "captured_at": ago, "device_time": timezone.now().isoformat()}
        scan = held(shop.task_in("completed"), operator, "pause", **sent)
        with pytest.raises(RuleError) as refusal:
            inbox.apply_scan(scan, by=again(supervisor), reason="So?")
        assert refusal.value.code == "nothing_to_apply"
        inbox.dismiss_scan(scan, by=again(supervisor), reason="It was over.")
        assert broken() == []

    @pytest.mark.parametrize("who", ["operator", "prepress_lead", "planner", "auditor", "maker", "administrator", "stranger"])
    def test_only_who_leads_the_department_decides(self, shop, late, who):
        for decide in (inbox.apply_scan, inbox.dismiss_scan):
            with pytest.raises(PermissionDenied):
                decide(late, by=again(shop.people[who]), reason="I say so.")
        late.refresh_from_db()
        assert late.decision == ""

    def test_refused_halfway_nothing_of_it_stays(self, late, supervisor):
        """Over the cap without a reason in the report itself cannot be; a task that a trigger of the ledger refuses can."""
        events = WorkEvent.objects.count()
        with pytest.raises(InvalidInput):
            inbox.correct_scan(late, by=again(supervisor), good=-5, scrap=0, reason="Less.")
        assert (WorkEvent.objects.count(), counted(late.task)) == (events, (1000, 0))
        late.task.refresh_from_db()
        assert late.task.status == "completed"


class TestByHand:
    def enter(self, task, by, person, verb="report", **values):
        return inbox.enter_scan(task, by=again(by), person=person, verb=verb, **{"good": 30, "reason": "The handheld was broken."} | values)

    def test_it_leaves_the_trace_of_a_scan(self, running_task, supervisor, operator):
        happened = timezone.now() - timedelta(hours=2)
        scan = self.enter(running_task, supervisor, operator, happened_at=happened)
        assert (scan.source, scan.user, scan.entered_by, scan.outcome, scan.happened_at) == (
            "hand", operator, supervisor, "applied", happened,
        )  # fmt: skip
        event = running_task.events.get(verb="report")
        assert (event.source, event.scan_id, event.actor, event.good) == ("hand", scan.pk, supervisor, 30)
        assert "Operator" in event.note
        assert counted(running_task) == (30, 0)
        assert broken() == []

    def test_on_a_completed_task_it_is_opened_for_it(self, shop, supervisor, operator):
        task = shop.task_in("completed")
        self.enter(task, supervisor, operator)
        assert counted(task) == (1030, 0)
        assert broken() == []

    def test_a_start_gives_the_task_to_the_person(self, pending_task, supervisor, operator):
        self.enter(pending_task, supervisor, operator, "start", good=0)
        pending_task.refresh_from_db()
        assert (pending_task.status, pending_task.operator) == ("in_progress", operator)
        self.enter(pending_task, supervisor, operator, "pause", good=0)
        self.enter(pending_task, supervisor, operator, "resume", good=0)
        self.enter(pending_task, supervisor, operator, "complete", good=1000)
        assert counted(pending_task) == (1000, 0)
        assert broken() == []

    @pytest.mark.parametrize(
        ("verb", "values", "code"),
        [
            ("undo", {}, "bad_verb"),
            ("pause", {"good": 5}, "verb_needed"),
            ("report", {"happened_at": timezone.now() + timedelta(days=1)}, "in_future"),
            ("report", {"reason": " "}, "reason_needed"),
            ("report", {"good": 0}, "nothing"),
        ],
    )
    def test_what_cannot_be_is_refused_and_nothing_stays(self, running_task, supervisor, operator, verb, values, code):
        with pytest.raises(RuleError) as refusal:
            self.enter(running_task, supervisor, operator, verb, **values)
        assert refusal.value.code == code
        assert not Scan.objects.exists()

    def test_only_for_ones_own_people_and_tasks(self, running_task, shop, supervisor, prepress_lead, operator, maker):
        with pytest.raises(InvalidInput):
            self.enter(running_task, supervisor, maker)
        for who in (prepress_lead, operator, shop.people["planner"]):
            with pytest.raises(PermissionDenied):
                self.enter(running_task, who, operator)


class TestPages:
    @pytest.mark.parametrize(
        ("verb", "good", "decision"), [("apply", 1040, "applied"), ("correct", 1007, "corrected"), ("dismiss", 1000, "dismissed")]
    )
    def test_a_button_asks_why_and_does_it_once(self, late, supervisor, verb, good, decision):
        client = client_of(supervisor)
        assert client.get(reverse(f"admin:scanning_scan_verb_{verb}", args=[late.pk])).status_code == 200
        numbers = {"good": 7, "scrap": 0} if verb == "correct" else {}
        assert press(client, late, verb, **numbers).status_code == 400
        assert press(client, late, verb, reason="He told me.", **numbers).status_code == 302
        late.refresh_from_db()
        assert (late.decision, counted(late.task)) == (decision, (good, 0))
        assert client.get(reverse(f"admin:scanning_scan_verb_{verb}", args=[late.pk])).status_code == 403
        shown = client.get(page(late)).content.decode()
        assert "He told me." in shown

    def test_the_page_says_what_a_decision_needs(self, late, supervisor):
        client = client_of(supervisor)
        shown = text_of(client.get(page(late)))
        assert "The task now" in shown
        assert "1,040 good of 1,000 planned" in shown
        assert "held for the supervisor" in shown
        inbox.apply_scan(late, by=again(supervisor), reason="He told me.")
        shown = text_of(client.get(page(late)))
        assert f"applied, by {supervisor}" in shown
        assert "held for the supervisor" not in shown
        assert "1,040 good of" not in shown

    def test_in_chinese_the_button_counts_and_does_not_import(self, late, supervisor):
        shown = text_of(client_of(supervisor).get(page(late), headers={"accept-language": "zh-hans"}))
        assert "计入" in shown
        assert "确认导入" not in shown

    @pytest.mark.parametrize(
        ("behind", "off", "words"),
        [
            (timedelta(seconds=5), False, "right"),
            (timedelta(minutes=10), True, "10\N{NO-BREAK SPACE}minutes slow"),
            (timedelta(hours=-3), True, "3\N{NO-BREAK SPACE}hours fast"),
            (timedelta(), True, "not believed: the time of arrival counts"),
            (None, False, "not told by the handheld"),
        ],
    )
    def test_the_clock_is_told_in_words(self, late, behind, off, words):
        late.sent_at, late.is_clock_off = None if behind is None else late.received_at - behind, off
        assert admin.site.get_model_admin(Scan).clock(late) == words

    def test_a_scan_of_a_task_out_of_sight_shows_none_of_its_numbers(self, shop, late):
        Scan.objects.filter(pk=late.pk).update(user=shop.people["prepress_lead"])
        shown = text_of(client_of(shop.people["prepress_lead"]).get(page(late)))
        assert "The task now" not in shown
        assert "1,000" not in shown

    def test_the_inbox_lists_what_waits(self, late, running_task, operator, supervisor):
        scans.record_scan(item(running_task, "report", quantity=1), by=again(operator))
        client = client_of(supervisor)
        assert len(client.get(LIST).context["cl"].result_list) == 2
        waiting = client.get(LIST + "?inbox=yes").context["cl"].result_list
        assert [scan.pk for scan in waiting] == [late.pk]
        found = client.get(LIST, {"q": late.order.number}).context["cl"].result_list
        assert late.pk in [scan.pk for scan in found]

    def test_the_list_costs_the_same_for_2_and_20_rows(self, running_task, operator, supervisor):
        client, costs = client_of(supervisor), []
        for size in (2, 18):
            for _one in range(size):
                scans.record_scan(item(running_task, "report", quantity=1), by=again(operator))
            with count_queries() as queries:
                assert client.get(LIST).status_code == 200
            costs.append(len(queries))
        assert costs[0] == costs[1]

    @pytest.mark.parametrize(
        ("who", "status"), [("operator", 403), ("maker", 403), ("auditor", 200), ("planner", 200), ("prepress_lead", 200)]
    )
    def test_who_opens_the_list_and_what_he_sees(self, shop, late, who, status):
        answer = client_of(shop.people[who]).get(LIST)
        assert answer.status_code == status
        if status == 200:
            seen = late.order.number in answer.content.decode()
            assert seen == (who != "prepress_lead")
            assert client_of(shop.people[who]).get(page(late)).status_code == (404 if who == "prepress_lead" else 200)

    def test_nobody_edits_or_deletes_a_scan(self, late, superuser):
        client = client_of(superuser)
        assert client.post(page(late), {"quantity": 9}).status_code == 403
        assert client.post(reverse("admin:scanning_scan_delete", args=[late.pk]), {"post": "yes"}).status_code == 403

    def test_a_scan_is_entered_by_hand_once(self, running_task, supervisor, operator):
        client, once = client_of(supervisor), uuid.uuid4()
        form = client.get(ADD)
        assert form.status_code == 200
        now = timezone.localtime()
        values = {
            "task": running_task.pk, "user": operator.pk, "verb": "report", "quantity": 30, "scrap": 0, "once": once,
            "happened_at_0": now.strftime("%Y-%m-%d"), "happened_at_1": "00:00:00", "reason": "The handheld was broken.",
        }  # fmt: skip
        for _click in range(2):
            answer = client.post(ADD, values)
            assert answer.status_code == 302, answer.context["adminform"].form.errors
        scan = Scan.objects.get()
        assert (scan.source, scan.entered_by, scan.quantity) == ("hand", supervisor, 30)
        assert counted(running_task) == (30, 0)
        assert client.get(page(scan)).status_code == 200

    def test_a_refused_entry_keeps_what_was_typed(self, running_task, supervisor, operator):
        values = {
            "task": running_task.pk, "user": operator.pk, "verb": "pause", "quantity": 30, "scrap": 0, "once": uuid.uuid4(),
            "happened_at_0": "2026-01-01", "happened_at_1": "00:00:00", "reason": "Why.",
        }  # fmt: skip
        answer = client_of(supervisor).post(ADD, values)
        assert answer.status_code == 200
        assert "Only a report or a completion counts pieces." in answer.content.decode()
        assert not Scan.objects.exists()

    def test_who_may_not_enter_has_no_form(self, auditor, planner):
        for person in (auditor, planner):
            assert client_of(person).get(ADD).status_code == 403
