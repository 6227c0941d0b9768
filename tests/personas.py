"""The people of the reference shop, one for each role and the strangers that nothing may leak to.

`maker` makes orders; `salesperson` has the customer Sunrise; `supervisor` leads production (cutting, printing, die_cutting,
packaging and outsourcing are below it); `operator` and `second_operator` work in printing, `stranger` in outsourcing;
`prepress_lead` leads design; `other_maker` and `other_salesperson` have the customer Moonlight.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.models import Department, Membership, User
from apps.accounts.roles import Role
from apps.accounts.services import issue_token
from apps.accounts.sessions import CONFIRMED_AT

PASSWORD = "testpass123"

# name -> (roles, {department: is_lead})
PEOPLE: dict[str, tuple[tuple[str, ...], dict[str, bool]]] = {
    "maker": ((Role.MAKER,), {}),
    "other_maker": ((Role.MAKER,), {}),
    "salesperson": ((Role.SALESPERSON,), {}),
    "other_salesperson": ((Role.SALESPERSON,), {}),
    "supervisor": ((Role.SUPERVISOR,), {"production": True}),
    "prepress_lead": ((Role.SUPERVISOR,), {"design": True}),
    "operator": ((Role.OPERATOR,), {"printing": False}),
    "second_operator": ((Role.OPERATOR,), {"printing": False}),
    "stranger": ((Role.OPERATOR,), {"outsourcing": False}),
    "planner": ((Role.PLANNER,), {}),
    "auditor": ((Role.AUDITOR,), {}),
    "administrator": ((Role.ADMINISTRATOR,), {}),
    "superuser": ((), {}),
    "nobody": ((), {}),
}


def make_people(departments: dict[str, Department]) -> dict[str, User]:
    """Write all of PEOPLE: staff users whose password is PASSWORD, in six queries."""
    Group.objects.bulk_create([Group(name=role) for role in Role.values], ignore_conflicts=True)
    groups = {group.name: group for group in Group.objects.filter(name__in=Role.values)}
    people = {}
    for name in PEOPLE:
        user = User(username=name, name=name.replace("_", " ").title(), is_staff=True, is_superuser=name == "superuser")
        user.set_password(PASSWORD)
        people[name] = user
    User.objects.bulk_create(people.values())
    people = {user.username: user for user in User.objects.filter(username__in=PEOPLE)}
    in_group = User.groups.through
    in_group.objects.bulk_create(
        in_group(user=people[name], group=groups[role]) for name, (roles, _places) in PEOPLE.items() for role in roles
    )
    Membership.objects.bulk_create(
        Membership(user=people[name], department=departments[code], is_lead=is_lead)
        for name, (_roles, places) in PEOPLE.items()
        for code, is_lead in places.items()
    )
    return people


def again(user: User) -> User:
    """The user as the next request would load him: what he may do is read anew."""
    return User.objects.get(pk=user.pk)


def client_of(user: User | None) -> Client:
    """A browser in which `user` is signed in; None: nobody is."""
    client = Client()
    if user is not None:
        client.force_login(user)
        just_confirmed(client)
    return client


def just_confirmed(client: Client) -> None:
    """As after the sign-in page: the password was shown a moment ago."""
    session = client.session
    session[CONFIRMED_AT] = time.time()
    session.save()


def api_of(user: User | None) -> APIClient:
    """An API client that sends a real token of `user`; None: no token."""
    client = APIClient()
    if user is not None:
        _row, token = issue_token(user)
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


@pytest.fixture
def everybody(shop: Any) -> dict[str, User]:
    return shop.people


def _persona(name: str) -> Callable:
    def persona(shop: Any) -> User:
        return shop.people[name]

    return pytest.fixture(name=name)(persona)


for _name in PEOPLE:
    globals()[_name] = _persona(_name)
