"""Customers and products with their routes, from tables."""

import pytest

from apps.catalog.models import Customer, Product, Route
from apps.core.errors import RuleError
from apps.imports.models import ImportState
from apps.imports.services import apply_import, plan_import, totals
from tests.imports.samples import errors, make_reference_people_and_processes, sample, workbook

pytestmark = pytest.mark.django_db
ROUTES = {
    "BROCHURE": "CTP CUT PRT LAM_M STAPLE TRIM PACK",
    "CARDS": "CTP CUT PRT LAM_M TRIM PACK",
    "POSTER": "CTP CUT PRT TRIM PACK",
    "ALBUM": "CTP CUT PRT UV GLUE TRIM PACK",
    "CARTON": "CTP CUT PRT LAM_M FOIL_G DIE BOX PACK",
    "BOARD": "CTP CUT PRT LAM_B TRIM PACK",
    "MAILER": "CTP CUT PRT VAN MOUNT DIE BOX PACK",
    "WINBOX": "CTP CUT PRT LAM_G DIE WINDOW BOX PACK",
}


def run_of(uploaded, by, resource):
    return plan_import(resource, uploaded, by=by)


@pytest.fixture
def reference(shop):
    make_reference_people_and_processes()
    return shop


def test_the_catalogue_makes_eight_customers_and_eight_products_with_routes(reference, supervisor):
    Product.objects.all().delete()
    run = run_of(sample("catalogue.xlsx"), supervisor, "catalogue")
    assert errors(run) == []
    assert (run.rows_total, totals(run)) == (16, {"create": 16})
    apply_import(run, by=supervisor)
    customers = Customer.objects.filter(code__startswith="C00")
    assert customers.count() == 8
    assert customers.get(code="C005").salesperson.username == "sales_b"
    assert (customers.get(code="C001").name, customers.get(code="C001").phone) == ("华彩包装有限公司", "0755-86244848")
    made = {product.code: " ".join(step.process.code for step in product.route.steps.all()) for product in Product.objects.all()}
    assert made == ROUTES
    assert Product.objects.get(code="CARTON").get_unit_display() == "pcs"
    assert Product.objects.get(code="BROCHURE").specification == "骑马钉 A4 16P"
    history = Product.objects.get(code="CARTON").history.get()
    assert (history.source, history.history_change_reason) == ("import", f"import {run.pk}, row 6")


def test_the_same_catalogue_again_is_all_the_same_and_writes_nothing(reference, supervisor):
    apply_import(run_of(sample("catalogue.xlsx"), supervisor, "catalogue"), by=supervisor)
    versions = list(Product.objects.values_list("code", "version")) + list(Customer.objects.values_list("code", "version"))
    routes = Route.objects.count()
    run = run_of(sample("catalogue.xlsx"), supervisor, "catalogue")
    assert totals(run) == {"same": 16}
    apply_import(run, by=supervisor)
    assert list(Product.objects.values_list("code", "version")) + list(Customer.objects.values_list("code", "version")) == versions
    assert Route.objects.count() == routes


@pytest.mark.parametrize(("kind", "rows"), [("customers", 8), ("products", 8)])
def test_each_sheet_can_be_imported_alone(reference, supervisor, kind, rows):
    run = run_of(sample("catalogue.xlsx"), supervisor, kind)
    assert errors(run) == []
    assert (run.rows_total, run.state) == (rows, ImportState.PLANNED)


def test_a_change_is_planned_as_old_and_new_and_a_blank_cell_changes_nothing(shop, supervisor):
    Customer.objects.filter(code="SUN").update(phone="1", address="Sun Street")
    rows = [["Code", "Name", "Phone", "Address"], ["sun", "Sunrise", "2", None], ["NEW", "Newcomer", None, None]]
    run = run_of(workbook(*rows), supervisor, "customers")
    assert [(entry["action"], entry["label"], entry["details"]) for entry in run.plan] == [
        ("update", "SUN · Sunrise", ["phone: 1 → 2"]),
        ("create", "NEW · Newcomer", ["name: Newcomer"]),
    ]
    apply_import(run, by=supervisor)
    customer = Customer.objects.get(code="SUN")
    assert (customer.phone, customer.address, customer.salesperson.username) == ("2", "Sun Street", "salesperson")
    assert customer.history.first().history_user == supervisor


