"""Random verbs of several people against a small model of the state machines: outcome, status and totals must agree.

More examples: DOCKET_MACHINE_EXAMPLES=1000 pytest tests/workorders/test_machine.py
"""

import os
from dataclasses import dataclass, field

import pytest
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Sum
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from apps.core.errors import RuleError
from apps.workorders import services as do
from apps.workorders.models import Step, Task, WorkEvent, WorkOrder
from tests.personas import again
from tests.shop import make_shop

PLANNED = 100
OPEN = {"pending", "assigned", "in_progress", "paused"}
HELD = {"assigned", "in_progress", "paused"}
RUNNING = {"approved", "in_progress"}
EARLY = {"draft", "submitted", "rejected"}
DECIDES = {"salesperson", "supervisor"}
WORKERS = ("operator", "second_operator", "supervisor")
ANYBODY = st.sampled_from(["holder"] * 8 + ["operator", "second_operator", "supervisor", "stranger"])
PEOPLE = ("maker", "salesperson", "supervisor", "operator", "second_operator", "stranger")


@dataclass
class ModelTask:
    """What the model knows of a task: nothing of how it is stored."""

    status: str = "draft"
    operator: str = ""
    good: int = 0
    scrap: int = 0
    planned: int = PLANNED
    # what can be taken back: (who, verb, from, good, scrap); None is a wall: something that is no undoable move
    past: list = field(default_factory=list)


