"""The import pages, as people use them."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.accounts.models import Membership
from apps.catalog.models import Customer, Product
from apps.core.errors import InvalidInput
from apps.imports import planpage, services, working
from apps.imports.models import ImportRun, ImportState
from apps.imports.preflight import MOST_BYTES, check_size
from apps.imports.uploads import KEPT, CappedUpload
from apps.notices.models import Notice
from apps.workorders import services as do
from apps.workorders.models import OrderLine, WorkOrder
from tests.imports.samples import every_table, options, sample
from tests.personas import again, client_of

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
    assert "18 rows cannot be imported yet" in page
    assert "Import only the good ones" in page
    refused = client_of(supervisor).post(reverse("admin:imports_apply", args=[run.pk]), follow=True).content.decode()
    assert "has rows that cannot be imported. Correct them, or import only the good ones." in refused
    assert WorkOrder.objects.count() == 0
    assert "&lt;" not in run.file_name


def test_pressing_apply_twice_imports_once(catalogue, supervisor):
    client = client_of(supervisor)
    upload(client, "orders-semicolon.csv")
    address = reverse("admin:imports_apply", args=[ImportRun.objects.first().pk])
    client.post(address)
    answer = client.post(address, follow=True)
    assert "was applied already" in answer.content.decode()
    assert WorkOrder.objects.count() == 12


def figures(page):
    """{label: figure} of the page's head."""
    found = re.findall(r'docket-figure-label">([^<]+)</p><p class="docket-figure-value">(.+?)</p>', page.content.decode())
    return {label: re.sub(r"<[^>]+>", "", value).strip() for label, value in found}


def test_the_figures_tell_what_was_made_what_is_left_and_what_was_taken_back(catalogue, supervisor):
    client = client_of(supervisor)
    page = upload(client, "orders-messy.xlsx")
    run = ImportRun.objects.first()
    assert figures(page).items() >= {"To create": "6 work orders", "Errors": "11"}.items()
    assert 'Rows to correct <span class="docket-label docket-danger">11</span>' in page.content.decode()
    assert "7 more rows belong together with these, and wait for them." in page.content.decode()
    page = client.post(at("apply", run), {"rows": "good"}, follow=True)
    assert figures(page).items() >= {"Created": "6 work orders", "Rows imported": "6"}.items()
    assert "To create" not in figures(page)
    page = client.post(at("revert", run), follow=True)
    assert figures(page).items() >= {"Taken back": "6 work orders", "Rows imported": "0"}.items()
    assert figures(page).keys().isdisjoint({"To create", "Created", "Errors", "Lines"})
    assert "docket-figure docket-wide docket-danger" not in page.content.decode()


def test_an_import_that_changes_nothing_says_so(shop, supervisor):
    client, row = client_of(supervisor), b"Code,Name\nSUN,Sunrise\n"
    page = client.post(reverse("admin:imports_upload") + "?resource=customers", {"file": SimpleUploadedFile("c.csv", row)}, follow=True)
    assert figures(page)["The same"] == "1"
    run = ImportRun.objects.get()
    assert f"Import {run.pk} · Customers · c.csv" in page.content.decode()
    page = client.post(at("apply", run), follow=True)
    assert f"Import {run.pk} is applied: nothing had to be changed" in page.content.decode()


def test_an_import_whose_rows_all_changed_meanwhile_says_that_nothing_was_imported(shop, supervisor):
    client, content = client_of(supervisor), b"Code,Name,Phone\nSUN,Sunrise,5\n"
    client.post(reverse("admin:imports_upload") + "?resource=customers", {"file": SimpleUploadedFile("c.csv", content)})
    run = ImportRun.objects.get()
    Customer.objects.get(code="SUN").save()
    page = client.post(at("apply", run), follow=True).content.decode()
    assert "Nothing was imported: what the rows would change has changed meanwhile." in page
    assert "applied at" not in page
    assert ImportRun.objects.get().applied_at is None
    told = Notice.objects.filter(user=supervisor).latest("pk")
    assert str(told) == f"Nothing of import {run.pk} was imported. Rows left: 1; its page says why."
    page = client.post(at("again", run), follow=True).content.decode()
    assert "The rows are planned again." in page
    assert f"Import {run.pk} is applied: 1 row." in client.post(at("apply", run), follow=True).content.decode()


