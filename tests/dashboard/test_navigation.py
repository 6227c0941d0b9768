"""The sidebar: only what one may open, and cheap."""

import pytest
from django.urls import reverse

from apps.dashboard import figures
from apps.dashboard.navigation import pages
from tests.personas import PEOPLE, again, client_of
from tests.queries import count_queries
from tests.shop import Shop


@pytest.mark.parametrize("name", list(PEOPLE))
def test_every_page_of_the_sidebar_opens(shop: Shop, name: str) -> None:
    client = client_of(shop.people[name])
    for group in pages(shop.people[name]):
        for item in group["items"]:
            assert client.get(item["link"]).status_code == 200, item


def test_the_sidebar_is_made_for_the_role(shop: Shop) -> None:
    def titles(name: str) -> set[str]:
        return {item["title"] for group in pages(shop.people[name]) for item in group["items"]}

    assert titles("nobody") == {"Home"}
    assert {"My tasks", "To claim", "Tasks"} <= titles("operator")
    assert not {"Users", "Customers", "Work orders", "Undispatched"} & titles("operator")
    assert {"Users", "Departments", "Access tokens"} <= titles("administrator")
    assert not {"Work orders", "Tasks"} & titles("administrator")
    assert "Waiting for you" in titles("salesperson")
    assert "Waiting for you" not in titles("maker")


def test_the_badges_cost_one_query(shop: Shop) -> None:
    shop.submitted()
    for person in shop.people.values():
        person = again(person)
        figures.badges(person)
        with count_queries(1):
            figures.badges(person)


def test_badges_count_what_is_in_sight(shop: Shop) -> None:
    shop.submitted()
    assert figures.badges(shop.people["salesperson"])["waiting"] == 1
    assert figures.badges(shop.people["other_salesperson"])["waiting"] == 0
    assert "waiting" not in figures.badges(shop.people["maker"])


def test_one_item_is_the_present_one(shop: Shop) -> None:
    client = client_of(shop.people["supervisor"])

    def active(address: str) -> list[str]:
        groups = client.get(address).context["sidebar_navigation"]
        return [item["title"] for group in groups for item in group["items"] if item["active"]]

    orders = reverse("admin:workorders_workorder_changelist")
    assert active(reverse("admin:index")) == ["Home"]
    assert active(orders) == ["Work orders"]
    assert active(f"{orders}?late=yes") == ["Late orders"]
    assert active(f"{orders}?late=yes&q=a") == ["Late orders"]
    order = shop.approved()
    assert active(order.get_absolute_url()) == ["Work orders"]
