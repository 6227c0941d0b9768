"""Import and export from the command line: the same code as the pages, with exit codes."""

import json
from io import StringIO

import openpyxl
import pytest
from django.core.management import CommandError, call_command

from apps.catalog.models import Customer
from apps.imports.models import ImportRun, ImportState
from apps.workorders.models import WorkOrder
from tests.imports.samples import SAMPLES

pytestmark = pytest.mark.django_db
ORDERED = "order_date=2026-11-21"


def ran(name, *args):
    said = StringIO()
    call_command(name, *map(str, args), stdout=said)
    return said.getvalue()


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_planned_applied_and_taken_back(catalogue, maker):
    file = SAMPLES / "orders-semicolon.csv"
    said = ran("import_file", file, "--resource", "orders", "--as", "supervisor", "--set", ORDERED, "--set", "maker=maker")
    run = ImportRun.objects.first()
    assert said.startswith(f"Import {run.pk}: 12 rows. create 12, lines 12, quantity 55,600.")
    assert (run.state, WorkOrder.objects.count(), run.owner.username) == (ImportState.PLANNED, 0, "supervisor")
    said = ran("import_file", file, "--resource", "orders", "--as", "supervisor", "--apply", "--set", ORDERED)
    assert said.endswith("12 of 12 rows imported.\n")
    assert set(WorkOrder.objects.values_list("maker__username", flat=True)) == {"maker"}
    run = ImportRun.objects.first()
    assert ran("import_file", "--revert", run.pk, "--as", "supervisor") == f"Import {run.pk} is taken back.\n"
    assert WorkOrder.objects.count() == 0


def test_rows_that_are_left_are_named_and_make_exit_code_2(shop, supervisor, tmp_path):
    file = written(tmp_path / "c.csv", "Code,Name,Salesperson\nN1,New,\nN2,Newer,nobodyy\n")
    words = ("import_file", file, "--resource", "customers", "--as", "supervisor")
    for more, made in (((), 0), (("--apply", "--good"), 1)):
        said = StringIO()
        with pytest.raises(CommandError) as refusal:
            call_command(*map(str, words), *more, stdout=said)
        assert (refusal.value.returncode, "1 row of import" in str(refusal.value)) == (2, True)
        assert "error: row 3 Salesperson: nobodyy is no known salesperson" in said.getvalue()
        assert Customer.objects.filter(code__in=["N1", "N2"]).count() == made
    with pytest.raises(CommandError, match="Correct them, or import only the good ones") as refusal:
        ran(*words, "--apply")
    assert refusal.value.returncode == 1


def test_headers_that_are_not_known_are_told_with_the_ways_to_name_them(shop, supervisor, tmp_path):
    file = written(tmp_path / "c.csv", "Colour,Shape\nred,round\n")
    with pytest.raises(CommandError, match=r"No header row with the needed columns was found.*--profile.*the import page") as refusal:
        ran("import_file", file, "--resource", "customers", "--as", "supervisor")
    assert refusal.value.returncode == 1


def test_what_cannot_be_taken_back_is_named_with_exit_code_2(shop, supervisor, tmp_path):
    file = written(tmp_path / "c.csv", "Code,Name,Phone\nSUN,Sunrise,5\n")
    ran("import_file", file, "--resource", "customers", "--as", "supervisor", "--apply")
    Customer.objects.get(code="SUN").save()
    said = StringIO()
    with pytest.raises(CommandError, match="1 stay") as refusal:
        call_command("import_file", "--revert", str(ImportRun.objects.get().pk), "--as", "supervisor", stdout=said)
    assert refusal.value.returncode == 2
    assert said.getvalue() == "row 2: SUN · Sunrise: SUN · Sunrise was changed after the import.\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nothing.csv", "--resource", "orders", "--as", "supervisor"], "nothing.csv cannot be read"),
        (["--resource", "orders", "--as", "supervisor"], "Name the file and --resource"),
        (["--revert", "987", "--as", "supervisor"], "There is no import 987."),
        (["FILE", "--resource", "orders", "--as", "ghost"], "There is no active user 'ghost'."),
        (["FILE", "--resource", "orders", "--as", "operator"], "You may not import this."),
        (["FILE", "--resource", "orders", "--as", "supervisor", "--set", "maker=ghost"], "maker: Select a valid choice"),
        (["FILE", "--resource", "orders", "--as", "supervisor", "--set", "colour=red"], "orders asks for no colour."),
        (["FILE", "--resource", "orders", "--as", "supervisor", "--set", "maker"], "is not written like maker=anna"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(everybody, words, told):
    file = str(SAMPLES / "orders-gbk.csv")
    with pytest.raises(CommandError, match=told) as refusal:
        ran("import_file", *(file if word == "FILE" else word for word in words))
    assert refusal.value.returncode == 1
    assert ImportRun.objects.count() == 0


def test_a_list_is_exported_with_its_filters_for_one_persons_eyes(shop, planner, maker, other_maker, tmp_path):
    mine = shop.draft(by=maker)
    shop.draft(by=other_maker, customer=shop.other_customer)
    ran("export", "orders", "--as", "maker", "--out", tmp_path / "o.json")
    (order,) = json.loads((tmp_path / "o.json").read_text())
    assert (order["Order number"], order["customer"], order["order date"]) == (mine.number, "Sunrise", mine.order_date.isoformat())
    ran("export", "customers", "--as", "planner", "--filter", "q=Moon", "--out", tmp_path / "c.xlsx")
    assert [row[0].value for row in openpyxl.load_workbook(tmp_path / "c.xlsx").active.iter_rows(min_row=2)] == ["MOON"]
    ran("export", "tasks", "--as", "planner", "--filter", "q=nothing", "--out", tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text()) == []


@pytest.mark.parametrize("name", ["status__exact=zzz", "status__in=draft,zzz"])
def test_a_filter_by_a_value_that_there_is_not_writes_nothing_and_makes_exit_code_2(everybody, tmp_path, name):
    words = ("export", "orders", "--as", "planner", "--out", tmp_path / "o.csv", "--filter")
    with pytest.raises(CommandError, match=r"there is no 'zzz'\. Use one of: draft, ") as refusal:
        ran(*words, name)
    assert refusal.value.returncode == 2
    assert list(tmp_path.iterdir()) == []
    ran(*words, name.replace("zzz", "approved"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["passwords", "--as", "planner"], "There is no list 'passwords'."),
        (["orders", "--as", "ghost"], "There is no active user 'ghost'."),
        (["orders", "--as", "operator"], "operator gets no orders: You may not export this list"),
        (
            ["orders", "--as", "planner", "--filter", "customer__salesperson__password__startswith=a"],
            r"password__startswith=a: the list has no such filter, or it cannot be read\. Known: q, o, .*status__exact.*late",
        ),
        (["orders", "--as", "planner", "--filter", "late=perhaps"], "--filter late: there is no 'perhaps'. Use one of: yes."),
        (["people", "--as", "administrator", "--filter", "role=chef"], "there is no 'chef'. Use one of: .*maker"),
        (["orders", "--as", "planner", "--out", "x.exe"], "ends in no known format"),
        (["orders", "--as", "planner", "--out", "/nowhere/x.csv"], "/nowhere/x.csv cannot be written"),
    ],
)
def test_an_export_that_makes_no_sense_is_refused(everybody, tmp_path, words, told):
    words = words if "--out" in words else [*words, "--out", str(tmp_path / "x.csv")]
    with pytest.raises(CommandError, match=told):
        ran("export", *words)
    assert list(tmp_path.iterdir()) == []