def test_the_list_of_imports_has_a_button_with_words_for_who_may_import(shop, supervisor, auditor):
    address, upload_page = reverse("admin:imports_importrun_changelist"), reverse("admin:imports_upload")
    for user, number in ((supervisor, 1), (auditor, 0)):
        page = client_of(user).get(address).content.decode()
        assert page.count(f'href="{upload_page}"') == number
        assert page.count("</span>Import orders or catalogue</a>") == number
    assert 'class="addlink' not in client_of(supervisor).get(address).content.decode()


def test_only_a_page_of_orders_speaks_of_orders(shop, supervisor):
    client, whole = client_of(supervisor), "An order is imported whole or not at all."
    run = small(client, ("A", "LEAFLET", 10), ("B", "LEAFLETT", 10))
    assert whole in client.get(page_of(run)).content.decode()
    content = b"Code,Name,Salesperson\nN1,New,\nN2,Newer,nobodyy\n"
    address = reverse("admin:imports_upload") + "?resource=customers"
    page = client.post(address, {"file": SimpleUploadedFile("c.csv", content)}, follow=True).content.decode()
    assert "Correct it below, or import the good ones now" in page
    assert whole not in page
    assert "<h2>Import: Customers</h2>" in client.get(address).content.decode()


def test_the_separators_are_told_in_the_persons_language(shop, supervisor):
    client = client_of(supervisor)
    page = client.get(reverse("admin:imports_upload"), headers={"Accept-Language": "zh-hans"}).content.decode()
    for name in ("逗号", "分号", "制表符", "竖线"):
        assert f">{name}</option>" in re.sub(r">\s+|\s+<", lambda found: found[0].strip(), page)


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
     ("administrator", 200), ("nobody", 403)],
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
    assert "The file has 30.1 MB; at most 20 MB are taken. Split it." in answer.content.decode()
    assert ImportRun.objects.count() == 0


def test_a_file_a_little_above_the_limit_is_told_as_above():
    with pytest.raises(InvalidInput, match=r"The file has 20\.1 MB; at most 20 MB are taken\."):
        check_size(MOST_BYTES + 1)


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


def at(name, run):
    return reverse(f"admin:imports_{name}", args=[run.pk])


def small(client, *rows):
    """Upload orders of Sunrise from rows of external number, product code and quantity; the run."""
    text = "External no.,Customer,Product code,Quantity\n" + "".join(f"{one},Sunrise,{two},{three}\n" for one, two, three in rows)
    file = SimpleUploadedFile("orders.csv", text.encode())
    client.post(reverse("admin:imports_upload") + "?resource=orders", {"file": file, **options()})
    return ImportRun.objects.first()


def test_cells_are_corrected_on_the_page_and_the_rest_is_imported(shop, supervisor):
    client = client_of(supervisor)
    run = small(client, ("A", "LEAFLETT", 10), ("B", "POSTER", 5))
    row = run.rows.get(number=2)
    page = client.get(page_of(run)).content.decode()
    assert f'name="cell-{row.pk}-product" value="LEAFLETT"' in page
    assert 'data-value="LEAFLET"' in page
    answer = client.post(at("correct", run), {f"cell-{row.pk}-product": "LEAFLETT", f"cell-{row.pk}-quantity": "10"}, follow=True)
    assert "No cell was changed." in answer.content.decode()
    answer = client.post(at("apply", run), {"rows": "good"}, follow=True)
    assert f"Import {run.pk} is applied in part. Rows imported: 1, left: 1." in answer.content.decode()
    answer = client.post(at("correct", run), {f"cell-{row.pk}-product": "LEAFLET"}, follow=True)
    assert "The rest can be imported" in answer.content.decode()
    answer = client.post(at("apply", run), follow=True)
    assert f"Import {run.pk} is applied: 2 rows." in answer.content.decode()
    assert WorkOrder.objects.filter(import_run=run).count() == 2


@pytest.mark.parametrize("name", ["cell-x-product", "cell-99999999999999999999-product", "cell-1", "cell--", "cell-987654-product"])
def test_a_forged_cell_changes_nothing(shop, supervisor, name):
    client = client_of(supervisor)
    run = small(client, ("A", "LEAFLETT", 10))
    assert client.post(at("correct", run), {name: "LEAFLET"}).status_code == 302
    assert run.rows.get().cells["product"] == "LEAFLETT"


