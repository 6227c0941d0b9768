"""The pages of orders and tasks, through the browser's door."""

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.workorders.admin.overview import minutes_left
from apps.workorders.models import OrderLine, Task, WorkEvent, WorkOrder
from apps.workorders.states import OrderStatus, TaskStatus
from tests.personas import client_of
from tests.queries import count_queries

ORDERS = "/admin/workorders/workorder/"
TASKS = "/admin/workorders/task/"


def page(order, tail="change/"):
    return f"{ORDERS}{order.pk}/{tail}"


def task_page(task, tail="change/"):
    return f"{TASKS}{task.pk}/{tail}"


def entries(order=None, **changes):
    """What the browser posts for an order as it stands."""
    lines = list(order.lines.all()) if order else []
    materials = list(order.materials.all()) if order else []
    data = {
        "customer": order.customer_id or "" if order else "",
        "maker": order.maker_id or "" if order else "",
        "priority": 2,
        "order_date": order.order_date if order else timezone.localdate(),
        "due_date": order.due_date or "" if order else "",
        "run_quantity": order.run_quantity if order else "",
        "allowance": 0,
        "ups": 1,
        "printing_type": "none",
        "steps_text": order.steps_text if order else "",
        "tools": [tool.pk for tool in order.tools.all()] if order else [],
        "lines-TOTAL_FORMS": len(lines),
        "lines-INITIAL_FORMS": len(lines),
        "materials-TOTAL_FORMS": len(materials),
        "materials-INITIAL_FORMS": len(materials),
    }
    if order:
        data["version"] = order.version
    for number, line in enumerate(lines):
        data |= {f"lines-{number}-id": line.pk, f"lines-{number}-order": order.pk, f"lines-{number}-product": line.product_id}
        data |= {f"lines-{number}-quantity": line.quantity, f"lines-{number}-unit": line.unit}
    for number, material in enumerate(materials):
        data |= {f"materials-{number}-id": material.pk, f"materials-{number}-order": order.pk, f"materials-{number}-name": material.name}
        data |= {f"materials-{number}-size": material.size, f"materials-{number}-amount": material.amount}
        data |= {f"materials-{number}-unit": material.unit, f"materials-{number}-needs_cutting": "on" if material.needs_cutting else ""}
    return data | changes


def new_line(product, quantity, number=0):
    return {
        f"lines-{number}-product": product.pk,
        f"lines-{number}-quantity": quantity,
        f"lines-{number}-unit": "",
        "lines-TOTAL_FORMS": number + 1,
    }


def errors_of(response):
    return " ".join(str(error) for error in response.context["errors"])


# -- the form


def test_a_maker_creates_an_order_and_sees_its_steps_and_draft_tasks_at_once(shop, maker):
    data = entries(customer=shop.customer.pk, maker=maker.pk, **new_line(shop.products["leaflet"], "１５００"))
    response = client_of(maker).post(f"{ORDERS}add/", data)
    assert response.status_code == 302, errors_of(response)
    order = WorkOrder.objects.get()
    assert response["Location"] == order.get_absolute_url()
    assert (order.number != "", order.created_by, order.maker, order.run_quantity) == (True, maker, maker, 1500)
    assert order.steps.count() == order.tasks.filter(status=TaskStatus.DRAFT).count() > 0
    assert set(order.history.values_list("history_user", "source")) == {(maker.pk, "admin")}
    assert WorkEvent.objects.get(order=order, verb="create").source == "admin"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("lines-0-quantity", "0", "greater than or equal to 1"),
        ("lines-0-quantity", "-5", "greater than or equal to"),
        ("lines-0-quantity", "lots", "Enter a whole number"),
        ("lines-0-quantity", "1000000000000", "less than or equal to"),
        ("lines-0-product", "999999", "not one of the available choices"),
        ("due_date", "2026-02-31", "Enter a valid date"),
        ("customer", "99999999999999999999", "not one of the available choices"),
        ("steps_text", "NOPE > PRT", "NOPE"),
        ("instructions", "x" * 10_000, "at most 4000"),
    ],
)
def test_bad_input_is_told_in_a_sentence_and_nothing_is_saved(shop, maker, field, value, told):
    data = entries(customer=shop.customer.pk, **new_line(shop.products["leaflet"], 1000))
    response = client_of(maker).post(f"{ORDERS}add/", data | {field: value})
    assert response.status_code == 200
    assert told in errors_of(response)
    assert WorkOrder.objects.count() == 0


