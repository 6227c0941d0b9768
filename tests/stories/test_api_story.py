"""The main job, whole, over HTTP: from the office's spreadsheets to a completed order, each step by the person whose step it is."""

import json
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from threading import Barrier
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db.models import Sum
from django.urls import reverse

from apps.catalog.models import Customer, Product, Tool
from apps.imports.models import WORKING, ImportRun, ImportState
from apps.notices.models import Notice
from apps.workorders.models import OrderLine, OrderMaterial, Step, Task, WorkEvent, WorkOrder
from apps.workorders.states import OrderStatus, StepStatus, TaskStatus
from tests.ops.workers import eventually
from tests.personas import client_of
from tests.stories.house import ORDERED, PASSWORD, SAMPLES, WORKERS

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
JOB = "PO-26121"  # 3,000 posters and 500 albums for 晨光文化传播, whose salesperson is sales_c


class Handheld:
    """Speaks HTTP to the live server, as a device does: signs in by name and password, sends the token from then on."""

    def __init__(self, site: str, name: str) -> None:
        self.site, self.token, self.request_ids = site, "", []
        status, answer = self.post("/api/auth/login/", username=name, password=PASSWORD)
        assert status == 200, answer
        self.token, self.me = answer["token"], answer["user"]

    def call(self, method: str, path: str, body: dict | None = None, **headers: str) -> tuple[int, Any]:
        sent = {"Content-Type": "application/json", **headers} | ({"Authorization": f"Token {self.token}"} if self.token else {})
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.site}{path}", data=data, headers=sent, method=method)
        try:
            with urlopen(request, timeout=60) as answer:
                status, text, said = answer.status, answer.read(), answer.headers
        except HTTPError as refused:
            status, text, said = refused.code, refused.read(), refused.headers
        self.request_ids.append(said["X-Request-ID"])
        return status, json.loads(text) if text else None

    def get(self, path: str, **query: Any) -> Any:
        status, answer = self.call("GET", f"{path}?{urlencode(query)}")
        assert status == 200, answer
        return answer

    def post(self, path: str, **body: Any) -> tuple[int, Any]:
        return self.call("POST", path, body)

    def do(self, path: str, **body: Any) -> Any:
        """A command that is expected to work."""
        status, answer = self.post(path, **body)
        assert status in (200, 201), answer
        return answer


def filled(page: Any) -> dict[str, Any]:
    """What a browser would post of an admin form as it was sent."""
    form, formsets = page.context["adminform"].form, [one.formset for one in page.context["inline_admin_formsets"]]
    forms = [form, *(part for formset in formsets for part in (formset.management_form, *formset.initial_forms))]
    values = {field.html_name: field.value() for one in forms for field in one}
    return {name: "" if value is None else value for name, value in values.items() if value is not False}


def imported(client: Any, name: str, resource: str, **options: Any) -> tuple[ImportRun, str]:
    """Upload a sample, look at its plan, apply it. Hands back the run and what the plan's page said."""
    uploaded = SimpleUploadedFile(name, (SAMPLES / name).read_bytes())
    client.post(f"{reverse('admin:imports_upload')}?resource={resource}", {"file": uploaded, **options}, follow=True)
    run = ended(ImportRun.objects.latest("pk"))
    page = client.get(reverse("admin:imports_importrun_change", args=[run.pk]))
    assert (page.status_code, run.state) == (200, ImportState.PLANNED), run.problems
    assert not WorkOrder.objects.exists()
    client.post(reverse("admin:imports_apply", args=[run.pk]), follow=True)
    run = ended(run)
    assert (run.state, run.rows_done) == (ImportState.APPLIED, run.rows_planned)
    notice = run.owner.notices.filter(kind="import_applied").latest("pk")
    assert str(notice) == f"Import {run.pk} is applied. Rows imported: {run.rows_done}."
    return run, page.content.decode()


def ended(run: ImportRun) -> ImportRun:
    """The run when nobody works on it any more: what the page did not do at once is done by the worker."""
    return eventually(lambda: ImportRun.objects.exclude(state__in=WORKING).filter(pk=run.pk).first())


