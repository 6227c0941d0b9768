"""Telling the people in charge that something needs them: a notice to each, and mail where mail is set up."""

import logging
from typing import Any

from django.conf import settings
from django.core.mail import mail_admins
from django.db.models import Q
from django.utils.translation import override

from apps.accounts.models import User
from apps.accounts.roles import Role
from apps.core.models import Hold
from apps.notices.kinds import KINDS
from apps.notices.services import notify

log = logging.getLogger("docket.ops")


def administrators() -> Any:
    """Everybody who looks after the installation."""
    return User.objects.filter(Q(groups__name=Role.ADMINISTRATOR) | Q(is_superuser=True), is_active=True).distinct()


def alarm(kind: str, *, url: str = "", **params: Any) -> None:
    """Tell the administrators, on their pages and by mail. Mail that cannot be sent stops nothing: the notice is there."""
    notify(administrators(), kind, url=url, **params)
    with override(settings.LANGUAGE_CODE):
        text = str(KINDS[kind]) % params
    log.critical("%s", text)
    if not settings.EMAIL_HOST or not settings.ADMINS or Hold.objects.exists():
        return  # a restored copy writes to nobody until it is released
    try:
        mail_admins(text.splitlines()[0][:120], text)
    except OSError as error:  # what smtplib raises is one, and so is a connection that is refused
        log.error("mail to the administrators was not sent: %s", error)