def test_a_revision_goes_through_the_verb(shop, maker, draft_order):
    line = draft_order.lines.get()
    data = entries(draft_order, external_number="PO-7", **{"lines-0-quantity": 2000})
    response = client_of(maker).post(page(draft_order), data)
    assert response.status_code == 302, errors_of(response)
    draft_order.refresh_from_db()
    line.refresh_from_db()
    assert (draft_order.external_number, line.quantity, draft_order.revision) == ("PO-7", 2000, 2)
    assert WorkEvent.objects.filter(order=draft_order, verb="revise", actor=maker).count() == 1


def test_lines_are_added_and_struck_out(shop, maker, draft_order):
    data = entries(draft_order) | {"lines-0-DELETE": "on"} | new_line(shop.products["carton"], 300, 1)
    response = client_of(maker).post(page(draft_order), data)
    assert response.status_code == 302, errors_of(response)
    assert list(draft_order.lines.values_list("product__name", "quantity")) == [("carton", 300)]


def test_an_untouched_form_changes_nothing(maker, draft_order):
    before = draft_order.version
    assert client_of(maker).post(page(draft_order), entries(draft_order)).status_code == 302
    draft_order.refresh_from_db()
    assert draft_order.version == before


def test_a_stale_form_keeps_what_was_typed_and_names_what_changed(shop, maker, salesperson, draft_order):
    typed = entries(draft_order, external_number="typed")
    first = client_of(salesperson).post(page(draft_order), entries(draft_order, external_number="first", **{"lines-0-quantity": 777}))
    assert first.status_code == 302, errors_of(first)
    response = client_of(maker).post(page(draft_order), typed)
    assert response.status_code == 200
    text = response.content.decode()
    assert 'value="typed"' in text
    changes = {(change.field, change.new, change.by) for change in response.context["adminform"].form.changes}
    assert ("external no.", "first", str(salesperson)) in changes
    assert ("quantity", "777", str(salesperson)) in changes
    draft_order.refresh_from_db()
    assert draft_order.external_number == "first"
    again = client_of(maker).post(page(draft_order), typed | {"version": draft_order.version})
    assert again.status_code == 302, errors_of(again)


def test_a_form_that_was_open_while_the_order_was_submitted_is_refused_with_a_sentence(shop, maker, draft_order):
    from apps.workorders.services import submit_order

    typed = entries(draft_order, external_number="typed")
    submit_order(draft_order, by=maker)
    response = client_of(maker).post(page(draft_order), typed)
    assert response.status_code == 200
    assert "Somebody saved this meanwhile" in errors_of(response)
    draft_order.refresh_from_db()
    response = client_of(maker).post(page(draft_order), typed | {"version": draft_order.version})
    assert response.status_code == 200
    assert "is submitted" in errors_of(response)
    draft_order.refresh_from_db()
    assert draft_order.external_number == ""


def test_a_foreign_line_cannot_be_pulled_in(shop, maker, draft_order):
    other = shop.draft(by="other_maker").lines.get()
    data = entries(draft_order) | {"lines-0-id": other.pk, "lines-0-quantity": 5}
    assert client_of(maker).post(page(draft_order), data).status_code == 200
    other.refresh_from_db()
    assert (other.quantity, OrderLine.objects.filter(order=draft_order).count()) == (1000, 1)


def test_a_foreign_customer_is_refused_without_his_name(shop, salesperson):
    draft = shop.draft(by="salesperson")
    response = client_of(salesperson).post(page(draft), entries(draft, customer=shop.other_customer.pk))
    assert response.status_code == 200
    assert "not one of the available choices" in errors_of(response)
    assert shop.other_customer.name not in response.content.decode()


def test_an_order_that_is_not_editable_is_read_only_and_says_why(maker, submitted_order):
    text = client_of(maker).get(page(submitted_order)).content.decode()
    assert 'name="_save"' not in text
    assert "so its entries are read-only" in text


def test_a_draft_is_deleted_by_its_verb_and_a_submitted_order_is_not(shop, maker, draft_order):
    client = client_of(maker)
    assert client.get(page(draft_order, "delete/")).status_code == 200
    assert client.post(page(draft_order, "delete/"), {"post": "yes"}).status_code == 302
    assert not WorkOrder.objects.filter(pk=draft_order.pk).exists()
    assert WorkEvent.objects.filter(order_number=draft_order.number, verb="delete").count() == 1
    assert client.post(page(shop.submitted(), "delete/"), {"post": "yes"}).status_code == 403