def test_the_wrong_rows_are_downloaded_and_uploaded_again(shop, supervisor):
    client = client_of(supervisor)
    run = small(client, ("A", "LEAFLETT", 10), ("B", "POSTER", 5))
    answer = client.get(at("rows", run))
    assert f'filename="import-{run.pk}-rows.xlsx"' in answer["Content-Disposition"]
    corrected = SimpleUploadedFile("rows.csv", f"导入 {run.pk} 的行,产品编码\n2,LEAFLET\n".encode())
    page = client.post(at("corrected", run), {"file": corrected}, follow=True).content.decode()
    assert "This is what the import would do" in page
    for file, told in (
        (b"a,b\n1,2\n", "This file has no rows of this import."),
        (b"MZ", "neither a workbook nor a table"),
        (b"", "The file is empty"),
    ):
        page = client.post(at("corrected", run), {"file": SimpleUploadedFile("rows.csv", file)}, follow=True).content.decode()
        assert told in page
    assert "This field is required." in client.post(at("corrected", run), follow=True).content.decode()


def test_a_row_is_left_out_on_the_page_and_taken_in_again(shop, supervisor):
    client = client_of(supervisor)
    run = small(client, ("A", "LEAFLET", 10), ("B", "LEAFLETT", 5))
    wrong = run.rows.get(number=3)
    page = client.post(at("correct", run), {f"leave-{wrong.pk}": "1", f"cell-{wrong.pk}-product": "LEAFLETT"}, follow=True).content.decode()
    assert "This is what the import would do" in page
    assert 'id="left-out"' in page
    assert (run.rows.left_out().get().pk, run.rows.left_out().get().cells["product"]) == (wrong.pk, "LEAFLETT")
    page = client.post(at("again", run), {"rows": "left"}, follow=True).content.decode()
    assert "1 row cannot be imported yet" in page
    assert 'id="left-out"' not in page
    client.post(at("correct", run), {f"leave-{wrong.pk}": "1"})
    page = client.post(at("apply", run), follow=True).content.decode()
    assert "is applied: 1 row." in page
    assert "Take them in again" not in page


def test_more_rows_left_out_than_a_page_names_are_counted(shop, supervisor, monkeypatch):
    monkeypatch.setattr(planpage, "PAGE", 1)
    client = client_of(supervisor)
    run = small(client, ("A", "LEAFLET", 10), ("B", "LEAFLETT", 5), ("C", "LEAFLETT", 5))
    page = client.post(at("correct", run), {f"leave-{row.pk}": "1" for row in run.rows.bad()}, follow=True).content.decode()
    panel = page.partition('id="left-out"')[2].partition("</section>")[0]
    assert '<span class="docket-label">2</span>' in panel
    assert "Row 3 …" in panel


@pytest.mark.parametrize("name", ["leave-", "leave-0", "leave-x", "leave-99999999999999999999", "leave-1-product"])
def test_a_forged_row_is_not_left_out(shop, supervisor, name):
    client = client_of(supervisor)
    run, other = small(client, ("A", "LEAFLETT", 10)), small(client_of(shop.people["planner"]), ("B", "LEAFLETT", 10))
    assert client.post(at("correct", run), {name: "1", f"leave-{other.rows.get().pk}": "1"}).status_code == 302
    assert not run.rows.left_out().exists()
    assert not other.rows.left_out().exists()


def test_an_import_is_taken_back_on_its_page(shop, supervisor):
    client = client_of(supervisor)
    run = small(client, ("A", "LEAFLET", 10), ("B", "POSTER", 5))
    assert "Take this import back" not in client.get(page_of(run)).content.decode()
    page = client.post(at("apply", run), follow=True).content.decode()
    assert "Take this import back" in page
    order = WorkOrder.objects.get(external_number="A")
    do.copy_order(order, by=supervisor)
    page = client.post(at("revert", run), follow=True).content.decode()
    assert "Not everything can be taken back" in page
    assert "Why it stays" in page
    do.delete_order(order.copies.get(), by=supervisor)
    page = client.post(at("revert", run), follow=True).content.decode()
    assert f"Import {run.pk} is taken back: everything is as it was before." in page
    assert WorkOrder.objects.count() == 0
    assert "has nothing to take back" in client.post(at("revert", run), follow=True).content.decode()


