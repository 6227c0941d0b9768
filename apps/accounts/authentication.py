"""How a request of the API says who sends it: an access token, or a session of the admin with its CSRF token."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed

from apps.accounts import services
from apps.accounts.models import AccessToken

SCHEMES = ("token", "bearer")
STAMP_EVERY = timedelta(minutes=1)


def text_of(request: Any) -> str | None:
    """The token that the request's Authorization header carries; None where there is none."""
    scheme, _blank, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() in SCHEMES else None


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Token dkt_…` (`Bearer` too). One query; one more at most once a minute, for `last_used_at`."""

    def authenticate(self, request: Any) -> tuple[Any, AccessToken] | None:
        text = text_of(request)
        if text is None:
            return None
        token = services.token_of(text)
        now = timezone.now()
        if token is None or not token.user.is_active:
            raise AuthenticationFailed(_("The token is not known. Sign in again."), code="token_unknown")
        if token.revoked_at is not None:
            raise AuthenticationFailed(_("The token was revoked. Sign in again."), code="token_revoked")
        if token.expires_at <= now:
            raise AuthenticationFailed(_("The token has expired. Sign in again."), code="token_expired")
        if token.last_used_at is None or now - token.last_used_at >= STAMP_EVERY:
            AccessToken.objects.filter(pk=token.pk).update(last_used_at=now)
        return token.user, token

    def authenticate_header(self, request: Any) -> str:
        return 'Token realm="Docket"'


class ApiSessionAuthentication(SessionAuthentication):
    """Who is signed in to the admin can use the API from its pages; every change needs the CSRF token."""