# -- out of sight


@pytest.mark.parametrize("tail", ["change/", "history/", "delete/", "submit/", "copy/", "share/", "why/"])
def test_another_makers_order_reads_as_absent(shop, other_maker, draft_order, tail):
    client = client_of(other_maker)
    assert client.get(page(draft_order, tail)).status_code == 404
    assert client.post(page(draft_order, tail), {"post": "yes"}).status_code in (404, 405)
    assert WorkOrder.objects.get().status == OrderStatus.DRAFT


def test_an_operator_has_no_order_pages(operator, approved_order):
    client = client_of(operator)
    assert client.get(ORDERS).status_code == 403
    assert client.get(page(approved_order)).status_code == 403


def test_a_task_of_another_department_reads_as_absent(shop, stranger, pending_task):
    client = client_of(stranger)
    for tail in ("change/", "history/", "claim/", "start/"):
        assert client.get(task_page(pending_task, tail)).status_code == 404
        assert client.post(task_page(pending_task, tail)).status_code in (404, 405)
    pending_task.refresh_from_db()
    assert pending_task.operator is None


# -- buttons


def test_only_the_moves_of_the_reader_are_buttons(shop, maker, salesperson, auditor):
    order = shop.submitted()

    def names(user):
        return [button["verb"].name for button in client_of(user).get(page(order)).context["buttons"]]

    assert names(maker) == ["ticket", "labels", "copy", "link", "cancel"]
    assert names(salesperson) == ["approve", "reject", "ticket", "labels", "copy", "link", "share", "cancel"]
    assert names(auditor) == []


def test_a_button_changes_nothing_on_get(shop, salesperson, submitted_order):
    client = client_of(salesperson)
    for verb in ("approve", "reject", "cancel", "copy", "share"):
        assert client.get(page(submitted_order, f"{verb}/")).status_code == 200
    assert client.get(page(submitted_order, "hold/")).status_code == 403
    submitted_order.refresh_from_db()
    assert (submitted_order.status, WorkOrder.objects.count()) == (OrderStatus.SUBMITTED, 1)


def test_approving_by_dialog_redirects_htmx_to_the_order(salesperson, submitted_order):
    response = client_of(salesperson).post(page(submitted_order, "approve/"), {"comment": "Fine."}, headers={"HX-Request": "true"})
    assert (response.status_code, response["HX-Redirect"]) == (200, submitted_order.get_absolute_url())
    submitted_order.refresh_from_db()
    assert (submitted_order.status, submitted_order.approved_by) == (OrderStatus.APPROVED, salesperson)
    assert submitted_order.history.first().history_change_reason == "Fine."


def test_a_rejection_without_a_reason_is_asked_for_one(salesperson, submitted_order):
    client = client_of(salesperson)
    assert client.post(page(submitted_order, "reject/"), {"reason": " "}).status_code == 400
    response = client.post(page(submitted_order, "reject/"), {"reason": "The colours are wrong."})
    assert response.status_code == 302
    submitted_order.refresh_from_db()
    assert submitted_order.status == OrderStatus.REJECTED


def test_the_reason_of_a_rejection_stands_beside_the_state_while_it_is_rejected(salesperson, submitted_order):
    client = client_of(salesperson)
    client.post(page(submitted_order, "reject/"), {"reason": "The colours are wrong."})
    head = client.get(page(submitted_order)).content.decode().partition('aria-label="The order in figures"')[2].partition("</section>")[0]
    assert "<strong>The colours are wrong.</strong>" in head
    WorkOrder.objects.filter(pk=submitted_order.pk).update(status=OrderStatus.DRAFT)
    assert 'id="rejection"' not in client.get(page(submitted_order)).content.decode()


def test_a_second_click_is_refused_with_a_sentence(salesperson, submitted_order):
    client = client_of(salesperson)
    assert client.post(page(submitted_order, "approve/")).status_code == 302
    response = client.post(page(submitted_order, "approve/"))
    assert response.status_code == 409
    assert "is approved" in response.content.decode()


def test_what_is_missing_is_named_in_the_dialog(shop, maker):
    order = shop.draft(due_date=None)
    client = client_of(maker)
    assert "The order has no due date" in client.get(page(order, "submit/")).content.decode()
    response = client.post(page(order, "submit/"))
    assert response.status_code == 409
    assert "The order has no due date" in response.content.decode()


