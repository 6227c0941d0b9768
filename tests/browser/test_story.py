"""The main job as people do it, in a browser: each part by the person whose part it is."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from playwright.sync_api import Page, expect

from apps.accounts.services import system_user
from apps.catalog.models import Customer, Product, Tool
from apps.catalog.services import confirm_tool
from apps.core.units import Unit
from apps.imports.services import apply_import, plan_import
from apps.workorders import services as do
from apps.workorders.models import OrderLine, OrderMaterial, Task, WorkOrder
from apps.workorders.states import OrderStatus, TaskStatus
from tests.ops.workers import eventually
from tests.stories.house import ORDERED, SAMPLES, WORKERS

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
PHONE = {"width": 360, "height": 740}
expect.set_options(timeout=20_000)


@pytest.fixture
def catalogue(cast):
    """The cast, and what catalogue.xlsx has."""
    uploaded = SimpleUploadedFile("catalogue.xlsx", (SAMPLES / "catalogue.xlsx").read_bytes())
    apply_import(plan_import("catalogue", uploaded, by=cast["supervisor"]), by=cast["supervisor"])
    return cast


def draft(cast, **changes) -> WorkOrder:
    """3,000 posters, that nothing is missing for."""
    artwork = Tool.objects.create(kind="artwork", code="P", name="poster")
    order = WorkOrder(**{"customer": Customer.objects.get(code="C002"), "due_date": "2030-01-01", "maker": cast["maker"]} | changes)
    line = OrderLine(product=Product.objects.get(code="POSTER"), quantity=3000)
    paper = OrderMaterial(name="art paper", amount=500, unit=Unit.SHEET, needs_cutting=True)
    return do.create_order(order, lines=[line], materials=[paper], tools=[artwork], by=cast["maker"])


def running(cast) -> WorkOrder:
    """The same, approved, dispatched and with everything there."""
    order = do.approve_order(do.submit_order(draft(cast), by=cast["maker"]), by=cast["sales_c"])
    do.dispatch_order(order, by=system_user())
    confirm_tool(order.tools.get(), by=cast["maker"])
    do.receive_material(order.materials.get(), by=cast["maker"])
    return order


def finish(cast, task: Task) -> None:
    worker = task.operator or cast[WORKERS[task.department.code]]
    do.complete_task(do.start_task(task, by=worker), by=worker, good=task.planned)


def press(page: Page, button: str, **typed: str) -> None:
    """Press a button of the page, answer what its dialog asks, and send it."""
    page.get_by_label("What you can do now").get_by_role("button", name=button, exact=True).click()
    dialog = page.locator("#dialog")
    expect(dialog).to_be_visible()
    for name, value in typed.items():
        field = dialog.locator(f"[name={name}]")
        field.select_option(value) if field.evaluate("one => one.tagName") == "SELECT" else field.fill(value)
    dialog.locator("button[type=submit]").click()


def says(page: Page, text: str) -> None:
    expect(page.get_by_text(text).first).to_be_visible()


def fits(page: Page) -> None:
    """Nothing is wider than the screen."""
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, page.url


def supervisor_imports(page: Page) -> None:
    page.goto("/admin/")
    page.get_by_role("link", name="Import orders or catalogue").click()
    page.get_by_role("link", name="Orders with their lines").click()
    page.set_input_files("[name=file]", SAMPLES / "orders-october.xlsx")
    page.fill("[name=order_date]", ORDERED)
    page.get_by_role("button", name="Show the plan").click()
    says(page, "This is what the import would do")
    expect(page.get_by_label("The import in figures")).to_contain_text(re.compile(r"Rows\s*76\s*To create\s*60"))
    assert not WorkOrder.objects.exists()
    page.get_by_role("button", name="Apply").click()
    says(page, "applied at")  # at once or by the worker: the page follows it
    expect(page.get_by_label("The import in figures")).to_contain_text(re.compile(r"Created\s*60"))


def maker_completes(page: Page, order: WorkOrder) -> None:
    page.goto("/admin/")
    page.locator("a", has_text="For you to complete").first.click()
    page.locator("#searchbar").fill("PO-26123")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=order.number).click()
    press(page, "Submit")
    says(page, "attach the artwork under Tools")
    page.locator("#dialog").get_by_role("button", name="Cancel").click()

    page.get_by_role("link", name=re.compile("Add another Material", re.I)).click()
    page.locator("#id_materials-0-name").fill("157g 铜版纸")
    page.locator("#id_materials-0-amount").fill("1250")
    page.locator("#id_materials-0-unit").select_option(Unit.SHEET)
    page.locator("#id_materials-0-needs_cutting").check()
    page.locator("select[name=tools] ~ .select2 .select2-selection").click()
    page.keyboard.type("LY-POS")
    page.locator(".select2-results__option", has_text="LY-POSTER").click()
    page.get_by_role("button", name="Save", exact=True).click()
    says(page, "was changed successfully")
    page.goto(order.get_absolute_url())
    says(page, "LY-POSTER v1")
    expect(page.locator("#steps")).to_contain_text("stock cutting")
    press(page, "Submit")
    says(page, "It waits for approval.")


def salesperson_approves(page: Page, order: WorkOrder) -> None:
    page.goto("/admin/")
    says(page, "Waiting for you")
    page.locator(".home-row", has_text=order.number).get_by_role("link", name=re.compile("^Decide")).click()
    expect(page.locator("#lines")).to_contain_text("海报")
    press(page, "Approve", comment="as discussed")
    says(page, "is approved. Its tasks are being dispatched.")


def maker_makes_ready(page: Page, order: WorkOrder) -> None:
    page.goto(order.get_absolute_url())
    for link in ("Confirm", "Received"):
        page.get_by_role("button", name=link, exact=True).click()
        page.locator("#dialog button[type=submit]").click()
        page.wait_for_load_state()
        expect(page.locator("#dialog")).to_be_hidden()


def operator_prints(page: Page, task: Task) -> None:
    """With one hand, on a phone: from the home page to a completed task."""
    page.goto("/admin/")
    fits(page)
    page.locator(".home-row", has_text=f"T{task.pk}").get_by_role("link").first.click()
    fits(page)
    press(page, "Claim")
    says(page, f"Task T{task.pk} is yours.")
    press(page, "Start")
    says(page, f"Task T{task.pk} is running.")
    press(page, "Report", quantity="480", scrap="20")
    says(page, "Scrap needs a reason.")
    assert Task.objects.get(pk=task.pk).good == 0
    dialog = page.locator("#dialog")
    dialog.locator("[name=reason_code]").select_option("colour")
    dialog.locator("button[type=submit]").click()
    says(page, f"Reported on task T{task.pk}.")
    fits(page)
    press(page, "Complete")
    says(page, f"Task T{task.pk} is completed.")
    fits(page)


def test_an_order_is_imported_completed_approved_dispatched_and_printed(catalogue, page_of, worker):
    supervisor_imports(page_of(catalogue["supervisor"]))
    order = WorkOrder.objects.get(external_number="PO-26123")
    Tool.objects.create(kind="artwork", code="LY-POSTER", name="海报", customer=order.customer)
    maker = page_of(catalogue["maker"])
    maker_completes(maker, order)
    salesperson_approves(page_of(catalogue["sales_l"]), order)
    tasks = Task.objects.filter(order=order).select_related("step__process", "department", "operator")
    eventually(lambda: tasks.count() == 5 and not tasks.filter(dispatched_at=None).exists(), within=30)
    maker_makes_ready(maker, order)
    for code in ("CTP", "CUT"):
        finish(catalogue, tasks.get(step__process__code=code))

    printing = tasks.get(step__process__code="PRT")
    operator_prints(page_of(catalogue["printer_1"], **PHONE), printing)
    printing.refresh_from_db()
    assert (printing.status, printing.good, printing.scrap) == (TaskStatus.COMPLETED, printing.planned, 20)
    for task in tasks.filter(status=TaskStatus.PENDING).order_by("step__sequence"):
        finish(catalogue, task)
    order.refresh_from_db()
    assert order.status == OrderStatus.COMPLETED
    maker.goto(order.get_absolute_url())
    says(maker, "completed")
    expect(maker.locator("#notices")).to_contain_text(f"Order {order.number} is completed.")


def test_a_supervisor_assigns_several_tasks_at_once_and_reads_what_was_refused(catalogue, page_of):
    order = running(catalogue)
    printing, trimming = (Task.objects.get(order=order, step__process__code=code) for code in ("PRT", "TRIM"))
    page = page_of(catalogue["supervisor"])
    page.goto(f"/admin/workorders/task/?q={order.number}")
    for task in (printing, trimming):
        page.locator(f".action-select[value='{task.pk}']").check()
    page.locator("select[name=action]").first.select_option("bulk_assign")
    page.get_by_role("button", name=re.compile("Run|Go")).first.click()
    says(page, "2 rows")
    page.locator("[name=operator]").select_option(str(catalogue["printer_2"].pk))
    page.get_by_role("button", name="Assign or reassign").click()
    says(page, "Assign or reassign: 1 row done.")
    says(page, "1 row was refused:")
    says(page, f"T{trimming.pk}: Printer 2 does not work in cutting.")
    printing.refresh_from_db()
    trimming.refresh_from_db()
    assert (printing.operator, printing.status) == (catalogue["printer_2"], TaskStatus.ASSIGNED)
    assert (trimming.operator, trimming.status) == (None, TaskStatus.PENDING)


def test_a_form_that_went_stale_shows_what_changed_and_keeps_what_was_typed(catalogue, page_of):
    order = draft(catalogue)
    late, first = page_of(catalogue["maker"]), page_of(catalogue["supervisor"])
    for page in (late, first):
        page.goto(order.get_absolute_url())
    first.fill("[name=external_number]", "PO-FIRST")
    first.get_by_role("button", name="Save", exact=True).click()
    says(first, "was changed successfully")
    late.fill("[name=instructions]", "Keep the colour of the sample.")
    late.get_by_role("button", name="Save", exact=True).click()
    changes = late.locator("#docket-changes")
    expect(changes).to_contain_text("PO-FIRST")
    expect(changes).to_contain_text("Supervisor")
    expect(late.locator("[name=instructions]")).to_have_value("Keep the colour of the sample.")
    order.refresh_from_db()
    assert (order.external_number, order.instructions) == ("PO-FIRST", "")


def test_the_language_is_switched_on_the_page_of_ones_account(cast, page_of):
    page = page_of(cast["maker"])
    page.goto(reverse("dashboard:account"))
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.locator("button[lang=zh-hans]").click()
    expect(page.locator("html")).to_have_attribute("lang", re.compile("zh-hans", re.I))
    page.goto("/admin/workorders/task/")
    expect(page.locator("html")).to_have_attribute("lang", re.compile("zh-hans", re.I))