def test_a_changed_route_is_a_new_one_so_that_other_products_keep_theirs(shop, planner):
    Product.objects.filter(code="LEAFLET").update(route=Product.objects.get(code="POSTER").route)
    rows = [["编码", "名称", "工艺路线"], ["POSTER", "poster", "CTP→CUT→PRT→PACK"], ["LEAFLET", "leaflet", "CTP > CUT > PRT > VAN > PACK"]]
    apply_import(run_of(workbook(*rows), planner, "products"), by=planner)
    routes = {one.code: [step.process.code for step in one.route.steps.all()] for one in Product.objects.select_related("route")}
    assert routes["POSTER"] == ["CTP", "CUT", "PRT", "PACK"]
    assert routes["LEAFLET"] == ["CTP", "CUT", "PRT", "VAN", "PACK"]
    assert Product.objects.get(code="POSTER").route.code == "route-leaflet"
    assert Route.objects.get(code="route-poster").steps.count() == 5


def test_each_error_names_row_column_and_way_out(reference, supervisor):
    rows = [
        ["编码", "名称", "单位", "工艺路线"],
        ["A", "one", "bok", "CTP > CUTT > PRT"],
        ["B", None, "本", "CTP > > PRT"],
        ["A", "again", None, None],
        ["x" * 50, "long", None, None],
    ]
    told = errors(run_of(workbook(*rows), supervisor, "products"))
    assert [(row, column) for row, column, _message in told] == [
        (2, "Unit"), (2, "Route"), (3, "Name"), (3, "Route"), (4, "Code"), (5, "Code"),
    ]  # fmt: skip
    assert told[0][2].startswith("bok is no known unit: did you mean books?")
    assert told[1][2] == "CUTT is no known process code: did you mean CUT?"
    assert told[2][2] == "The cell is blank. Fill in: Name."
    assert told[4][2] == "A stands in row 2 already. Leave one of the two out."


def test_an_unknown_salesperson_is_an_error_with_the_nearest_name(reference, supervisor):
    rows = [["Code", "Name", "Salesperson"], ["N1", "New", "sales_hh"], ["N2", "Newer", "maker"]]
    told = [message for _row, _column, message in errors(run_of(workbook(*rows), supervisor, "customers"))]
    assert told[0] == "sales_hh is no known salesperson (write the user name): did you mean sales_h?"
    assert told[1].startswith("maker is no known salesperson")


def test_a_name_that_another_customer_has_is_told(shop, supervisor):
    told = errors(run_of(workbook(["Code", "Name"], ["NEW", "Sunrise"]), supervisor, "customers"))
    assert told == [(2, "Name", "Customer with this Name already exists.")]


def test_a_row_of_a_customer_out_of_sight_is_told_neutrally_and_nothing_is_shown(shop, salesperson, monkeypatch):
    """No role that imports sees only some customers today; the rule holds for the day that one does."""
    from apps.accounts import roles

    more = {**roles.ROLES, "salesperson": roles.ROLES["salesperson"] | {"catalog.import_customer"}}
    monkeypatch.setattr("apps.accounts.access.ROLES", more)
    run = run_of(workbook(["Code", "Name", "Phone"], ["MOON", "Stolen", "1"], ["SUN", "Sunrise", "5"]), salesperson, "customers")
    assert errors(run) == [(2, "Code", "This code cannot be used. Ask a planner.")]
    assert "Moonlight" not in str(run.problems) + str(run.plan)
    assert [entry["label"] for entry in run.plan] == ["SUN · Sunrise"]


def test_nothing_is_half_done_where_one_sheet_has_an_error(reference, supervisor):
    from tests.imports.samples import every_table

    Product.objects.all().delete()
    from apps.catalog.models import Process

    Process.objects.filter(code="WINDOW").update(is_active=False)
    before = every_table()
    run = run_of(sample("catalogue.xlsx"), supervisor, "catalogue")
    assert run.state == ImportState.FAULTY
    assert [(one["sheet"], one["row"]) for one in run.problems if one["level"] == "error"] == [("产品", 9)]
    with pytest.raises(RuleError, match="Correct them, or import only the good ones"):
        apply_import(run, by=supervisor)
    assert every_table() == before
