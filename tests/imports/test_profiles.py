"""Columns that are matched by hand, and the profiles that remember it."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.urls import reverse

from apps.catalog.models import Customer
from apps.core.errors import InvalidInput
from apps.imports import services
from apps.imports.models import ImportProfile, ImportRun, ImportState
from tests.imports.samples import workbook
from tests.personas import client_of
from tests.security.doors import fields_of

pytestmark = pytest.mark.django_db
UPLOAD = "admin:imports_upload"
HEADER, ROWS = ["Kürzel", "", "Ansprechpartner"], [["K1", "Kunde eins", "Frau Li"], ["K2", "Kunde zwei", ""]]


def strange_file(*more):
    return workbook(["Customers of July"], HEADER, *ROWS, *more, name="customers.xlsx")


def upload(client, file=None, **data):
    return client.post(f"{reverse(UPLOAD)}?resource=customers", {"file": file or strange_file(), **data}, follow=True)


def test_a_file_with_strange_headers_leads_to_the_choice_of_columns_and_the_next_one_by_its_profile(shop, planner):
    client = client_of(planner)
    page = upload(client)
    run = ImportRun.objects.get()
    assert page.redirect_chain[-1][0] == reverse("admin:imports_columns", args=[run.pk])
    assert run.state == ImportState.MATCHING
    text = page.content.decode()
    assert "Not recognised yet: Code (编码), Name (名称)" in text
    assert "Kürzel</strong> · K1" in text
    assert text.count("<h2>Customers</h2>") == 1
    assert f"Import {run.pk} · Customers · customers.xlsx" in text
    chosen = fields_of(page) | {"column-0-0": "code", "column-0-1": "name", "save_as": "Handels-GmbH"}
    answer = client.post(page.redirect_chain[-1][0], {**chosen, "column-0-1": ""}, follow=True)
    assert "Choose a column of the file for: Name (名称)." in answer.content.decode()
    assert not ImportProfile.objects.exists()
    client.post(page.redirect_chain[-1][0], chosen)
    run.refresh_from_db()
    assert (run.state, services.totals(run)) == (ImportState.PLANNED, {"create": 2})
    services.apply_import(run, by=planner)
    assert Customer.objects.get(code="K1").name == "Kunde eins"
    profile = ImportProfile.objects.get()
    assert (profile.owner, profile.columns) == (planner, {"0": {"kürzel": "code", "#2": "name", "ansprechpartner": ""}})
    assert profile.history.get().history_user == planner

    page = upload(client, strange_file(["K3", "Kunde drei", "x"]), profile=profile.pk)
    run = ImportRun.objects.first()
    assert page.redirect_chain[-1][0] == reverse("admin:imports_importrun_change", args=[run.pk])
    assert services.totals(run) == {"same": 2, "create": 1}


def test_who_wants_to_choose_is_asked_and_what_was_recognised_is_chosen_already(shop, planner):
    client = client_of(planner)
    file = workbook(["编码", "名称", "联系人", "Zusatz"], ["K1", "Kunde", "Li", "Wang"])
    page = upload(client, file, by_hand="on")
    assert fields_of(page).items() >= {"column-0-0": "code", "column-0-1": "name", "column-0-2": "contact", "column-0-3": ""}.items()
    client.post(page.redirect_chain[-1][0], fields_of(page) | {"column-0-2": "", "column-0-3": "contact"})
    assert "Wang" in str(ImportRun.objects.get().plan[0]["details"])
    again = client.post(page.redirect_chain[-1][0], fields_of(page))
    assert again.status_code == 302  # chosen already: the plan


def test_another_row_can_be_the_header(shop, planner):
    client = client_of(planner)
    page = upload(client)
    page = client.get(page.redirect_chain[-1][0], {"sheet-0": "0", "header-0": "3"})
    assert "K1</strong> · K2" in page.content.decode()
    for wild in ({"sheet-0": "9", "header-0": "99999"}, {"sheet-0": "x", "header-0": "-1"}, {"header-0": "9" * 40, "sheet-0": "0"}):
        assert client.get(page.wsgi_request.path, wild).status_code == 200


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"column-0-0": "code", "column-0-1": "code", "column-0-2": "name"}, "Code is chosen for several columns"),
        ({"column-0-0": "", "column-0-1": "", "column-0-2": ""}, "No column was chosen."),
        ({"column-0-0": "password", "column-0-1": "id", "column-0-2": "is_active"}, "No column was chosen."),
    ],
)
def test_a_wrong_choice_is_told(shop, planner, choices, told):
    client = client_of(planner)
    page = upload(client)
    answer = client.post(page.redirect_chain[-1][0], fields_of(page) | choices)
    assert told in answer.content.decode()
    assert ImportRun.objects.get().state == ImportState.MATCHING


def make_profile(owner, **values):
    columns = {"0": {"kürzel": "code", "#2": "name"}}
    return ImportProfile.objects.create(**{"owner": owner, "resource": "customers", "name": "GmbH", "columns": columns} | values)


def test_a_profile_is_its_owners_and_a_shared_one_everybodys_who_imports(everybody):
    own, shared = make_profile(everybody["planner"]), make_profile(everybody["planner"], name="for all", is_shared=True)
    seen = {name: set(ImportProfile.objects.visible_to(user)) for name, user in everybody.items()}
    assert seen.pop("planner") == seen.pop("superuser") == {own, shared}
    assert seen.pop("supervisor") == seen.pop("prepress_lead") == seen.pop("administrator") == {shared}
    assert set().union(*seen.values()) == set()


def test_only_the_owner_renames_shares_and_deletes(shop, supervisor, planner):
    profile = make_profile(planner, is_shared=True)
    page = reverse("admin:imports_importprofile_change", args=[profile.pk])
    other, owner = client_of(supervisor), client_of(planner)
    assert "kürzel → Code" in other.get(page).content.decode()
    assert other.post(page, {"name": "mine", "version": profile.version}).status_code == 403
    assert other.post(reverse("admin:imports_importprofile_delete", args=[profile.pk]), {"post": "yes"}).status_code == 403
    owner.post(page, fields_of(owner.get(page)) | {"name": "GmbH & Co"})
    profile.refresh_from_db()
    assert profile.name == "GmbH & Co"
    make_profile(planner, name="taken")
    assert "You have a profile of this name already" in owner.post(page, fields_of(owner.get(page)) | {"name": "taken"}).content.decode()
    owner.post(reverse("admin:imports_importprofile_delete", args=[profile.pk]), {"post": "yes"})
    assert not ImportProfile.objects.filter(pk=profile.pk).exists()


def test_a_shared_profile_that_is_saved_again_stays_shared(shop, planner):
    client, profile = client_of(planner), make_profile(planner, is_shared=True)
    for given, starts in (({"profile": profile.pk}, "on"), ({}, None)):
        page = upload(client, by_hand="on", **given)
        assert fields_of(page).get("is_shared") == starts
        chosen = fields_of(page) | {"column-0-0": "code", "column-0-1": "name", "save_as": "GmbH"}
        chosen.pop("is_shared", None)
        client.post(page.redirect_chain[-1][0], chosen)
        profile.refresh_from_db()
        assert (profile.is_shared, "ansprechpartner" in profile.columns["0"]) == (True, True)


def test_a_profile_out_of_sight_is_no_choice(shop, supervisor, planner):
    profile = make_profile(planner)
    client = client_of(supervisor)
    page = upload(client, profile=profile.pk)
    assert "GmbH" not in client.get(f"{reverse(UPLOAD)}?resource=customers").content.decode()
    assert ImportRun.objects.get().options["profile"] is None
    assert page.status_code == 200


def test_a_command_takes_a_profile_by_its_name(shop, planner, supervisor, tmp_path):
    make_profile(planner)
    file = tmp_path / "customers.xlsx"
    file.write_bytes(strange_file().read())
    call_command("import_file", str(file), resource="customers", user="planner", profile="GmbH", apply=True)
    assert Customer.objects.filter(code__in=["K1", "K2"]).count() == 2
    with pytest.raises(CommandError, match="has no profile 'GmbH'"):
        call_command("import_file", str(file), resource="customers", user="supervisor", profile="GmbH")


def test_a_run_that_waits_for_its_columns_does_nothing_else_and_is_thrown_away_after_a_day(shop, planner):
    with pytest.raises(InvalidInput, match="No header row"):
        services.plan_import("customers", strange_file(), by=planner)
    client = client_of(planner)
    upload(client)
    run = ImportRun.objects.get()
    for name in ("apply", "again", "correct", "revert", "stop"):
        client.post(reverse(f"admin:imports_{name}", args=[run.pk]))
    run.refresh_from_db()
    assert run.state == ImportState.MATCHING
    ImportRun.objects.update(created_at=run.created_at - services.EXPIRES * 2)
    services.purge()
    assert not ImportRun.objects.exists()


def test_the_columns_of_another_persons_file_are_absent(shop, supervisor, planner, superuser):
    upload(client_of(planner), SimpleUploadedFile("a.csv", b"x;y\n1;2\n"))
    address = reverse("admin:imports_columns", args=[ImportRun.objects.get().pk])
    for other in (supervisor, superuser):
        assert client_of(other).get(address).status_code == 404
        assert client_of(other).post(address, {"column-0-0": "code", "column-0-1": "name"}).status_code == 404
