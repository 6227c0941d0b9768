"""The import pages, as people use them."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.catalog.models import Customer, Product
from apps.imports.models import ImportRun, ImportState
from apps.imports.uploads import KEPT, CappedUpload
from apps.workorders.models import OrderLine, WorkOrder
from tests.imports.samples import every_table, options, sample
from tests.personas import client_of

pytestmark = pytest.mark.django_db
PRODUCTS = ["BROCHURE", "CARDS", "POSTER", "ALBUM", "CARTON", "BOARD", "MAILER", "WINBOX"]


def upload(client, name, resource="orders"):
    """Post the form; the answer is the plan page, or the form with its errors."""
    data = {"file": sample(name)}
    if resource == "orders":
        data |= options()
    return client.post(f"{reverse('admin:imports_upload')}?resource={resource}", data, follow=True)


def page_of(run):
    return reverse("admin:imports_importrun_change", args=[run.pk])


def test_the_catalogue_and_the_october_orders_go_in_through_the_pages(reference, supervisor):
    client = client_of(supervisor)
    answer = upload(client, "catalogue.xlsx", "catalogue")
    run = ImportRun.objects.get()
    assert answer.redirect_chain == [(page_of(run), 302)]
    assert "This is what the import would do" in answer.content.decode()
    assert not Customer.objects.filter(code="C001").exists()
    answer = client.post(reverse("admin:imports_apply", args=[run.pk]), follow=True)
    assert f"Import {run.pk} is applied: 16 rows." in answer.content.decode()
    assert Customer.objects.filter(code__startswith="C00").count() == 8
    assert Product.objects.filter(code__in=PRODUCTS).count() == 8

    upload(client, "orders-october.xlsx")
    run = ImportRun.objects.first()
    answer = client.post(reverse("admin:imports_apply", args=[run.pk]), follow=True)
    assert (WorkOrder.objects.count(), OrderLine.objects.count()) == (60, 76)
    order = WorkOrder.objects.get(external_number="PO-26100")
    assert reverse("admin:workorders_workorder_change", args=[order.pk]) in answer.content.decode()
    assert order.number in answer.content.decode()


def test_the_plan_page_shows_counts_problems_and_no_button_where_there_are_errors(catalogue, supervisor):
    page = upload(client_of(supervisor), "orders-messy.xlsx").content.decode()
    run = ImportRun.objects.first()
    assert run.state == ImportState.FAULTY
    assert "CARTONN is no known product code: did you mean CARTON?" in page
    assert "Nothing can be imported yet" in page
    assert reverse("admin:imports_apply", args=[run.pk]) not in page
    assert "&lt;" not in run.file_name


def test_pressing_apply_twice_imports_once(catalogue, supervisor):
    client = client_of(supervisor)
    upload(client, "orders-semicolon.csv")
    address = reverse("admin:imports_apply", args=[ImportRun.objects.first().pk])
    client.post(address)
    answer = client.post(address, follow=True)
    assert "was applied already" in answer.content.decode()
    assert WorkOrder.objects.count() == 12


def test_no_address_changes_anything_on_get(catalogue, supervisor):
    client = client_of(supervisor)
    upload(client, "orders-semicolon.csv")
    run = ImportRun.objects.first()
    before = every_table(but=())
    assert client.get(reverse("admin:imports_apply", args=[run.pk])).status_code == 405
    assert client.get(page_of(run)).status_code == 200
    assert client.get(reverse("admin:imports_upload")).status_code == 200
    assert client.post(page_of(run)).status_code == 405
    assert every_table(but=()) == before


@pytest.mark.parametrize(
    ("name", "status"),
    [("supervisor", 200), ("planner", 200), ("superuser", 200), ("maker", 403), ("salesperson", 403), ("operator", 403), ("auditor", 403),
     ("administrator", 403), ("nobody", 403)],
)  # fmt: skip
def test_who_reaches_the_upload_page(everybody, name, status):
    assert client_of(everybody[name]).get(reverse("admin:imports_upload")).status_code == status


def test_a_planner_imports_products_but_no_orders(shop, planner):
    client = client_of(planner)
    assert client.get(reverse("admin:imports_upload") + "?resource=products").status_code == 200
    assert client.get(reverse("admin:imports_upload") + "?resource=orders").status_code == 403
    assert client.get(reverse("admin:imports_upload") + "?resource=passwords").status_code == 404
    assert upload(client, "orders-october.xlsx").status_code == 403


@pytest.mark.parametrize("name", ["prepress_lead", "maker", "operator", "nobody", "administrator"])
def test_another_persons_run_is_absent(catalogue, supervisor, everybody, name):
    upload(client_of(supervisor), "orders-semicolon.csv")
    run, other = ImportRun.objects.first(), client_of(everybody[name])
    assert other.get(page_of(run)).status_code in {403, 404}
    assert other.post(reverse("admin:imports_apply", args=[run.pk])).status_code == 404
    assert WorkOrder.objects.count() == 0


def test_a_second_supervisor_sees_neither_page_nor_row_of_it(catalogue, supervisor, prepress_lead):
    upload(client_of(supervisor), "orders-semicolon.csv")
    run, other = ImportRun.objects.first(), client_of(prepress_lead)
    assert other.get(page_of(run)).status_code == 404
    assert "orders-semicolon.csv" not in other.get(reverse("admin:imports_importrun_changelist")).content.decode()
    assert "orders-semicolon.csv" in client_of(supervisor).get(reverse("admin:imports_importrun_changelist")).content.decode()


def test_an_auditor_looks_and_does_not_apply(catalogue, supervisor, auditor):
    upload(client_of(supervisor), "orders-semicolon.csv")
    run, client = ImportRun.objects.first(), client_of(auditor)
    page = client.get(page_of(run))
    assert page.status_code == 200
    assert reverse("admin:imports_apply", args=[run.pk]) not in page.content.decode()
    assert client.post(reverse("admin:imports_apply", args=[run.pk])).status_code == 404


def test_a_form_without_file_or_maker_says_what_is_missing(shop, supervisor):
    client, address = client_of(supervisor), reverse("admin:imports_upload") + "?resource=orders"
    assert client.post(address, {}).content.decode().count("This field is required.") == 3
    answer = client.post(address, {"file": sample("orders-gbk.csv"), "maker": supervisor.pk, "order_date": "2026-11-21"})
    assert "Select a valid choice" in answer.content.decode()
    assert ImportRun.objects.count() == 0


def test_a_file_above_the_limit_is_told_by_its_true_size(shop, supervisor):
    content = b"a,b\n" + b"1,2\n" * (30 * 1024 * 1024 // 4)
    answer = client_of(supervisor).post(
        reverse("admin:imports_upload") + "?resource=orders", {"file": SimpleUploadedFile("big.csv", content), **options()}
    )
    assert answer.status_code == 200
    assert "The file has 30 MB; at most 20 MB are taken. Split it." in answer.content.decode()
    assert ImportRun.objects.count() == 0


def test_no_more_of_a_large_upload_is_kept_than_could_be_used():
    handler, chunk = CappedUpload(), b"x" * 1024 * 1024
    handler.new_file("file", "big.csv", "text/csv", None, None)
    for number in range(40):
        handler.receive_data_chunk(chunk, number * len(chunk))
    uploaded = handler.file_complete(40 * len(chunk))
    assert uploaded.size == 40 * len(chunk)
    assert len(uploaded.read()) == KEPT


def test_the_add_page_is_the_upload_page(shop, supervisor):
    answer = client_of(supervisor).get(reverse("admin:imports_importrun_add"))
    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:imports_upload"))


def test_what_a_file_says_is_shown_as_text(catalogue, supervisor):
    text = "External no.,Customer,Product code,Quantity\n<script>alert(1)</script>,Sunrise,<b>X</b>,1\n"
    data = {"file": SimpleUploadedFile("<i>.csv", text.encode()), **options()}
    page = client_of(supervisor).post(reverse("admin:imports_upload") + "?resource=orders", data, follow=True).content.decode()
    assert "<script>alert(1)" not in page
    assert "<b>X</b>" not in page
    assert "&lt;b&gt;X&lt;/b&gt; is no known product code." in page
