import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Model

from apps.core.errors import RuleError
from apps.core.export import FORMATS, as_file
from apps.imports.exportable import Exportable, lists, request_of, rows_for

CHUNK = 1024 * 1024
NO_SUCH_VALUE = 2  # the exit code where a filter asks for a value that its column never has


def exportable() -> dict[str, Exportable]:
    """The lists that can be exported, by the name that the import has for them, else by the model's."""
    return {one.import_resource or f"{one.opts.model_name}s": one for one in lists().values()}


class Command(BaseCommand):
    help = (
        "Write a list to a file as its page's export does: with its filters, for one person's eyes. "
        "Exit code 0: done; 1: refused; 2: a filter asks for a value that there is not. Nothing is written then."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("resource", help="customers, products, tools, orders, tasks, rules or people.")
        parser.add_argument("--as", dest="user", required=True, metavar="USER", help="Who exports: just the rows that he sees.")
        parser.add_argument("--filter", dest="filters", action="append", default=[], metavar="NAME=VALUE",
                            help="As in the address of the list: status__exact=approved, q=Sunrise, o=-2. May be repeated.")  # fmt: skip
        parser.add_argument("--out", type=Path, required=True, help=f"The file; its ending says the format: {', '.join(FORMATS)}.")

    def handle(self, *args: Any, resource: str, user: str, filters: list[str], out: Path, **options: Any) -> None:
        named = exportable()
        if resource not in named:
            raise CommandError(f"There is no list {resource!r}. Use one of: {', '.join(sorted(named))}.")
        by = get_user_model().objects.filter(username=user, is_active=True).first()
        if by is None:
            raise CommandError(f"There is no active user {user!r}.")
        kind = out.suffix.removeprefix(".").lower()
        if kind not in FORMATS:
            raise CommandError(f"{out} ends in no known format. Use one of: {', '.join(FORMATS)}.")
        asked = [one.partition("=")[::2] for one in filters]
        try:
            _count, rows = rows_for(named[resource].opts.label_lower, urlencode(asked), by=by)
        except RuleError as refusal:
            if refusal.code != "filter":
                raise CommandError(f"{user} gets no {resource}: {refusal}") from refusal
            known = ", ".join(["q", "o", *_filters_of(named[resource], by)])
            told = f"--filter {' --filter '.join(filters)}: the list has no such filter, or it cannot be read. Known: {known}."
            raise CommandError(told, returncode=NO_SUCH_VALUE) from refusal
        own = _filters_of(named[resource], by)
        for name, value in asked:
            _refuse_impossible(named[resource].model, own.get(name, []), name, value)
        try:
            with as_file(rows, kind) as content, out.open("wb") as file:
                while chunk := content.read(CHUNK):
                    file.write(chunk)
        except OSError as error:
            raise CommandError(f"{out} cannot be written: {error.strerror}.") from error
        if sys.stdout.isatty():
            self.stdout.write(f"{out}: {out.stat().st_size:,} bytes.")


def _filters_of(listed: Exportable, by: Any) -> dict[str, list[str]]:
    """The names of the list's filters, as its address has them, with the values of those that are not of a column."""
    found: dict[str, list[str]] = {}
    for one in listed.get_changelist_instance(request_of(by)).filter_specs:
        values = [str(value) for value, _label in getattr(one, "lookup_choices", ())] if isinstance(one, SimpleListFilter) else []
        found |= dict.fromkeys(one.expected_parameters(), values)
    return found


def _refuse_impossible(model: type[Model], values: list[str], name: str, value: str) -> None:
    """Refuse a value that is none of the filter's `values`, or of its column's choices; `name` was accepted by the list."""
    path, _dashes, lookup = name.rpartition("__")
    if lookup in ("exact", "in"):
        values = [str(choice) for choice, _label in get_fields_from_path(model, path)[-1].flatchoices]
    wrong = [one for one in (value.split(",") if lookup == "in" else [value]) if values and one not in values]
    if wrong:
        raise CommandError(f"--filter {name}: there is no {wrong[0]!r}. Use one of: {', '.join(values)}.", returncode=NO_SUCH_VALUE)