class Shopfloor(RuleBasedStateMachine):
    """One order with two steps of one task each, VAN then TRIM, both in printing's reach; five people at it."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.shop = make_shop()
        # Both steps belong to printing, so that the same operators meet at both.
        trim = self.shop.processes["TRIM"]
        trim.departments.set([self.shop.departments["printing"]])
        trim.rules.all().delete()
        self.status, self.before_hold = "draft", ""
        self.tasks: dict[int, ModelTask] = {}

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    @initialize(begin=st.sampled_from(["draft", "submitted", "approved", "approved", "approved", "approved"]))
    def create(self, begin: str) -> None:
        make = {"draft": self.shop.draft, "submitted": self.shop.submitted, "approved": self.shop.approved}[begin]
        order = make(steps_text="VAN > TRIM", run_quantity=PLANNED, materials=[], tools=[])
        self.pk, self.status = order.pk, begin
        self.first, self.second = order.tasks.order_by("step__sequence").values_list("pk", flat=True)
        status = "pending" if begin == "approved" else "draft"
        self.tasks = {self.first: ModelTask(status), self.second: ModelTask(status)}

    # --- how a verb is tried: the model says what must come out, the verb is asked, both are compared

    def attempt(self, expected: str, action) -> bool:
        """Run `action` and compare what came out with `expected`: "done", "forbidden" or a refusal code."""
        try:
            with transaction.atomic():
                action()
            outcome = "done"
        except PermissionDenied:
            outcome = "forbidden"
        except RuleError as refusal:
            outcome = refusal.code
        assert outcome == expected
        return outcome == "done"

    @property
    def order(self) -> WorkOrder:
        return WorkOrder.objects.get(pk=self.pk)

    def some(self, *statuses: str) -> bool:
        return any(task.status in statuses for task in self.tasks.values())

    def who(self, name: str):
        return again(self.shop.people[name])

    def task_of(self, second: bool, name: str = "") -> tuple[int, ModelTask, str]:
        """The task, and who tries: "holder" is whoever has it."""
        pk = self.second if second else self.first
        task = self.tasks[pk]
        return pk, task, (task.operator or "operator") if name == "holder" else name

    # --- the order's verbs

    def decide(self, name: str, allowed: set[str]) -> str:
        if name not in DECIDES:
            return "forbidden"
        return "done" if self.status in allowed else "wrong_state"

    @precondition(lambda self: self.status in {"draft", "rejected"})
    @rule(name=st.sampled_from(["maker", "stranger", "operator"]))
    def submit(self, name: str) -> None:
        expected = "forbidden" if name != "maker" else "done" if self.status in {"draft", "rejected"} else "wrong_state"
        if self.attempt(expected, lambda: do.submit_order(self.order, by=self.who(name))):
            self.status = "submitted"

    @precondition(lambda self: self.status == "submitted")
    @rule(name=st.sampled_from(PEOPLE))
    def approve(self, name: str) -> None:
        if self.attempt(self.decide(name, {"submitted"}), lambda: do.approve_order(self.order, by=self.who(name))):
            self.status = "approved"
            for task in self.tasks.values():
                task.status = "pending"

    @precondition(lambda self: self.status == "submitted")
    @rule(name=st.sampled_from(PEOPLE))
    def reject(self, name: str) -> None:
        if self.attempt(self.decide(name, {"submitted"}), lambda: do.reject_order(self.order, by=self.who(name), reason="No.")):
            self.status = "rejected"

    @precondition(lambda self: self.status in RUNNING)
    @rule(name=st.sampled_from(PEOPLE), sure=st.integers(0, 3))
    def hold(self, name: str, sure: int) -> None:
        if sure:
            return
        if self.attempt(self.decide(name, RUNNING), lambda: do.hold_order(self.order, by=self.who(name), reason="Wait.")):
            self.status, self.before_hold = "on_hold", self.status

    @precondition(lambda self: self.status == "on_hold")
    @rule(name=st.sampled_from(["salesperson", "supervisor", "maker"]))
    def resume_order(self, name: str) -> None:
        if self.attempt(self.decide(name, {"on_hold"}), lambda: do.resume_order(self.order, by=self.who(name))):
            self.status = self.before_hold
            self.roll_up()

    @precondition(lambda self: self.status == "completed")
    @rule(name=st.sampled_from(PEOPLE))
    def reopen(self, name: str) -> None:
        if self.attempt(self.decide(name, {"completed"}), lambda: do.reopen_order(self.order, by=self.who(name), reason="Wrong.")):
            self.status = "in_progress"

    @precondition(lambda self: self.status not in {"completed", "cancelled"})
    @rule(name=st.sampled_from(["supervisor", "salesperson", "operator"]), sure=st.integers(0, 29))
    def cancel_order(self, name: str, sure: int) -> None:
        if sure:  # rarely, so that stories get somewhere
            return
        live = {"draft", "submitted", "rejected", "approved", "in_progress", "on_hold"}
        if self.attempt(self.decide(name, live), lambda: do.cancel_order(self.order, by=self.who(name), reason="Away.")):
            self.status = "cancelled"
            for task in self.tasks.values():
                if task.status not in {"completed", "cancelled"}:
                    task.status = "cancelled"
                    task.past.append(None)

    @precondition(lambda self: self.status in EARLY)
    @rule(name=st.sampled_from(["maker", "stranger"]))
    def revise(self, name: str) -> None:
        expected = "forbidden" if name != "maker" else "done" if self.status in {"draft", "rejected"} else "wrong_state"
        self.attempt(expected, lambda: do.revise_order(self.order, by=self.who(name)))

    # --- the tasks' verbs

    def roll_up(self) -> None:
        ended = all(task.status in {"completed", "cancelled"} for task in self.tasks.values())
        if self.status in RUNNING and ended and any(task.status == "completed" for task in self.tasks.values()):
            self.status = "completed"

    def begun(self) -> None:
        if self.status == "approved":
            self.status = "in_progress"
        elif self.status == "on_hold":
            self.before_hold = "in_progress"

    def works(self, name: str, task: ModelTask) -> bool:
        return name == "supervisor" or (name in WORKERS and name == task.operator)

    def claimable(self, name: str, task: ModelTask) -> str:
        if name not in WORKERS:
            return "forbidden"
        if task.status in HELD:
            return "already_claimed"
        if task.status != "pending":
            return "wrong_state"
        return "done" if self.status in RUNNING else "order_not_running"

    @rule(name=ANYBODY, second=st.booleans())
    def claim(self, name: str, second: bool) -> None:
        pk, task, name = self.task_of(second, name)
        if self.attempt(self.claimable(name, task), lambda: do.claim_task(pk, by=self.who(name))):
            task.past.append((name, "claim", "pending", 0, 0))
            task.status, task.operator = "assigned", name

    @precondition(lambda self: self.some("pending", "assigned"))
    @rule(name=ANYBODY, second=st.booleans())
    def start(self, name: str, second: bool) -> None:
        pk, task, name = self.task_of(second, name)
        queued = task.status == "pending"
        if queued:
            expected = self.claimable(name, task)
        elif not self.works(name, task):
            expected = "forbidden"
        else:
            expected = "wrong_state" if task.status != "assigned" else "done" if self.status in RUNNING else "order_not_running"
        if expected == "done" and second and self.tasks[self.first].status not in {"completed", "cancelled"}:
            expected = "not_ready"
        if self.attempt(expected, lambda: do.start_task(pk, by=self.who(name))):
            if queued:
                task.past.append((name, "claim", "pending", 0, 0))
                task.operator = name
            task.past.append((name, "start", "assigned", 0, 0))
            task.status = "in_progress"

    @precondition(lambda self: self.some("assigned"))
    @rule(name=ANYBODY, second=st.booleans())
    def release(self, name: str, second: bool) -> None:
        pk, task, name = self.task_of(second, name)
        expected = "forbidden" if not self.works(name, task) else "done" if task.status == "assigned" else "wrong_state"
        if self.attempt(expected, lambda: do.release_task(pk, by=self.who(name))):
            task.status, task.operator = "pending", ""
            task.past.append(None)

    @precondition(lambda self: self.some("in_progress"))
    @rule(name=ANYBODY, second=st.booleans())
    def pause(self, name: str, second: bool) -> None:
        pk, task, name = self.task_of(second, name)
        expected = "forbidden" if not self.works(name, task) else "done" if task.status == "in_progress" else "wrong_state"
        if self.attempt(expected, lambda: do.pause_task(pk, by=self.who(name), reason_code="break")):
            task.past.append((name, "pause", "in_progress", 0, 0))
            task.status = "paused"

    @precondition(lambda self: self.some("paused"))
    @rule(name=ANYBODY, second=st.booleans())
    def resume_task(self, name: str, second: bool) -> None:
        pk, task, name = self.task_of(second, name)
        expected = "forbidden" if not self.works(name, task) else "done" if task.status == "paused" else "wrong_state"
        if expected == "done" and self.status not in RUNNING:
            expected = "order_not_running"
        if self.attempt(expected, lambda: do.resume_task(pk, by=self.who(name))):
            task.past.append((name, "resume", "paused", 0, 0))
            task.status = "in_progress"

    @precondition(lambda self: self.some("in_progress"))
    @rule(name=ANYBODY, second=st.booleans(), good=st.integers(0, 60), scrap=st.integers(0, 3))
    def report(self, name: str, second: bool, good: int, scrap: int) -> None:
        pk, task, name = self.task_of(second, name)
        if not good and not scrap:
            expected = "nothing"
        elif not self.works(name, task):
            expected = "forbidden"
        elif task.status != "in_progress":
            expected = "wrong_state"
        else:
            over = good and task.good + good > task.planned * 1.5
            expected = "over_cap" if over and name != "supervisor" else "done"
        if self.attempt(expected, lambda: do.report(pk, by=self.who(name), good=good, scrap=scrap, reason="As counted.")):
            task.past.append((name, "report", "in_progress", good, scrap))
            task.good, task.scrap = task.good + good, task.scrap + scrap
            self.begun()

    @precondition(lambda self: self.some("in_progress"))
    @rule(name=ANYBODY, second=st.booleans(), good=st.sampled_from([0, 10, 100]), reason=st.sampled_from(["", "Enough."]))
    def complete(self, name: str, second: bool, good: int, reason: str) -> None:
        pk, task, name = self.task_of(second, name)
        if not self.works(name, task):
            expected = "forbidden"
        elif task.status != "in_progress":
            expected = "wrong_state"
        elif good and task.good + good > task.planned * 1.5:
            expected = "done" if name == "supervisor" and reason else "reason_needed" if name == "supervisor" else "over_cap"
        else:
            expected = "short" if task.good + good < task.planned and not reason else "done"
        if self.attempt(expected, lambda: do.complete_task(pk, by=self.who(name), good=good, reason=reason)):
            task.past.append((name, "complete", "in_progress", good, 0))
            task.status, task.good = "completed", task.good + good
            self.begun()
            self.roll_up()

    @precondition(lambda self: any(task.past and task.past[-1] for task in self.tasks.values()))
    @rule(name=ANYBODY, second=st.booleans())
    def undo(self, name: str, second: bool) -> None:
        pk, task, name = self.task_of(second, name)
        own = [move for move in task.past if move and move[0] == name]
        if not own:
            expected = "nothing_to_undo" if self.works(name, task) else "forbidden"
        elif self.status in {"completed", "cancelled"}:
            expected = "order_ended"
        else:
            expected = "done" if task.past[-1] is own[-1] else "later_events"
        if self.attempt(expected, lambda: do.undo_last(pk, by=self.who(name))):
            _who, verb, before, good, scrap = task.past.pop()
            task.good, task.scrap = task.good - good, task.scrap - scrap
            if verb != "report":
                task.status = before
            if verb == "claim":
                task.operator = ""

    @precondition(lambda self: self.some(*OPEN))
    @rule(
        name=st.sampled_from(["supervisor", "operator", "stranger"]),
        second=st.booleans(),
        to=st.sampled_from(["operator", "second_operator", "stranger"]),
    )
    def assign(self, name: str, second: bool, to: str) -> None:
        pk, task, name = self.task_of(second, name)
        if name != "supervisor":
            expected = "forbidden"
        elif task.status not in OPEN:
            expected = "wrong_state"
        else:
            expected = "not_member" if to == "stranger" else "done"
        if self.attempt(expected, lambda: do.assign_task(pk, by=self.who(name), operator=self.who(to))):
            task.status = "assigned" if task.status in {"pending", "assigned"} else "paused"
            task.operator = to
            task.past.append(None)

    @precondition(lambda self: self.some(*OPEN))
    @rule(name=st.sampled_from(["supervisor", "operator"]), second=st.booleans(), sure=st.integers(0, 9))
    def cancel_task(self, name: str, second: bool, sure: int) -> None:
        if sure:
            return
        pk, task, name = self.task_of(second, name)
        expected = "forbidden" if name != "supervisor" else "done" if task.status in OPEN else "wrong_state"
        if self.attempt(expected, lambda: do.cancel_task(pk, by=self.who(name), reason="Not needed.")):
            task.status = "cancelled"
            task.past.append(None)
            self.roll_up()

    # --- what always holds

    @invariant()
    def the_rows_agree_with_the_model(self) -> None:
        if not self.tasks:
            return
        assert self.order.status == self.status
        rows = {task.pk: task for task in Task.objects.filter(order=self.pk).select_related("operator")}
        assert rows.keys() == self.tasks.keys()
        for pk, told in self.tasks.items():
            row = rows[pk]
            assert (row.status, row.good, row.scrap, row.planned) == (told.status, told.good, told.scrap, told.planned)
            if told.status in HELD or told.status in {"draft", "pending"}:
                assert (row.operator.username if row.operator else "") == told.operator

    @invariant()
    def totals_are_the_sum_of_the_ledger(self) -> None:
        for pk in self.tasks:
            sums = WorkEvent.objects.filter(task=pk).aggregate(good=Sum("good"), scrap=Sum("scrap"))
            row = Task.objects.get(pk=pk)
            assert (row.good, row.scrap) == (sums["good"] or 0, sums["scrap"] or 0)
            assert row.good >= 0
            assert row.scrap >= 0

    @invariant()
    def the_last_event_with_a_status_says_the_status(self) -> None:
        for pk in self.tasks:
            last = WorkEvent.objects.filter(task=pk).exclude(to_status="").order_by("-pk").first()
            if last:
                assert last.to_status == Task.objects.get(pk=pk).status

    @invariant()
    def steps_follow_their_tasks(self) -> None:
        for step in Step.objects.filter(order=self.pk) if self.tasks else ():
            statuses = set(step.tasks.values_list("status", flat=True))
            if statuses <= {"completed", "cancelled"}:
                assert step.status == ("completed" if "completed" in statuses else "skipped")
            else:
                assert step.status in {"waiting", "in_progress"}
                assert (step.status == "in_progress") or not statuses & {"in_progress", "paused"}

    @invariant()
    def every_event_is_signed(self) -> None:
        assert not WorkEvent.objects.filter(source="").exists()
        assert not WorkEvent.objects.filter(request_id="").exists()


@pytest.mark.slow
@pytest.mark.django_db
def test_the_verbs_and_the_model_agree():
    """20 stories of up to 40 verbs each by default; the same stories in every run unless asked for more."""
    examples = int(os.environ.get("DOCKET_MACHINE_EXAMPLES", "20"))
    run_state_machine_as_test(
        Shopfloor,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=examples <= 20,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
