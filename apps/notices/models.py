"""Messages to one person each. The text is made from kind and parameters when it is read, in the reader's language."""

from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.querysets import ScopedQuerySet


class NoticeQuerySet(ScopedQuerySet):
    """Notices, newest first."""

    def visible_to(self, user: Any) -> Self:
        return self.filter(user=user.pk)

    def unread(self) -> Self:
        return self.filter(read_at=None)


class Notice(models.Model):
    """One message to one user, with a link. `kind` is a key of notices.kinds.KINDS."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(_("kind"), max_length=40)
    params = models.JSONField(default=dict, blank=True)
    url = models.CharField(_("link"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("sent at"), auto_now_add=True)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)
    objects = NoticeQuerySet.as_manager()

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        ordering = ["-pk"]
        indexes = [models.Index(fields=["user", "read_at", "-id"], name="notice_of_user")]

    def __str__(self) -> str:
        return str(self.text)

    @property
    def text(self) -> str:
        """The sentence, in the language of whoever reads."""
        from apps.notices.kinds import KINDS

        return str(KINDS[self.kind]) % self.params if self.kind in KINDS else self.kind
