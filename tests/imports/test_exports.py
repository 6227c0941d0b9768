"""Exports that a job makes: long lists, saved ones, and those that come at their hour."""

import datetime as dt
import json
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.accounts.roles import Role
from apps.catalog.models import Customer
from apps.core.jobs import run as run_job
from apps.imports import exportable, exports
from apps.imports.forms import FROM_ITS_LIST
from apps.imports.models import ExportRun, ExportState, SavedExport
from apps.imports.services import plan_import, totals
from apps.notices.models import Notice
from tests.imports.samples import options
from tests.personas import again, client_of
from tests.security.doors import fields_of

pytestmark = pytest.mark.django_db
LIST = "catalog.customer"


@pytest.fixture
def _short(monkeypatch):
    """Everything above two rows is a job's."""
    monkeypatch.setattr(exportable, "AT_ONCE", 2)
    monkeypatch.setattr(exports, "STEP", 2)


def export(client, name="catalog_customer", **query):
    return client.get(reverse(f"admin:{name}_export"), {"format": "csv", **query})


def download(client, run, **how):
    return client.post(reverse("admin:imports_exportrun_verb_download", args=[run.pk]), **how)


@pytest.mark.usefixtures("_short")
def test_a_long_list_is_made_by_a_job_and_waits_privately_for_its_owner(shop, planner, supervisor):
    Customer.objects.bulk_create(Customer(code=f"L{n}", name=f"Long {n}") for n in range(5))
    client = client_of(planner)
    answer = export(client, q="Long", o="2")
    run = ExportRun.objects.get()
    page = reverse("admin:imports_exportrun_change", args=[run.pk])
    assert (answer.status_code, answer["Location"], run.state) == (302, page, ExportState.WAITING)
    assert "export-progress" in client.get(page).content.decode()
    assert (
        "There is no file yet" in client.post(reverse("admin:imports_exportrun_verb_download", args=[run.pk]), follow=True).content.decode()
    )
    run_job("imports.export", run.pk)
    run_job("imports.export", run.pk)  # delivered twice
    run.refresh_from_db()
    assert (run.state, run.rows_done, run.rows_total) == (ExportState.DONE, 5, 5)
    assert str(Notice.objects.get(kind="export_ready")) == f"Export {run.pk} is ready: 5 rows. The file is kept for 7 days."
    assert client.get(page, headers={"HX-Request": "true"})["HX-Refresh"] == "true"
    file = download(client, run)
    assert file.getvalue().decode("utf-8-sig").splitlines()[1].startswith("L0,Long 0,")
    assert "no-store" in file["Cache-Control"]
    shown = client.get(page).content.decode()
    assert re.search(r">\s*ready\s*<", shown)
    assert "&#x27;done&#x27;" not in shown
    assert download(client_of(supervisor), run).status_code == 404
    assert client_of(supervisor).get(page).status_code == 404
    planner.groups.clear()
    assert download(client_of(again(planner)), run).status_code == 403


def test_the_job_has_the_rights_that_the_owner_has_when_it_runs(shop, maker, other_maker):
    mine = shop.draft(by=maker)
    shop.draft(by=other_maker, customer=shop.other_customer)
    run = exports.start("workorders.workorder", "", "csv", by=maker)
    run_job("imports.export", run.pk)
    run.refresh_from_db()
    lines = run.file.read().decode("utf-8-sig").splitlines()
    assert (len(lines), lines[1].split(",")[0]) == (2, mine.number)

    late = exports.start("workorders.workorder", "", "csv", by=maker)
    maker.groups.clear()
    run_job("imports.export", late.pk)
    late.refresh_from_db()
    assert (late.state, late.problem, late.file.name) == (ExportState.FAILED, "You may not export this list. Ask an administrator.", "")
    assert Notice.objects.filter(kind="export_failed", user=maker).exists()


def test_a_list_is_saved_with_its_filter_columns_and_hour(shop, planner):
    client = client_of(planner)
    page = client.get(reverse("admin:catalog_customer_changelist"), {"q": "Sun"}).content.decode()
    assert "resource=catalog.customer&amp;query=q%3DSun" in page
    add = reverse("admin:imports_savedexport_add")
    form = client.get(add, {"resource": LIST, "query": "q=Sun"})
    given = fields_of(form) | {"name": "Suns", "format": "json", "columns": ["code", "name"], "every": "week", "weekday": "2", "hour": "7"}
    assert client.post(add, given).status_code == 302
    saved = SavedExport.objects.get()
    assert (saved.owner, saved.resource, saved.query, saved.columns) == (planner, LIST, "q=Sun", ["code", "name"])
    local = timezone.localtime(saved.next_at)
    assert (local.weekday(), local.hour, local > timezone.now()) == (2, 7, True)
    assert client.post(reverse("admin:imports_savedexport_verb_run", args=[saved.pk])).status_code == 302
    run = ExportRun.objects.get()
    run_job("imports.export", run.pk)
    (row,) = json.loads(download(client, run).getvalue())
    assert list(row.values()) == list(Customer.objects.filter(name="Sunrise").values_list("code", "name").get())


@pytest.mark.parametrize(
    "given", [{"resource": "accounts.user"}, {"resource": ""}, {"resource": LIST, "columns": ["salesperson__password"]}]
)
def test_no_other_list_and_no_other_column_can_be_saved(shop, planner, given):
    client, add = client_of(planner), reverse("admin:imports_savedexport_add")
    form = fields_of(client.get(add, {"resource": LIST}))
    answer = client.post(add, form | {"name": "x"} | given)
    assert (answer.status_code, str(FROM_ITS_LIST) in answer.content.decode()) == (200, given.get("resource") != LIST)
    assert not SavedExport.objects.exists()


