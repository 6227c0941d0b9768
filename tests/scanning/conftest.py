"""A registered handheld, badges, and people who are signed in on it."""

from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts.models import User
from apps.scanning.models import Badge, Device
from apps.scanning.services import devices

PIN = "2468"


def client_with(token: str) -> APIClient:
    """An API client that sends `token`."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


@dataclass
class Handheld:
    """One handheld of the shop, by its real token."""

    device: Device
    token: str
    administrator: User

    @property
    def alone(self) -> APIClient:
        """Nobody is signed in."""
        return client_with(self.token)

    def badge_of(self, person: User, pin: str = PIN) -> Badge:
        """The badge that counts; issued where there is none."""
        present = Badge.objects.live().filter(user=person).first()
        return present or devices.issue_badge(person, by=self.administrator, pin=pin)[0]

    def badge_in(self, person: User, pin: str = PIN) -> Any:
        """The answer to scanning the badge and typing `pin`."""
        code = devices.code_of(self.badge_of(person))
        return self.alone.post("/api/auth/badge/", {"badge": code, "pin": pin}, format="json")

    def signed_in(self, person: User) -> APIClient:
        """A client of the session that `person` has on this handheld from now on."""
        answer = self.badge_in(person)
        assert answer.status_code == 200, answer.content
        return client_with(answer.json()["token"])


@pytest.fixture
def register(shop: Any) -> Any:
    """register("Press 2", "printing") -> another Handheld."""

    def register(name: str, department: str = "printing") -> Handheld:
        administrator = shop.people["administrator"]
        device, token = devices.register_device(name, shop.departments[department], by=administrator)
        return Handheld(device, token, administrator)

    return register


@pytest.fixture
def handheld(register: Any) -> Handheld:
    return register("Press 1")