def supervisor_imports(cast: dict) -> WorkOrder:
    client = client_of(cast["supervisor"])
    catalogue, plan = imported(client, "catalogue.xlsx", "catalogue")
    assert catalogue.rows_planned == 16
    assert "华彩包装有限公司" in plan
    assert (Customer.objects.count(), Customer.objects.get(code="C002").salesperson) == (8, cast["sales_c"])
    assert Product.objects.get(code="ALBUM").route.steps.count() == 7

    register, plan = imported(client, "orders-october.xlsx", "orders", maker=cast["maker"].pk, order_date=ORDERED)
    assert (register.rows_planned, WorkOrder.objects.count(), OrderLine.objects.count()) == (76, 60, 76)
    assert "PO-26121" in plan
    order = WorkOrder.objects.get(external_number=JOB)
    assert (order.status, order.maker, order.import_run) == (OrderStatus.DRAFT, cast["maker"], register)
    assert list(order.lines.values_list("product__code", "quantity")) == [("POSTER", 3000), ("ALBUM", 500)]
    assert set(order.history.values_list("history_user", "source")) == {(cast["supervisor"].pk, "import")}
    return order


def maker_completes(cast: dict, order: WorkOrder) -> None:
    """An artwork and a material through the admin's forms: steps and draft tasks are there at once; what is missing is named."""
    client, page = client_of(cast["maker"]), order.get_absolute_url()
    dialog = reverse("admin:workorders_workorder_verb_submit", args=[order.pk])
    assert "printing needs one: attach the artwork under Tools." in client.get(dialog).content.decode()
    refused = client.post(dialog, {})
    assert (refused.status_code, "attach the artwork under Tools" in refused.content.decode()) == (409, True)

    artwork = {"kind": "artwork", "code": "CG-POSTER", "revision": 1, "name": "十月海报", "customer": order.customer_id}
    assert client.post(reverse("admin:catalog_tool_add"), artwork).status_code == 302
    data = filled(client.get(page))
    data |= {
        "tools": [Tool.objects.get(code="CG-POSTER").pk],
        "materials-TOTAL_FORMS": 1,
        "materials-0-name": "157g 铜版纸",
        "materials-0-size": "889x1194",
        "materials-0-amount": "800",
        "materials-0-unit": "sheet",
        "materials-0-needs_cutting": "on",
    }
    saved = client.post(page, data)
    assert saved.status_code == 302, saved.context["errors"]
    shown = client.get(page).content.decode()
    tasks = list(Task.objects.filter(order=order).select_related("step__process").order_by("step__sequence", "pk"))
    assert [task.step.process.code for task in tasks] == ["CTP", "CUT", "PRT", "UV", "GLUE", "TRIM", "PACK", "PACK"]
    assert {task.status for task in tasks} == {TaskStatus.DRAFT}
    assert all(task.step.process.name in shown for task in tasks)

    assert client.post(dialog, {}).status_code == 302
    order.refresh_from_db()
    assert (order.status, order.submitted_by) == (OrderStatus.SUBMITTED, cast["maker"])


def salesperson_approves(cast: dict, site: str, order: WorkOrder) -> None:
    home = client_of(cast["sales_c"]).get(reverse("admin:index")).content.decode()
    assert ("Waiting for you" in home, order.number in home) == (True, True)
    assert order.number not in client_of(cast["sales_h"]).get(reverse("admin:index")).content.decode()

    phone = Handheld(site, "sales_c")
    (notice,) = phone.get("/api/notifications/")["results"]
    assert notice["text"] == f"Order {order.number} waits for your approval."
    (waiting,) = phone.get("/api/workorders/", status="submitted")["results"]
    seen = phone.get(f"/api/workorders/{waiting['id']}/")
    assert [line["quantity"] for line in seen["lines"]] == [3000, 500]
    assert "approve" in seen["moves"]
    assert Handheld(site, "sales_h").call("GET", f"/api/workorders/{order.pk}/")[0] == 404
    assert Handheld(site, "maker").post(f"/api/workorders/{order.pk}/approve/")[0] == 403
    assert phone.do(f"/api/workorders/{order.pk}/approve/", comment="go")["status"] == OrderStatus.APPROVED


