from datetime import date, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.services import system_user
from apps.catalog.models import Tool, ToolKind
from apps.core.context import signed
from apps.core.errors import InvalidInput, RuleError, StaleEdit
from apps.notices.models import Notice
from apps.workorders import services as do
from apps.workorders.models import OrderLine, OrderMaterial, Step, Task, WorkEvent, WorkOrder
from apps.workorders.numbering import take_number
from apps.workorders.states import Priority
from tests.personas import again


def codes(problems) -> set[tuple[str, str]]:
    return {(problem.field, problem.code) for problem in problems}


def told(kind: str) -> set[str]:
    return set(Notice.objects.filter(kind=kind).values_list("user__username", flat=True))


# --- create


def test_a_new_order_is_planned_at_once(shop, maker):
    order = shop.draft()
    assert (order.status, order.maker, order.created_by, order.revision) == ("draft", maker, maker, 1)
    assert [step.process.code for step in order.steps.all()] == ["CTP", "CUT", "PRT", "PACK"]
    assert set(order.tasks.values_list("status", flat=True)) == {"draft"}
    assert order.tasks.count() == 4
    assert list(order.events.values_list("verb", "to_status", "actor__username")) == [("create", "draft", "maker")]


def test_history_and_event_say_who_from_where_and_why(shop, maker):
    with signed(source="import", request_id="request-7", import_run=None, import_row=12):
        order = do.create_order(shop.unsaved(), lines=shop.lines("leaflet"), by=maker)
    event = order.events.get()
    assert (event.actor, event.source, event.request_id, event.import_row) == (maker, "import", "request-7", 12)
    rows = [*order.history.all(), *order.lines.get().history.all(), *Step.history.filter(order=order), *Task.history.filter(order=order)]
    assert {(row.history_user, row.source, row.request_id) for row in rows} == {(maker, "import", "request-7")}
    assert Task.history.filter(order=order).count() == order.tasks.count()


def test_the_reason_of_a_verb_is_on_its_history_row_and_event(shop, submitted_order, salesperson):
    order = do.reject_order(submitted_order, by=salesperson, reason="The colours are missing.")
    assert order.history.first().history_change_reason == "The colours are missing."
    assert order.events.first().reason == "The colours are missing."
    assert order.events.first().actor == salesperson


def test_run_quantity_comes_from_the_longest_line_and_the_pieces_per_sheet(shop, maker):
    order = do.create_order(shop.unsaved(run_quantity=0, ups=4), lines=shop.lines(("leaflet", 1000), ("poster", 2001)), by=maker)
    assert order.run_quantity == 501


def test_an_order_without_tools_takes_the_newest_confirmed_ones_of_its_products(shop, maker, planner, customer_tool):
    newer = Tool.objects.create(kind=ToolKind.ARTWORK, code="TOOL-leaflet", revision=2, confirmed_at=timezone.now(), confirmed_by=planner)
    unconfirmed = Tool.objects.create(kind=ToolKind.ARTWORK, code="TOOL-leaflet", revision=3)
    retired = Tool.objects.create(
        kind=ToolKind.ARTWORK, code="TOOL-leaflet", revision=4, confirmed_at=timezone.now(), confirmed_by=planner, is_active=False
    )
    for tool in (newer, unconfirmed, retired, customer_tool):
        tool.products.add(shop.products["leaflet"])
    order = do.create_order(shop.unsaved(), lines=shop.lines("leaflet"), by=maker)
    assert set(order.tools.all()) == {newer}


@pytest.fixture
def customer_tool(shop, planner):
    """An artwork that belongs to the other customer."""
    return Tool.objects.create(
        kind=ToolKind.ARTWORK, code="MOON-1", customer=shop.other_customer, confirmed_at=timezone.now(), confirmed_by=planner
    )


@pytest.mark.parametrize("who", ["operator", "stranger", "auditor", "planner", "administrator", "nobody"])
def test_who_makes_no_orders_cannot_create_one(shop, who):
    with pytest.raises(PermissionDenied):
        do.create_order(shop.unsaved(), lines=shop.lines("leaflet"), by=shop.people[who])
    assert WorkOrder.objects.count() == 0