def test_a_maker_cannot_approve(maker, submitted_order):
    response = client_of(maker).post(page(submitted_order, "approve/"))
    assert response.status_code == 403
    submitted_order.refresh_from_db()
    assert submitted_order.status == OrderStatus.SUBMITTED


def test_a_copy_opens_the_new_draft(maker, draft_order):
    response = client_of(maker).post(page(draft_order, "copy/"))
    copy = WorkOrder.objects.exclude(pk=draft_order.pk).get()
    assert response["Location"] == copy.get_absolute_url()


def test_material_and_tool_are_confirmed_from_the_order(shop, maker, supervisor):
    order = shop.approved(received=False)
    material, tool = order.materials.get(), order.tools.get()
    tool.confirmed_at = tool.confirmed_by = None
    tool.save()
    assert client_of(maker).post(page(order, "receive/"), {"material": material.pk}).status_code == 302
    assert client_of(supervisor).post(page(order, "confirm/"), {"tool": tool.pk}).status_code == 302
    material.refresh_from_db()
    tool.refresh_from_db()
    assert (material.received_by, tool.confirmed_by) == (maker, supervisor)


def test_sharing_and_taking_back(shop, salesperson, other_maker, submitted_order):
    client, guest = client_of(salesperson), client_of(other_maker)
    assert client.post(page(submitted_order, "share/"), {"person": "nobody knows"}).status_code == 400
    assert client.post(page(submitted_order, "share/"), {"person": "other_maker"}).status_code == 302
    assert guest.get(page(submitted_order)).status_code == 200
    share = submitted_order.user_shares.get()
    assert client.post(page(submitted_order, "unshare/"), {"share": f"user:{share.pk}"}).status_code == 302
    assert guest.get(page(submitted_order)).status_code == 404


# -- tasks


def test_an_operator_works_a_task_from_claim_to_completion(operator, pending_task):
    client = client_of(operator)
    assert client.get(task_page(pending_task)).status_code == 200
    assert client.post(task_page(pending_task, "claim/")).status_code == 302
    assert client.post(task_page(pending_task, "start/")).status_code == 302
    report = {"quantity": "４80", "scrap": "20", "reason_code": "setup", "once": "5f0e1d0a-1111-4222-8333-444455556666"}
    assert client.post(task_page(pending_task, "report/"), report).status_code == 302
    assert client.post(task_page(pending_task, "report/"), report).status_code == 302
    pending_task.refresh_from_db()
    assert (pending_task.good, pending_task.scrap, pending_task.status) == (480, 20, TaskStatus.IN_PROGRESS)
    short = client.post(task_page(pending_task, "complete/"), {"quantity": "20"})
    assert short.status_code == 409
    assert "Say why it ends short" in short.content.decode()
    assert client.post(task_page(pending_task, "complete/"), {"quantity": "520"}).status_code == 302
    pending_task.refresh_from_db()
    assert (pending_task.good, pending_task.status) == (1000, TaskStatus.COMPLETED)


@pytest.mark.parametrize("quantity", ["-1", "lots", "10000000000000", "1.5", "\x00"])
def test_a_bad_number_is_told_at_its_field(operator, running_task, quantity):
    response = client_of(operator).post(task_page(running_task, "report/"), {"quantity": quantity})
    assert response.status_code == 400
    assert response.context["form"].errors["quantity"]
    running_task.refresh_from_db()
    assert running_task.good == 0


def test_scrap_without_a_reason_is_refused(operator, running_task):
    response = client_of(operator).post(task_page(running_task, "report/"), {"scrap": "5"})
    assert response.status_code == 409
    assert "Scrap needs a reason" in response.content.decode()


def test_the_loser_of_a_claim_is_told_who_has_it(operator, second_operator, stranger, pending_task):
    assert client_of(operator).post(task_page(pending_task, "claim/")).status_code == 302
    response = client_of(second_operator).post(task_page(pending_task, "claim/"))
    assert response.status_code == 409
    assert f"{operator} has it" in response.content.decode()
    assert client_of(second_operator).post(task_page(pending_task, "start/")).status_code == 403
    for verb in ("claim", "start"):
        assert client_of(stranger).post(task_page(pending_task, f"{verb}/")).status_code == 404
    assert client_of(second_operator).get(task_page(pending_task)).status_code == 404
    pending_task.refresh_from_db()
    assert pending_task.operator == operator