def worker_dispatches(cast: dict, order: WorkOrder) -> None:
    """Within seconds each task has a department, some have a person, and each says why."""
    tasks = Task.objects.filter(order=order)
    eventually(lambda: not tasks.filter(dispatched_at=None).exists(), within=30)
    places = dict(tasks.values_list("step__process__code", "department__code"))
    assert places == {
        "CTP": "design", "CUT": "cutting", "PRT": "printing", "UV": "printing", "GLUE": "packaging", "TRIM": "cutting",
        "PACK": "packaging",
    }  # fmt: skip
    plate = tasks.get(step__process__code="CTP")
    assert plate.operator in (cast["prepress_1"], cast["prepress_2"])
    assert set(tasks.exclude(pk=plate.pk).values_list("status", "operator")) == {(TaskStatus.PENDING, None)}
    client = client_of(cast["lead_design"])
    shown = client.get(plate.get_absolute_url()).content.decode()
    assert str(plate.decisions.get().reason) in shown.replace("&#x27;", "'")
    assert all(str(task.decisions.get().reason) for task in tasks)
    assert set(WorkEvent.objects.filter(order=order, verb="dispatch").values_list("source", flat=True)) == {"job"}


def office_makes_ready(cast: dict, order: WorkOrder) -> None:
    """The artwork is confirmed, the material is received."""
    tool, material = order.tools.get(), OrderMaterial.objects.get(order=order)
    client = client_of(cast["maker"])
    assert client.post(reverse("admin:workorders_workorder_verb_confirm", args=[order.pk]), {"tool": tool.pk}).status_code == 302
    assert client.post(reverse("admin:workorders_workorder_verb_receive", args=[order.pk]), {"material": material.pk}).status_code == 302
    tool.refresh_from_db()
    material.refresh_from_db()
    assert (tool.confirmed_by, material.received_by) == (cast["maker"], cast["maker"])


def finish(person: Handheld, task: Task) -> None:
    """Start and complete as planned."""
    person.do(f"/api/tasks/{task.pk}/start/")
    done = person.do(f"/api/tasks/{task.pk}/complete/", quantity=task.planned)
    assert (done["status"], done["good"]) == (TaskStatus.COMPLETED, task.planned)


def printers_race(site: str, task: Task) -> tuple[Handheld, Handheld]:
    """Both claim at the same moment: one gets it, the other is told who has it."""
    people = [Handheld(site, "printer_1"), Handheld(site, "printer_2")]
    for person in people:
        offered = person.get("/api/tasks/", claimable=1)["results"]
        assert task.pk in [one["id"] for one in offered]
        assert all("claim" in one["moves"] for one in offered)
    barrier = Barrier(2)

    def claims(person: Handheld) -> tuple[int, Any]:
        barrier.wait(timeout=30)
        return person.post(f"/api/tasks/{task.pk}/claim/")

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(claims, people))
    assert sorted(status for status, _answer in outcomes) == [200, 409]
    winner, loser = people if outcomes[0][0] == 200 else reversed(people)
    told = next(answer for status, answer in outcomes if status == 409)
    assert (told["code"], told["status"]) == ("already_claimed", 409)
    assert winner.me["name"] in told["detail"]
    return winner, loser


def progress(person: Handheld, order: WorkOrder) -> tuple[str, int, int]:
    seen = person.get(f"/api/workorders/{order.pk}/")
    return seen["status"], seen["tasks_done"], seen["tasks_total"]