def test_a_customer_out_of_sight_reads_as_absent(shop, salesperson):
    with pytest.raises(InvalidInput) as refusal:
        do.create_order(shop.unsaved(customer=shop.other_customer), lines=shop.lines("leaflet"), by=salesperson)
    assert codes(refusal.value.problems) == {("customer", "unknown")}
    assert "Moonlight" not in str(refusal.value)


def test_the_maker_must_be_somebody_who_makes_orders(shop, maker, operator):
    with pytest.raises(InvalidInput) as refusal:
        do.create_order(shop.unsaved(maker=operator), lines=shop.lines("leaflet"), by=maker)
    assert codes(refusal.value.problems) == {("maker", "unknown")}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"run_quantity": 10**12}, "run_quantity"),
        ({"allowance": -1}, "allowance"),
        ({"ups": 5000}, "ups"),
        ({"process_colours": "KYMC"}, "process_colours"),
        ({"over_tolerance": 101}, "over_tolerance"),
        ({"priority": 9}, "priority"),
        ({"external_number": "x" * 61}, "external_number"),
        ({"instructions": "x" * 10_000}, "instructions"),
        ({"printing_type": "both"}, "printing_type"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field_and_nothing_is_saved(shop, maker, changes, field):
    with pytest.raises(InvalidInput) as refusal:
        do.create_order(shop.unsaved(**changes), lines=shop.lines("leaflet"), by=maker)
    assert {problem.field for problem in refusal.value.problems} == {field}
    assert (WorkOrder.objects.count(), WorkEvent.objects.count()) == (0, 0)


@pytest.mark.parametrize("quantity", [0, -5, 10**12])
def test_a_wrong_line_quantity_saves_nothing(shop, maker, quantity):
    with pytest.raises(InvalidInput) as refusal:
        do.create_order(shop.unsaved(), lines=shop.lines("leaflet", ("poster", quantity)), by=maker)
    assert {problem.field for problem in refusal.value.problems} == {"quantity"}
    assert (WorkOrder.objects.count(), OrderLine.objects.count()) == (0, 0)


@pytest.mark.parametrize("text", ["  ", "😀 烫金 \u202e\u200b", "<script>alert(1)</script>", "' OR 1=1 --", "名" * 300])
def test_any_text_is_kept_as_it_is(shop, maker, text):
    lines = shop.lines("leaflet")
    lines[0].specification = text
    order = do.create_order(shop.unsaved(instructions=text), lines=lines, by=maker)
    order.refresh_from_db()
    assert (order.instructions, order.lines.get().specification) == (text, text)


def test_an_unknown_process_code_of_own_steps_is_named(shop, maker):
    with pytest.raises(InvalidInput) as refusal:
        do.create_order(shop.unsaved(steps_text="CTP > FOLD"), lines=shop.lines("leaflet"), by=maker)
    assert codes(refusal.value.problems) == {("steps_text", "invalid")}
    assert "FOLD" in str(refusal.value)


# --- numbers


def test_numbers_follow_the_format_of_the_site(shop, settings):
    today = timezone.localdate()
    assert [shop.draft().number, shop.draft().number] == [f"{today:%Y%m}-0001", f"{today:%Y%m}-0002"]
    settings.DOCKET_NUMBER_FORMAT = "D{year}/{serial:03}"
    assert shop.draft().number == f"D{today.year}/001"


@pytest.mark.django_db
def test_each_month_has_a_series_of_its_own():
    with transaction.atomic():
        numbers = [take_number(day) for day in (date(2026, 11, 30), date(2026, 12, 1), date(2026, 11, 1))]
    assert numbers == ["202611-0001", "202612-0001", "202611-0002"]


def test_a_number_that_is_taken_already_is_passed_over(shop):
    first = shop.draft()
    taken = first.number[:-1] + "2"
    WorkOrder.objects.filter(pk=first.pk).update(number=taken)
    assert shop.draft().number == first.number[:-1] + "3"


def test_a_refused_order_leaves_no_hole(shop, maker):
    shop.draft()
    with pytest.raises(InvalidInput):
        do.create_order(shop.unsaved(), lines=shop.lines(("leaflet", 0)), by=maker)
    assert shop.draft().number.endswith("-0002")


# --- revise


def test_an_edit_keeps_changes_adds_and_removes_parts_by_their_pk(shop, maker):
    order = shop.draft("leaflet", "poster")
    first, second = order.lines.all()
    first.quantity = 3000
    order.instructions = "Fold carefully."
    order = do.revise_order(order, lines=[first, *shop.lines(("carton", 500))], by=maker)
    assert [(line.product.name, line.quantity) for line in order.lines.all()] == [("leaflet", 3000), ("carton", 500)]
    assert order.lines.first().pk == first.pk
    assert not OrderLine.objects.filter(pk=second.pk).exists()
    assert (order.instructions, order.revision) == ("Fold carefully.", 2)
    event = order.events.first()
    assert event.verb == "revise"
    assert event.data["changed"] == {"instructions": ["", "Fold carefully."], "run_quantity": ["1000", "3000"]} or event.data[
        "changed"
    ] == {"instructions": ["", "Fold carefully."]}


def test_parts_that_are_not_given_stay_as_they_are(shop, maker, draft_order):
    lines, materials, tools = [list(getattr(draft_order, name).all()) for name in ("lines", "materials", "tools")]
    order = do.revise_order(draft_order, by=maker)
    assert [list(getattr(order, name).all()) for name in ("lines", "materials", "tools")] == [lines, materials, tools]


def test_a_line_of_another_order_cannot_be_smuggled_in(shop, maker, draft_order):
    foreign = shop.draft(customer=shop.other_customer, by="other_maker").lines.get()
    foreign.quantity = 7
    with pytest.raises(InvalidInput) as refusal:
        do.revise_order(draft_order, lines=[foreign], by=maker)
    assert refusal.value.problems[0].code == "foreign_part"
    foreign.refresh_from_db()
    assert (foreign.quantity, foreign.order_id == draft_order.pk) == (1000, False)


def test_a_stale_edit_is_refused_and_says_so(shop, maker, draft_order):
    seen = draft_order.version
    do.revise_order(WorkOrder.objects.get(pk=draft_order.pk), by=maker, version=seen)
    with pytest.raises(StaleEdit) as refusal:
        do.revise_order(draft_order, by=maker, version=seen)
    assert refusal.value.code == "stale"


def test_what_an_edit_cannot_set_stays(shop, maker, draft_order, other_maker):
    draft_order.number, draft_order.status, draft_order.created_by = "X", "approved", other_maker
    draft_order.approved_by, draft_order.revision = other_maker, 99
    order = WorkOrder.objects.get(pk=do.revise_order(draft_order, by=maker).pk)
    assert (order.number == "X", order.status, order.created_by, order.approved_by, order.revision) == (False, "draft", maker, None, 2)


def test_a_maker_cannot_edit_the_order_of_another(shop, other_maker, draft_order):
    with pytest.raises(PermissionDenied):
        do.revise_order(draft_order, by=other_maker)


def test_an_edit_may_not_move_the_order_to_a_customer_out_of_sight(shop, salesperson):
    order = shop.draft(by=salesperson)
    order.customer = shop.other_customer
    with pytest.raises(InvalidInput) as refusal:
        do.revise_order(order, by=salesperson)
    assert codes(refusal.value.problems) == {("customer", "unknown")}


# --- submit


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"customer": None}, ("customer", "no_customer")),
        ({"due_date": None}, ("due_date", "no_due_date")),
        ({"due_date": date(2026, 1, 1), "order_date": date(2026, 1, 2)}, ("due_date", "due_before_order")),
        ({"steps_text": "PRT > CTP > PACK"}, ("steps", "steps_out_of_order")),
        ({"steps_text": "CTP > PRT > DIE"}, ("tools", "no_die")),
        ({"steps_text": "CTP > PRT > FOIL_G"}, ("tools", "no_foil_plate")),
    ],
)
def test_what_is_missing_stops_the_submission_and_names_the_field(shop, maker, changes, problem):
    order = shop.draft(**changes)
    assert codes(do.problems_before_submit(order)) == {problem}
    with pytest.raises(InvalidInput) as refusal:
        do.submit_order(order, by=maker)
    assert codes(refusal.value.problems) == {problem}
    assert all(str(one.message) for one in refusal.value.problems)
    assert WorkOrder.objects.get(pk=order.pk).status == "draft"


