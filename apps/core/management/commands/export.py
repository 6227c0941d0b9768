import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.http import Http404
from django.test import RequestFactory

from apps.core.export import FORMATS, Exportable


def exportable() -> dict[str, Exportable]:
    """The lists that can be exported, by the name that the import has for them, else by the model's."""
    lists = (one for one in admin.site._registry.values() if isinstance(one, Exportable))
    return {one.import_resource or f"{one.opts.model_name}s": one for one in lists}


class Command(BaseCommand):
    help = "Write a list to a file as its page's export does: with its filters, for one person's eyes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("resource", help="customers, products, orders or tasks.")
        parser.add_argument("--as", dest="user", required=True, metavar="USER", help="Who exports: just the rows that he sees.")
        parser.add_argument("--filter", dest="filters", action="append", default=[], metavar="NAME=VALUE",
                            help="As in the address of the list: status__exact=approved, q=Sunrise, o=-2. May be repeated.")  # fmt: skip
        parser.add_argument("--out", type=Path, required=True, help=f"The file; its ending says the format: {', '.join(FORMATS)}.")

    def handle(self, *args: Any, resource: str, user: str, filters: list[str], out: Path, **options: Any) -> None:
        lists = exportable()
        if resource not in lists:
            raise CommandError(f"There is no list {resource!r}. Use one of: {', '.join(sorted(lists))}.")
        by = get_user_model().objects.filter(username=user, is_active=True).first()
        if by is None:
            raise CommandError(f"There is no active user {user!r}.")
        kind = out.suffix.removeprefix(".").lower()
        if kind not in FORMATS:
            raise CommandError(f"{out} ends in no known format. Use one of: {', '.join(FORMATS)}.")
        query = [tuple(one.partition("=")[::2]) for one in filters]
        request = RequestFactory().get(f"/?{urlencode([*query, ('format', kind)])}")
        request.user = by
        try:
            answer = lists[resource].export_view(request)
        except (PermissionDenied, SuspiciousOperation, Http404) as error:
            raise CommandError(f"{user} may not export {resource}, or a filter makes no sense.") from error
        content = b"".join(answer.streaming_content) if answer.streaming else answer.content
        if answer.status_code != 200:
            raise CommandError(content.decode())
        try:
            out.write_bytes(content)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
        if sys.stdout.isatty():
            self.stdout.write(f"{out}: {len(content):,} bytes.")