def test_no_form_changes_a_task(supervisor, pending_task):
    client = client_of(supervisor)
    assert client.post(task_page(pending_task), {"status": "completed", "good": 5}).status_code == 403
    assert client.get(f"{TASKS}add/").status_code == 403
    assert client.get(task_page(pending_task, "delete/")).status_code == 403


def test_tasks_are_assigned_in_bulk_and_refusals_are_named(shop, supervisor, operator, approved_order):
    printing, cutting = shop.task(approved_order, "PRT"), shop.task(approved_order, "CUT")
    hidden = shop.task(approved_order, "CTP")
    client = client_of(supervisor)
    data = {"action": "bulk_assign", "_selected_action": [printing.pk, cutting.pk, hidden.pk]}
    asked = client.post(TASKS, data)
    assert asked.status_code == 200
    assert str(hidden) not in asked.context["rows"]
    response = client.post(TASKS, data | {"apply": "1", "operator": operator.pk, "reason": "He is free."}, follow=True)
    told = [str(message) for message in response.context["messages"]]
    printing.refresh_from_db()
    cutting.refresh_from_db()
    assert (printing.operator, cutting.operator) == (operator, None)
    assert any("1 row done" in text for text in told)
    assert any("1 row was refused" in text for text in told)
    assert any(text.startswith(f"{cutting}:") for text in told)
    assert not any(str(hidden) in text for text in told)
    assert any("1 row is not in this list" in text for text in told)


def test_bulk_actions_of_a_maker_are_his_own(maker, supervisor):
    def actions(user, url):
        return {name for name, _label in client_of(user).get(url).context["action_form"].fields["action"].choices if name}

    assert actions(maker, ORDERS) == {"bulk_submit", "bulk_cancel", "bulk_ticket"}
    assert "bulk_assign" in actions(supervisor, TASKS)
    assert actions(maker, TASKS) == {"bulk_labels"}


def test_a_supervisor_takes_a_report_back_and_an_operator_cannot(shop, supervisor, operator, running_task):
    from apps.workorders.services import report

    report(running_task, by=operator, good=100)
    event = WorkEvent.objects.get(task=running_task, verb="report")
    url = f"/admin/workorders/workevent/{event.pk}/correct/"
    assert client_of(operator).post(url, {"reason": "Wrong."}).status_code == 403
    assert client_of(supervisor).get(url).status_code == 200
    assert client_of(supervisor).post(url, {"reason": "Counted twice."}).status_code == 302
    running_task.refresh_from_db()
    assert running_task.good == 0
    assert client_of(supervisor).post(url, {"reason": "Again."}).status_code == 409


# -- lists


def test_lists_filter_search_and_link(shop, supervisor, salesperson, operator, pending_task):
    late = shop.draft(due_date=timezone.localdate(), order_date=timezone.localdate())
    WorkOrder.objects.filter(pk=late.pk).update(due_date=timezone.localdate() - timezone.timedelta(days=3))
    client = client_of(salesperson)
    assert [row.pk for row in client.get(f"{ORDERS}?late=yes").context["cl"].result_list] == [late.pk]
    assert "3 days late" in client.get(f"{ORDERS}?late=yes").content.decode()
    assert [row.pk for row in client.get(f"{ORDERS}?q={late.number}").context["cl"].result_list] == [late.pk]
    assert client.get(f"{ORDERS}?instructions__startswith=x").status_code == 400
    for link in client.get(ORDERS).context["quick_links"]:
        assert client.get(f"{ORDERS}?{link['query']}").status_code == 200
    claimable = client_of(operator).get(f"{TASKS}?claimable=yes").context["cl"].result_list
    assert [task.pk for task in claimable] == [pending_task.pk]
    assert [task.pk for task in client_of(operator).get(f"{TASKS}?q={pending_task}").context["cl"].result_list] == [pending_task.pk]
    production = shop.departments["production"].pk
    below = client_of(supervisor).get(f"{TASKS}?department={production}").context["cl"].result_list
    assert pending_task in list(below)


@pytest.mark.parametrize(
    "query", ["q=%00", "department=x", "status__exact=zz", "customer__id__exact=x", "o=99.99", "p=99999999999999999999", "due_date_from=x"]
)
@pytest.mark.parametrize("url", [ORDERS, TASKS])
def test_strange_filters_are_no_crash(supervisor, approved_order, url, query):
    assert client_of(supervisor).get(f"{url}?{query}", follow=True).status_code in (200, 400)