def test_an_export_is_saved_from_its_list_and_from_nowhere_else(shop, planner):
    client, add = client_of(planner), reverse("admin:imports_savedexport_add")
    answer = client.get(add, follow=True)
    assert answer.redirect_chain == [(reverse("admin:imports_savedexport_changelist"), 302)]
    assert str(FROM_ITS_LIST) in answer.content.decode()
    saved = exports.save(SavedExport(name="Daily", resource=LIST, format="csv"), by=planner)
    for page in (answer, client.get(answer.request["PATH_INFO"]), client.get(reverse("admin:imports_savedexport_change", args=[saved.pk]))):
        assert f'href="{add}' not in page.content.decode()


def test_what_is_due_runs_once_and_again_a_day_later(shop, planner):
    saved = exports.save(SavedExport(name="Daily", resource=LIST, format="csv", every="day", hour=6), by=planner)
    assert run_job("imports.exports_due") == 0
    due = timezone.now() - dt.timedelta(minutes=1)
    SavedExport.objects.update(next_at=due)
    assert run_job("imports.exports_due") == 1
    assert run_job("imports.exports_due") == 0
    saved.refresh_from_db()
    assert timezone.localtime(saved.next_at).hour == 6
    assert dt.timedelta() < saved.next_at - timezone.now() <= dt.timedelta(days=1)
    run_job("imports.export", ExportRun.objects.get().pk)
    assert Notice.objects.filter(kind="export_ready", user=planner).count() == 1
    SavedExport.objects.update(next_at=due)
    planner.is_active = False
    planner.save()
    assert run_job("imports.exports_due") == 0


def test_a_lost_job_is_started_again_and_old_files_are_purged(shop, planner):
    run = exports.start(LIST, "", "ods", by=planner)
    ExportRun.objects.update(state=ExportState.RUNNING, beat_at=timezone.now() - exports.LOST * 2)
    assert run_job("imports.exports_due") == 1
    run_job("imports.export", run.pk)
    run.refresh_from_db()
    assert run.state == ExportState.DONE
    storage, name = run.file.storage, run.file.name
    ExportRun.objects.update(created_at=timezone.now() - exports.KEPT * 2)
    assert run_job("imports.purge") == 1
    assert not storage.exists(name)


@pytest.mark.usefixtures("_short")
def test_nobody_has_more_than_a_few_under_way_and_a_wild_filter_is_told(shop, planner):
    client = client_of(planner)
    for _number in range(exports.MOST_WAITING + 1):
        answer = export(client, "catalog_product")
    assert answer["Location"] == reverse("admin:catalog_product_changelist")
    assert ExportRun.objects.count() == exports.MOST_WAITING
    run = ExportRun.objects.first()
    ExportRun.objects.filter(pk=run.pk).update(query="salesperson__password__startswith=a&nothing=1")
    run_job("imports.export", run.pk)
    run.refresh_from_db()
    assert run.problem == "The filter of this export makes no sense any more. Save it anew from the list."


def test_exported_orders_come_in_again_as_all_the_same(shop, planner, supervisor):
    shop.draft("leaflet", "carton", external_number="PO-1", priority=4, instructions="=1+1", process_colours="CMYK", spot_colours="528C")
    shop.draft("poster", external_number="PO-2", due_date=timezone.localdate() + dt.timedelta(days=9))
    for format in ("xlsx", "ods", "csv"):
        content = export(client_of(supervisor), "workorders_workorder", format=format).getvalue()
        run = plan_import("orders", SimpleUploadedFile(f"a.{format}", content), by=supervisor, options=options())
        assert [one for one in run.problems if one["level"] == "error"] == []
        assert totals(run) == {"same": 2, "lines": 3, "quantity": sum(one.quantity for order in shop_orders() for one in order.lines.all())}


def shop_orders():
    from apps.workorders.models import WorkOrder

    return WorkOrder.objects.prefetch_related("lines")


def test_orders_with_lines_take_as_many_queries_whatever_their_number(shop, supervisor):
    def queries():
        client = client_of(supervisor)
        with CaptureQueriesContext(connection) as captured:
            export(client, "workorders_workorder")
        return len(captured)

    shop.draft("leaflet", "carton")
    few = queries()
    for _number in range(4):
        shop.draft("leaflet", "carton")
    assert queries() == few


def test_the_command_writes_a_list_of_any_length_with_the_persons_rights(shop, planner, tmp_path, monkeypatch):
    monkeypatch.setattr(exportable, "AT_ONCE", 0)
    out = tmp_path / "x.ods"
    call_command("export", "customers", user="planner", out=out, filters=["q=Sunrise"])
    again_run = plan_import("customers", SimpleUploadedFile("x.ods", out.read_bytes()), by=planner)
    assert totals(again_run) == {"same": 1}
    with pytest.raises(CommandError, match="operator gets no customers: You may not export this list"):
        call_command("export", "customers", user="operator", out=out, filters=[])


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMINISTRATOR])
def test_who_exports_nothing_has_no_page_of_exports(everybody, role):
    client = client_of(everybody[role])
    for name in ("savedexport", "exportrun"):
        assert client.get(reverse(f"admin:imports_{name}_changelist")).status_code == 403
