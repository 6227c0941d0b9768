"""Between the password and the code: who has shown the one waits in his session, signed in to nothing, for the other."""

import time
from typing import Any

from django.contrib.auth import login

from apps.accounts.models import User
from apps.accounts.second_factor import VERIFIED, check, factor_of
from apps.accounts.sessions import note_sign_in

WAITING = "waits_for_code"
SECONDS = 300
BACKEND = "apps.accounts.backends.RoleBackend"


def wait_for_code(request: Any, user: User) -> None:
    """The password was right."""
    request.session[WAITING] = {"user": user.pk, "since": time.time(), "password": user.get_session_auth_hash()}
    request.waits_for_code = True


def who_waits(request: Any) -> User | None:
    """Whose code is asked for: nobody's after five minutes, or when the account or its password changed meanwhile. One query."""
    waiting = request.session.get(WAITING, {})
    if time.time() - waiting.get("since", 0) > SECONDS:
        return None
    user = User.objects.filter(pk=waiting["user"], is_active=True, is_staff=True).first()
    return user if user is not None and user.get_session_auth_hash() == waiting["password"] else None


def sign_in_with_code(request: Any, user: User, code: str) -> None:
    """The second step. Raises BadCode or TooManyTries."""
    factor = factor_of(user)
    if factor is not None:  # taken away meanwhile: then the password is enough
        check(factor, code)
    del request.session[WAITING]
    login(request, user, backend=BACKEND)
    note_sign_in(request)
    request.session[VERIFIED] = True
