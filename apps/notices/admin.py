"""A person's notices: to read, and to mark as read."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from apps.core.admin import BulkVerb, Verb, VerbsOnlyAdmin
from apps.notices.models import Notice
from apps.notices.services import mark_read


def read(notice: Notice, *, by: Any) -> Notice:
    """Mark one of the user's own notices as read."""
    return mark_read(Notice.objects.visible_to(by).get(pk=notice.pk))


class ReadFilter(DropdownFilter):
    title = _("read")
    parameter_name = "read"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("no", _("unread")), ("yes", _("read"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() in ("yes", "no"):
            return queryset.filter(read_at__isnull=self.value() == "no")
        return queryset


@admin.register(Notice)
class NoticeAdmin(VerbsOnlyAdmin):
    list_display = ("says", "state", "created_at")
    list_filter = (ReadFilter,)
    ordering = ("-pk",)
    sortable_by = ()
    fields = ("says", "link", "created_at", "read_at")
    readonly_fields = fields
    quick_links = ((_("Unread"), "read=no"), (_("Read"), "read=yes"))
    verbs = (
        Verb(
            "read", _("Mark as read"), read, icon="done", variant="primary", done=_("The notice is marked as read."),
            when=lambda user, notice: notice.read_at is None,
        ),
    )  # fmt: skip
    bulk_verbs = (BulkVerb("read", _("Mark as read"), read),)

    @display(description=_("notice"))
    def says(self, obj: Notice) -> str:
        return obj.text

    @display(description=_("state"), label={"unread": "info"})
    def state(self, obj: Notice) -> tuple[str, Any]:
        return ("", _("read")) if obj.read_at else ("unread", _("unread"))

    @display(description=_("about"))
    def link(self, obj: Notice) -> str:
        return format_html('<a class="home-link" href="{}">{}</a>', obj.url, pgettext("link", "Open")) if obj.url.startswith("/") else "–"
