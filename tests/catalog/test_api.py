import pytest

from tests.personas import PEOPLE, api_of
from tests.queries import count_queries

LISTS = {"customers": "customer", "products": "product", "processes": "process"}


@pytest.mark.parametrize("name", [*PEOPLE])
def test_everybody_sees_what_visible_to_says(shop, name):
    from apps.catalog.models import Customer, Process, Product

    user = shop.people[name]
    for (path, codename), model in zip(LISTS.items(), (Customer, Product, Process), strict=True):
        response = api_of(user).get(f"/api/{path}/?page_size=200")
        if not user.has_perm(f"catalog.view_{codename}"):
            assert response.status_code == 403, path
            continue
        assert {row["id"] for row in response.json()["results"]} == set(model.objects.visible_to(user).values_list("pk", flat=True))


def test_a_customer_of_somebody_else_is_absent(shop, salesperson):
    client = api_of(salesperson)
    assert client.get(f"/api/customers/{shop.customer.pk}/").json()["code"] == "SUN"
    assert client.get(f"/api/customers/{shop.other_customer.pk}/").status_code == 404
    assert [row["code"] for row in client.get("/api/customers/?search=o").json()["results"]] == []


def test_finding_and_ordering(planner):
    client = api_of(planner)
    assert [row["code"] for row in client.get("/api/products/?search=post").json()["results"]] == ["POSTER"]
    assert [row["code"] for row in client.get("/api/products/?ordering=code").json()["results"]] == ["CARTON", "LEAFLET", "POSTER"]
    assert client.get("/api/products/?is_active=false").json()["results"] == []
    assert {row["code"] for row in client.get("/api/processes/?department=cutting").json()["results"]} == {"CUT", "TRIM"}
    assert client.get("/api/processes/").json()["results"][0]["code"] == "CTP"


def test_a_process_has_both_names_and_the_callers_one(planner):
    row = api_of(planner).get("/api/processes/?search=PRT", headers={"Accept-Language": "zh-hans"}).json()["results"][0]
    assert (row["name"], row["name_zh"], row["label"]) == ("printing", "印刷", "印刷")
    assert set(row["departments"]) == {"printing", "outsourcing", "production"}


@pytest.mark.parametrize("path", LISTS)
def test_the_catalogue_is_read_only_here(shop, planner, path):
    client = api_of(planner)
    first = client.get(f"/api/{path}/").json()["results"][0]["id"]
    assert client.post(f"/api/{path}/", {"name": "x"}, format="json").status_code == 405
    for method in (client.patch, client.put, client.delete):
        assert method(f"/api/{path}/{first}/", {"name": "x"}, format="json").status_code == 405


@pytest.mark.parametrize("path", LISTS)
def test_a_list_costs_no_query_a_row(shop, planner, path):
    client = api_of(planner)
    client.get(f"/api/{path}/")
    with count_queries() as one:
        client.get(f"/api/{path}/?page_size=1")
    with count_queries() as all_:
        client.get(f"/api/{path}/?page_size=200")
    assert len(one) == len(all_) <= 5
