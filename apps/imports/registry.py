"""What can be imported. Each app's resources.py registers its resources here when Django starts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.accounts.access import access_of

if TYPE_CHECKING:
    from apps.imports.base import ServiceResource


@dataclass(frozen=True)
class Kind:
    """One choice of "What is in the file?": `resources` are tried on the file's sheets and applied in this order."""

    key: str
    label: Any
    resources: tuple[type["ServiceResource"], ...]

    @property
    def permissions(self) -> frozenset[str]:
        return frozenset(resource.permission for resource in self.resources)

    def allowed_to(self, user: Any) -> bool:
        access = access_of(user)
        return all(access.has(permission) for permission in self.permissions)


KINDS: dict[str, Kind] = {}


def register(key: str, label: Any, *resources: type["ServiceResource"]) -> None:
    """Offer `resources` for import under `key`."""
    KINDS[key] = Kind(key, label, resources)


def kinds_for(user: Any) -> Iterator[Kind]:
    """What `user` may import, in the order of the apps."""
    return (kind for kind in KINDS.values() if kind.allowed_to(user))