def test_everything_that_is_missing_is_told_at_once(shop, maker):
    order = do.create_order(WorkOrder(), lines=[], by=maker)
    assert codes(do.problems_before_submit(order)) == {("customer", "no_customer"), ("lines", "no_lines"), ("due_date", "no_due_date")}


def test_a_product_without_a_route_leaves_no_steps_and_that_is_named(shop, maker):
    product = shop.products["leaflet"]
    product.route = None
    product.save()
    assert ("steps", "no_steps") in codes(do.problems_before_submit(shop.draft()))


def test_a_missing_artwork_is_named(shop, maker):
    Tool.objects.update(is_active=False)
    assert codes(do.problems_before_submit(shop.draft(tools=[]))) == {("tools", "no_artwork")}


def test_a_material_to_be_cut_needs_an_amount(shop):
    order = shop.draft(materials=[shop.paper(amount=None), shop.paper(amount=None, needs_cutting=False)])
    assert codes(do.problems_before_submit(order)) == {("materials", "no_amount")}


def test_an_order_that_needs_no_artwork_and_no_die_needs_none(shop, maker):
    """Approval used to demand an artwork and a die of every order."""
    Tool.objects.update(is_active=False)
    order = shop.draft(steps_text="CUT > PACK", tools=[])
    assert do.problems_before_submit(order) == []
    assert do.submit_order(order, by=maker).status == "submitted"


