"""A shop whose handhelds speak HTTP to a live server."""

from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.models import User
from apps.scanning.codes import Kind, encode
from apps.scanning.models import Device
from apps.scanning.services.devices import issue_badge, register_device
from apps.scanning.simulation.handheld import Handheld
from apps.workorders.models import Task
from tests.shop import Shop, make_shop


@pytest.fixture
def shop(transactional_db: None) -> Shop:
    return make_shop()


@pytest.fixture
def device(shop: Shop) -> Device:
    """A handheld of printing; its token is in `device.token`."""
    one, one.token = register_device("Press room 1", shop.departments["printing"], by=shop.people["administrator"])
    return one


@pytest.fixture
def badge_of(shop: Shop) -> Callable[[str], tuple[str, str]]:
    """The code and the PIN of somebody's badge, the same each time."""
    known: dict[str, tuple[str, str]] = {}

    def badge(name: str) -> tuple[str, str]:
        if name not in known:
            row, pin = issue_badge(User.objects.get(username=name), by=shop.people["administrator"])
            known[name] = encode(Kind.BADGE, row.pk), pin
        return known[name]

    return badge


@pytest.fixture
def handheld(live_server: Any, device: Device, badge_of: Callable) -> Callable[..., Handheld]:
    """`handheld("operator")` is the handheld with that person badged in; None: nobody is."""

    def hand(name: str | None = "operator", **options: Any) -> Handheld:
        one = Handheld(live_server.url, device.token, **options)
        if name:
            one.badge_in(*badge_of(name))
        return one

    return hand


@pytest.fixture
def task(shop: Shop) -> Task:
    """A printing task over 1,000 that may be claimed."""
    return shop.ready_to_print(shop.approved())


@pytest.fixture
def other_task(shop: Shop) -> Task:
    return shop.ready_to_print(shop.approved())


def code_of(task: Task) -> str:
    return encode(Kind.TASK, task.pk)