def test_work_that_goes_on_is_shown_stopped_and_gone_on_with(shop, supervisor, monkeypatch):
    client = client_of(supervisor)
    run = small(client, *((f"A{n}", "LEAFLET", 10) for n in range(6)))
    monkeypatch.setattr(services, "AT_ONCE", 0)
    monkeypatch.setattr(working, "CHUNK_UNITS", 2)
    page = client.post(at("apply", run), follow=True).content.decode()
    assert "goes on in the background" in page
    assert at("progress", run) in page
    page = client.get(at("progress", run)).content.decode()
    assert "2 of 6 rows" in page
    assert at("stop", run) in page
    page = client.post(at("stop", run), follow=True).content.decode()
    assert f"Import {run.pk} is stopped." in page
    assert "2 rows are imported already" in page
    assert client.get(at("progress", run))["HX-Refresh"] == "true"
    assert "there is nothing to stop" in client.post(at("stop", run), follow=True).content.decode()
    monkeypatch.setattr(services, "AT_ONCE", 600)
    assert "is applied: 6 rows." in client.post(at("apply", run), follow=True).content.decode()


def test_a_plan_is_made_again_when_what_it_lacked_was_added(shop, supervisor):
    client = client_of(supervisor)
    run = small(client, ("A", "NEWPRODUCT", 10))
    Product.objects.create(code="NEWPRODUCT", name="new product", route=shop.products["leaflet"].route)
    assert "The rows are planned again." in client.post(at("again", run), follow=True).content.decode()
    assert [entry["action"] for entry in ImportRun.objects.get().plan] == ["create"]


def test_the_rows_of_a_plan_are_shown_by_kind_and_page(shop, supervisor, monkeypatch):
    monkeypatch.setattr(planpage, "PAGE", 2)
    client = client_of(supervisor)
    run = small(client, *((f"A{n}", "LEAFLET", 10) for n in range(3)))
    assert "?show=&amp;page=2#plan" in client.get(page_of(run)).content.decode()
    page = client.get(page_of(run) + "?show=create&page=2").content.decode()
    assert ("A2 · Sunrise" in page, "A0 · Sunrise" in page) == (True, False)
    for odd in ("?show=nothing", "?page=x", "?page=-1", "?page=99999999", "?page=0"):
        assert client.get(page_of(run) + odd).status_code == 200


@pytest.mark.parametrize("name", ["apply", "stop", "revert", "again", "correct", "corrected"])
def test_whoever_sees_a_run_of_his_people_does_nothing_with_it(shop, supervisor, prepress_lead, auditor, name):
    run = small(client_of(supervisor), ("A", "LEAFLETT", 10), ("B", "POSTER", 5))
    assert client_of(supervisor).get(at(name, run)).status_code == 405
    Membership.objects.create(user=supervisor, department=shop.departments["design"])
    for other in (prepress_lead, auditor):
        client = client_of(again(other))
        page = client.get(page_of(run))
        assert page.status_code == 200
        assert at(name, run) not in page.content.decode()
        assert client.get(at("progress", run)).status_code == 200
        assert client.get(at("rows", run)).status_code == 404
        assert client.post(at(name, run)).status_code == 404


@pytest.mark.parametrize(
    ("encoding", "separator", "chosen"),
    [("utf-8", ",", {}), ("gb18030", ";", {}), ("utf-16", "\t", {}), ("utf-8-sig", "|", {}),
     ("gb18030", ";", {"encoding": "gb18030", "separator": ";"}), ("utf-16", "\t", {"encoding": "utf-16", "separator": "tab"})],
)  # fmt: skip
def test_encoding_and_separator_are_recognised_or_chosen_and_told(shop, supervisor, encoding, separator, chosen):
    rows = [["外部单号", "客户", "产品编码", "数量", "备注"], ["单-1", "Sunrise", "LEAFLET", "10", "加急"]]
    content = "".join(separator.join(row) + "\n" for row in rows).encode(encoding)
    client = client_of(supervisor)
    data = {"file": SimpleUploadedFile("o.csv", content), **options(), **chosen}
    page = client.post(reverse("admin:imports_upload") + "?resource=orders", data, follow=True).content.decode()
    assert "单-1 · Sunrise" in page
    name = {"utf-8": "UTF-8", "gb18030": "GBK", "utf-16": "UTF-16", "utf-8-sig": "UTF-8"}[encoding]
    sign = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}[separator]
    assert f"Read as text in {name}, cells separated by {sign}." in page


def test_a_wrong_choice_is_told_and_another_one_is_refused(shop, supervisor):
    client, address = client_of(supervisor), reverse("admin:imports_upload") + "?resource=orders"
    page = client.post(address, {"file": sample("orders-gbk.csv"), **options(), "encoding": "utf-8-sig"}).content.decode()
    assert "The text of this file cannot be read." in page
    page = client.post(address, {"file": sample("orders-gbk.csv"), **options(), "encoding": "rot13"}).content.decode()
    assert "Select a valid choice" in page
    assert ImportRun.objects.count() == 0