def test_an_incomplete_order_can_always_be_rejected_or_cancelled(shop, submitted_order, salesperson):
    submitted_order.lines.all().delete()
    assert do.reject_order(submitted_order, by=salesperson, reason="No line.").status == "rejected"
    assert do.cancel_order(submitted_order, by=salesperson, reason="No line.").status == "cancelled"


def test_what_became_incomplete_after_submission_is_not_approved(shop, submitted_order, salesperson):
    submitted_order.tools.clear()
    with pytest.raises(InvalidInput) as refusal:
        do.approve_order(submitted_order, by=salesperson)
    assert codes(refusal.value.problems) == {("tools", "no_artwork")}


def test_a_rejected_and_resubmitted_order_has_its_tasks(shop, maker, salesperson, submitted_order):
    order = do.reject_order(submitted_order, by=salesperson, reason="More.")
    line = order.lines.get()
    line.quantity = 2500
    order = do.submit_order(do.revise_order(order, lines=[line], by=maker), by=maker)
    assert order.tasks.filter(status="draft").count() == 4
    assert shop.task(order, "PACK").planned == 2500
    order = do.approve_order(order, by=salesperson)
    assert set(order.tasks.values_list("status", flat=True)) == {"pending"}


# --- decide


def test_the_customers_salesperson_is_asked_and_the_maker_is_told(shop, submitted_order, salesperson):
    assert told("order_submitted") == {"salesperson"}
    order = do.approve_order(submitted_order, by=salesperson, comment="Go.")
    assert (order.approved_by, order.approved_at is not None) == (salesperson, True)
    assert told("order_approved") == {"maker"}


def test_the_leads_are_asked_where_the_salesperson_made_it_himself(shop, salesperson):
    order = shop.draft(by=salesperson)
    do.submit_order(order, by=salesperson)
    assert told("order_submitted") == {"supervisor", "prepress_lead"}


@pytest.mark.parametrize("verb", [lambda o, by: do.approve_order(o, by=by), lambda o, by: do.reject_order(o, by=by, reason="No.")])
def test_nobody_decides_on_his_own_order(shop, salesperson, supervisor, verb):
    for who in (salesperson, supervisor):
        order = do.submit_order(shop.draft(by=who, maker=who), by=who)
        with pytest.raises(PermissionDenied, match="your own"):
            verb(order, who)


def test_who_submitted_it_cannot_approve_it(shop, supervisor, draft_order):
    order = do.submit_order(draft_order, by=supervisor)
    with pytest.raises(PermissionDenied):
        do.approve_order(order, by=supervisor)