@pytest.mark.parametrize(("url", "who"), [(ORDERS, "planner"), (TASKS, "supervisor"), ("/admin/workorders/workevent/", "planner")])
def test_a_list_costs_the_same_for_two_and_for_many_rows(shop, everybody, url, who):
    def cost():
        client = client_of(everybody[who])
        client.get(url)  # fills what is cached between requests
        with count_queries() as statements:
            assert client.get(url).status_code == 200
        return len(statements)

    shop.approved("leaflet")
    shop.approved("leaflet")
    few = cost()
    for _number in range(6):
        shop.approved("leaflet", "carton")
    assert cost() == few


def test_an_order_page_costs_the_same_for_few_and_for_many_tasks(shop, supervisor, planner):
    from apps.workorders.services import split_task

    order = shop.approved()

    def cost(user):
        client = client_of(user)
        client.get(page(order))  # fills what is cached between requests
        with count_queries() as statements:
            assert client.get(page(order)).status_code == 200
        return len(statements)

    few = [cost(supervisor), cost(planner)]
    split_task(shop.task(order, "PRT"), by=supervisor, quantities=[10] * 48)
    assert Task.objects.filter(order=order).count() > 50
    assert [cost(supervisor), cost(planner)] == few


# -- why


def test_why_is_answered_to_the_administrator_by_number_only(shop, administrator, supervisor, maker, stranger, approved_order):
    url = page(approved_order, "why/")
    response = client_of(administrator).get(url, {"user": stranger.pk})
    text = response.content.decode()
    assert response.status_code == 200
    assert response.context["verdict"] is False
    assert approved_order.number in text
    assert shop.customer.name not in text
    assert client_of(supervisor).get(url, {"user": supervisor.pk}).context["verdict"] is True
    assert client_of(maker).get(url).status_code == 403
    assert client_of(administrator).get(page(approved_order)).status_code == 403
    assert client_of(administrator).get(f"{ORDERS}999999/why/").status_code == 404


def test_every_page_opens_in_chinese_for_everybody_who_sees_it(shop, everybody, approved_order):
    task = shop.task(approved_order, "PRT")
    urls = [
        ORDERS,
        page(approved_order),
        page(approved_order, "history/"),
        TASKS,
        task_page(task),
        reverse("admin:workorders_workevent_changelist"),
    ]
    for user in everybody.values():
        client = client_of(user)
        client.cookies["django_language"] = "zh-hans"
        for url in urls:
            assert client.get(url).status_code in (200, 403, 404), (user, url)


def test_a_lead_opens_the_open_work_of_his_departments(shop, supervisor):
    shop.started(shop.ready_to_print(shop.approved("leaflet")), by="operator")
    client = client_of(supervisor)
    assert f'hx-get="{TASKS}loads/"' in client.get(TASKS).content.decode()
    with count_queries(most=8):
        loads = client.get(f"{TASKS}loads/")
    printing, mine = shop.departments["printing"], Task.objects.visible_to(supervisor).open()
    rows = {row.pk: row for row in loads.context["departments"]}
    assert sum(row.tasks for row in rows.values()) == mine.count() > 1
    assert rows[printing.pk].tasks == mine.filter(department=printing).count()
    assert rows[printing.pk].minutes == sum(minutes_left(task) for task in mine.filter(department=printing))  # as in the rows
    (one,) = loads.context["people"]
    assert (one.label, one.tasks, one.share) == (str(shop.people["operator"]), 1, 100)
    assert f'href="{TASKS}?open=yes&amp;operator__id__exact={shop.people["operator"].pk}"' in loads.content.decode()


def test_who_leads_nobody_has_no_loads(shop, operator):
    client = client_of(operator)
    assert "loads/" not in client.get(TASKS).content.decode()
    assert client.get(f"{TASKS}loads/").status_code == 403
    assert client_of(shop.people["supervisor"]).post(f"{TASKS}loads/").status_code == 405


def test_a_page_that_deletes_brings_the_texts_that_its_scripts_ask_for(maker, draft_order):
    head = client_of(maker).get(page(draft_order, "delete/")).content.decode().partition("</head>")[0]
    assert 0 < head.find(f'<script src="{reverse("admin:jsi18n")}"></script>') < head.find("admin/js/cancel")
