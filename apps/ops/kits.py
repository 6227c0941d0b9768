"""Handhelds for load tests: registered, with a badge and a PIN each for one of the people that `seed_load` made."""

from dataclasses import asdict, dataclass
from datetime import datetime

from django.contrib.auth.models import Group
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.core.context import acting
from apps.ops.load import USERNAME
from apps.scanning.models import Badge
from apps.scanning.services.devices import code_of, issue_badge, new_pin, register_device


@dataclass(frozen=True)
class Kit:
    """What a simulated handheld needs to sign in: its own token, a person's badge and PIN."""

    username: str
    device_token: str
    badge: str
    pin: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def hand_out(count: int) -> list[Kit]:
    """So many handhelds, or as many as there are operators of the load. Raises what registering raises."""
    by = _administrator()
    people = User.objects.filter(username__startswith=USERNAME, groups__name=Role.OPERATOR, is_active=True).order_by("username")
    by_turns = sorted(people, key=lambda user: (user.username.rpartition("_")[2], user.username))  # every department is among the first
    now = timezone.now()
    return [_kit(user, number, now, by=by) for number, user in enumerate(by_turns[:count], 1)]


def _administrator() -> User:
    """Who registers them. Nobody signs in as he."""
    user, made = User.objects.get_or_create(username=f"{USERNAME}administrator", defaults={"name": "Load administrator", "password": "!"})
    if made:
        user.groups.add(Group.objects.get(name=Role.ADMINISTRATOR))
    return user


def _kit(user: User, number: int, now: datetime, *, by: User) -> Kit:
    with acting(by):
        _device, token = register_device(f"Load {now:%Y%m%d-%H%M%S-%f} {number}", user.departments.order_by("pk").first(), by=by)
        badge = Badge.objects.live().filter(user=user).first()
        badge, pin = (badge, new_pin(badge, by=by)) if badge else issue_badge(user, by=by)
    return Kit(user.username, token, code_of(badge), pin)