@pytest.mark.parametrize(
    ("who", "may"),
    [
        ("maker", False), ("other_maker", False), ("salesperson", True), ("other_salesperson", False), ("supervisor", True),
        ("operator", False), ("prepress_lead", True), ("stranger", False), ("planner", False), ("auditor", False), ("administrator", False),
        ("nobody", False),
        ("superuser", True),
    ],
)  # fmt: skip
def test_who_approves(shop, submitted_order, who, may):
    if may:
        assert do.approve_order(submitted_order, by=shop.people[who]).status == "approved"
    else:
        with pytest.raises(PermissionDenied):
            do.approve_order(submitted_order, by=shop.people[who])


def test_approval_writes_the_need_for_dispatch_into_the_tables(shop, submitted_order, salesperson):
    order = do.approve_order(submitted_order, by=salesperson)
    assert Task.objects.needing_dispatch().filter(order=order).count() == 4


@pytest.mark.parametrize("verb", [do.reject_order, do.hold_order, do.cancel_order, do.reopen_order])
@pytest.mark.parametrize("reason", ["", "   ", "\x00"])
def test_a_reason_is_due(shop, verb, reason, salesperson):
    status = {do.reject_order: "submitted", do.reopen_order: "completed"}.get(verb, "approved")
    order = shop.order_in(status)
    with pytest.raises(RuleError) as refusal:
        verb(order, by=salesperson, reason=reason)
    assert (refusal.value.code, refusal.value.field) == ("reason_needed", "reason")


def test_a_reason_of_10000_characters_is_refused(shop, approved_order, salesperson):
    with pytest.raises(InvalidInput) as refusal:
        do.hold_order(approved_order, by=salesperson, reason="x" * 10_000)
    assert refusal.value.code == "too_long"


# --- cancel, hold, reopen


def test_cancelling_ends_all_that_is_open_and_keeps_what_was_reported(shop, salesperson, running_task, operator):
    do.report(running_task, by=operator, good=300)
    order = do.cancel_order(running_task.order, by=salesperson, reason="The customer went away.")
    statuses = dict(order.tasks.values_list("step__process__code", "status"))
    assert statuses == {"CTP": "completed", "CUT": "completed", "PRT": "cancelled", "PACK": "cancelled"}
    assert dict(order.steps.values_list("process__code", "status")) == {
        "CTP": "completed",
        "CUT": "completed",
        "PRT": "skipped",
        "PACK": "skipped",
    }
    running_task.refresh_from_db()
    assert running_task.good == 300
    assert "operator" in told("order_cancelled")


def test_a_maker_cancels_his_own_order_only_before_approval(shop, maker, submitted_order, salesperson):
    order = do.approve_order(submitted_order, by=salesperson)
    with pytest.raises(PermissionDenied):
        do.cancel_order(order, by=maker, reason="No.")
    assert do.cancel_order(shop.submitted(), by=maker, reason="No.").status == "cancelled"


def test_a_reopened_order_can_be_corrected_and_completes_again(shop, completed_order, salesperson, supervisor):
    pack = shop.task(completed_order, "PACK")
    event = pack.events.get(verb="complete")
    with pytest.raises(RuleError) as refusal:
        do.reverse_event(event, by=supervisor, reason="Counted twice.")
    assert refusal.value.code == "order_ended"
    order = do.reopen_order(completed_order, by=salesperson, reason="Counted twice.")
    assert (order.status, order.completed_at) == ("in_progress", None)
    do.reverse_event(event, by=supervisor, reason="Counted twice.")
    pack.refresh_from_db()
    assert (pack.status, pack.good) == ("in_progress", 0)
    do.complete_task(pack, by=pack.operator, good=1000)
    assert WorkOrder.objects.get(pk=order.pk).status == "completed"


def test_everyone_concerned_is_told_of_the_completion(shop, completed_order):
    assert told("order_completed") == {"maker", "salesperson"}


# --- copy, delete, receive


def test_a_copy_is_a_new_draft_of_the_same_job(shop, maker, completed_order):
    copy = do.copy_order(completed_order, by=maker)
    assert copy.pk != completed_order.pk
    assert (copy.status, copy.copied_from, copy.due_date, copy.order_date) == ("draft", completed_order, None, timezone.localdate())
    assert [(line.product_id, line.quantity) for line in copy.lines.all()] == [
        (line.product_id, line.quantity) for line in completed_order.lines.all()
    ]
    assert [(one.name, one.amount, one.received_at) for one in copy.materials.all()] == [("Coated art 157 g", 500, None)]
    assert set(copy.tools.all()) == set(completed_order.tools.all())
    assert copy.tasks.filter(status="draft", good=0).count() == 4
    assert completed_order.lines.count() == 1
    assert copy.events.get().verb == "copy"