def floor_works(cast: dict, site: str, order: WorkOrder) -> Handheld:
    """Every task to its end, with order and steps moving along. Hands back who printed."""
    maker, tasks = Handheld(site, "maker"), Task.objects.filter(order=order).select_related("step__process", "department", "operator")
    hands = {department: Handheld(site, name) for department, name in WORKERS.items()}
    plate, cut, printing = (tasks.get(step__process__code=code) for code in ("CTP", "CUT", "PRT"))
    early = hands["printing"].post(f"/api/tasks/{printing.pk}/start/")
    assert (early[0], early[1]["code"]) == (409, "not_ready")
    assert "plate making is not completed yet" in early[1]["detail"]
    finish(Handheld(site, plate.operator.username), plate)
    assert progress(maker, order) == ("in_progress", 1, 8)
    finish(hands["cutting"], cut)

    winner, loser = printers_race(site, printing)
    address = f"/api/tasks/{printing.pk}"
    winner.do(f"{address}/start/")
    assert loser.post(f"{address}/update_progress/", quantity=1)[0] == 404
    unexplained = winner.post(f"{address}/update_progress/", quantity=480, scrap=20)
    assert (unexplained[0], unexplained[1]["code"]) == (409, "reason_needed")
    sent = {"quantity": 480, "scrap": 20, "reason": "colour", "notes": "second shift"}
    answers = [winner.call("POST", f"{address}/update_progress/", sent, **{"Idempotency-Key": "shift-2"}) for _twice in range(2)]
    assert [(status, answer["good"], answer["scrap"], answer["percent"]) for status, answer in answers] == [(200, 480, 20, 16)] * 2
    reported = WorkEvent.objects.get(task=printing, verb="report")
    assert (reported.good, reported.scrap, reported.reason_code, reported.note) == (480, 20, "colour", "second shift")
    assert (reported.actor.username, reported.source, reported.request_id) == (winner.me["username"], "api", winner.request_ids[-2])
    assert progress(maker, order) == ("in_progress", 2, 8)
    assert Step.objects.get(pk=printing.step_id).status == StepStatus.IN_PROGRESS
    short = winner.post(f"{address}/complete/", quantity=100)
    assert (short[0], short[1]["code"]) == (409, "short")
    assert winner.do(f"{address}/complete/", quantity=printing.planned - 480)["status"] == TaskStatus.COMPLETED

    for done, task in enumerate(tasks.filter(status=TaskStatus.PENDING).order_by("step__sequence", "pk"), start=3):
        assert progress(maker, order) == ("in_progress", done, 8)
        finish(hands[task.department.code], task)
    assert progress(maker, order) == ("completed", 8, 8)
    return winner


def test_an_order_goes_from_a_spreadsheet_row_to_a_finished_counted_task(cast, live_server, worker):
    order = supervisor_imports(cast)
    maker_completes(cast, order)
    salesperson_approves(cast, live_server.url, order)
    worker_dispatches(cast, order)
    office_makes_ready(cast, order)
    printer = floor_works(cast, live_server.url, order)

    order = WorkOrder.objects.get(pk=order.pk)
    assert set(order.steps.values_list("status", flat=True)) == {StepStatus.COMPLETED}
    assert Task.objects.get(order=order, step__process__code="PRT").operator.username == printer.me["username"]
    told = {name: list(Notice.objects.filter(user=cast[name]).order_by("pk").values_list("kind", flat=True)) for name in cast}
    assert told["maker"] == ["order_approved", "order_completed"]
    assert told["sales_c"] == ["order_submitted", "order_completed"]
    # A plan that the worker had to end is told as well.
    assert [kind for kind in told["supervisor"] if kind != "import_planned"] == ["import_applied", "import_applied", "order_completed"]
    assert sorted(told["prepress_1"] + told["prepress_2"]) == ["task_assigned"]
    assert told["sales_h"] == told["printer_1"] == told["printer_2"] == []

    for task in Task.objects.filter(order=order):
        sums = WorkEvent.objects.filter(task=task).aggregate(good=Sum("good"), scrap=Sum("scrap"))
        assert (sums["good"], sums["scrap"]) == (task.good, task.scrap)
        assert task.good == task.planned
    doors = WorkEvent.objects.filter(order=order).values_list("verb", "actor__username", "source").distinct()
    assert {
        ("create", "supervisor", "import"),
        ("revise", "maker", "admin"),
        ("submit", "maker", "admin"),
        ("approve", "sales_c", "api"),
        ("receive", "maker", "admin"),
        ("claim", printer.me["username"], "api"),
    } <= set(doors)
    history = order.history.order_by("history_id")
    assert [(row.history_user.username, row.source, row.status) for row in history][-1] == ("packer_1", "api", "completed")
    assert not history.filter(request_id="").exists()
    approved = history.filter(status="approved").first()
    assert (approved.history_user, approved.source, approved.history_change_reason) == (cast["sales_c"], "api", "go")

    said = StringIO()
    call_command("check_integrity", stdout=said)
    assert "wrong" not in said.getvalue()
