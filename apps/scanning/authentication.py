"""How a handheld says which one it is, and who is signed in on it."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission

from apps.accounts.authentication import text_of
from apps.scanning.models import Device, OperatorSession
from apps.scanning.services import devices


@dataclass(frozen=True)
class DeviceAlone:
    """`request.auth` of a handheld that nobody is signed in on; `request.user` is nobody then."""

    device: Device


class FloorAuthentication(BaseAuthentication):
    """`Authorization: Token dks_…`, a person signed in on a handheld, or `dkd_…`, the handheld alone.

    Alone it is refused here, with badge_needed, by every view that does not say `takes_device`: what is open to it is opened on
    purpose. `request.auth.device` is the handheld in both cases. One query; one more at most once a minute.
    """

    def authenticate(self, request: Any) -> tuple[Any, DeviceAlone | OperatorSession] | None:
        text = text_of(request) or ""
        if text.startswith(devices.SESSION_PREFIX):
            return self._person(text)
        if text.startswith(devices.DEVICE_PREFIX):
            return self._alone(text, request.parser_context["view"])
        return None

    def authenticate_header(self, request: Any) -> str:
        return 'Token realm="Docket"'

    def _person(self, text: str) -> tuple[Any, OperatorSession]:
        session, now = devices.session_of(text), timezone.now()
        if session is None:
            raise AuthenticationFailed(_("The token is not known. Sign in again."), code="token_unknown")
        if session.device.revoked_at is not None:
            raise _revoked()
        if devices.is_over(session, now):
            raise AuthenticationFailed(_("Your session has ended. Sign in with your badge and PIN again."), code="session_ended")
        devices.touch(session, now)
        return session.user, session

    def _alone(self, text: str, view: Any) -> tuple[Any, DeviceAlone]:
        device = devices.device_of(text)
        if device is None:
            said = _("This handheld is not known. Ask an administrator to register it, or to renew its token.")
            raise AuthenticationFailed(said, code="token_unknown")
        if device.revoked_at is not None:
            raise _revoked()
        if not getattr(view, "takes_device", False):
            raise PermissionDenied(_("Sign in with your badge and PIN first."), code="badge_needed")
        devices.touch(device, timezone.now())
        return AnonymousUser(), DeviceAlone(device)


class PersonOrDevice(BasePermission):
    """Somebody who is signed in, or a handheld alone, where the view `takes_device`."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return bool(request.user.is_authenticated or isinstance(request.auth, DeviceAlone))


def _revoked() -> AuthenticationFailed:
    said = _("This handheld was revoked. Bring it to an administrator; what waits on it is sent when it is in use again.")
    return AuthenticationFailed(said, code="token_revoked")