def test_a_copy_takes_a_newer_confirmed_tool(shop, maker, planner, completed_order):
    newer = Tool.objects.create(kind=ToolKind.ARTWORK, code="TOOL-leaflet", revision=2, confirmed_at=timezone.now(), confirmed_by=planner)
    newer.products.add(shop.products["leaflet"])
    assert set(do.copy_order(completed_order, by=maker).tools.all()) == {newer}


def test_a_copy_of_an_order_out_of_sight_is_refused(shop, other_maker, completed_order):
    with pytest.raises(PermissionDenied):
        do.copy_order(completed_order, by=other_maker)


def test_a_deleted_draft_leaves_its_events_and_its_history(shop, maker, draft_order):
    pk, number = draft_order.pk, draft_order.number
    do.delete_order(draft_order, by=maker)
    assert not WorkOrder.objects.filter(pk=pk).exists()
    assert not Task.objects.filter(order_id=pk).exists()
    assert list(WorkEvent.objects.filter(order_number=number).order_by("pk").values_list("verb", flat=True)) == ["create", "delete"]
    last = WorkOrder.history.filter(id=pk).first()
    assert (last.history_type, last.history_user) == ("-", maker)


def test_material_is_received_once(shop, maker, draft_order):
    material = do.receive_material(draft_order.materials.get(), by=maker)
    assert (material.received_by, material.received_at is not None) == (maker, True)
    with pytest.raises(RuleError) as refusal:
        do.receive_material(material, by=maker)
    assert refusal.value.code == "already_received"


def test_a_stranger_receives_nothing(shop, stranger, other_maker, draft_order):
    for who in (stranger, other_maker):
        with pytest.raises(PermissionDenied):
            do.receive_material(draft_order.materials.get(), by=who)


# --- the rows themselves


def test_the_database_itself_refuses_what_the_verbs_never_write(shop, draft_order):
    task = draft_order.tasks.first()
    for broken in (
        lambda: OrderLine.objects.filter(order=draft_order).update(quantity=0),
        lambda: OrderMaterial.objects.filter(order=draft_order).update(amount=-1),
        lambda: Task.objects.filter(pk=task.pk).update(planned=0),
        lambda: Task.objects.filter(pk=task.pk).update(status="assigned"),
        lambda: WorkOrder.objects.filter(pk=shop.draft().pk).update(number=draft_order.number),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            broken()


def test_every_save_grows_the_version(shop, draft_order):
    before = draft_order.version
    draft_order.priority = Priority.URGENT
    draft_order.save(update_fields=["priority"])
    assert WorkOrder.objects.get(pk=draft_order.pk).version == before + 1


def test_colours_read_as_printers_write_them(shop):
    assert shop.unsaved(process_colours="CMK", spot_colours="528C").colours == "CMK+528C (4)"
    assert shop.unsaved(process_colours="CMYK").colours == "CMYK (4)"
    assert shop.unsaved(spot_colours=" 528C, gold ,").colours == "528C+gold (2)"
    assert shop.unsaved().colours == ""


def test_late_is_past_its_day_and_not_ended(shop):
    yesterday = timezone.localdate() - timedelta(days=1)
    order = shop.draft(due_date=yesterday, order_date=yesterday)
    assert order.is_late
    assert list(WorkOrder.objects.late()) == [order]
    order = do.cancel_order(order, by=order.maker, reason="Too late.")
    assert not order.is_late
    assert list(WorkOrder.objects.late()) == []


def test_the_system_user_dispatches_but_nobody_signs_in_as_it(shop, client):
    shop.approved(dispatched=False)
    order = WorkOrder.objects.get()
    assert len(do.dispatch_order(order, by=system_user())) == 4
    assert not system_user().has_usable_password()
    assert system_user().pk == User.objects.get(username=system_user().username).pk


def test_a_revoked_role_counts_from_the_next_request(shop, maker, draft_order):
    maker.groups.clear()
    with pytest.raises(PermissionDenied):
        do.submit_order(draft_order, by=again(maker))
