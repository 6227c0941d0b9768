import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.core.files import File
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import User
from apps.core.context import signed
from apps.core.errors import InvalidInput, RuleError
from apps.imports import services
from apps.imports.forms import options_forms
from apps.imports.models import ImportProfile, ImportRun, ImportState
from apps.imports.registry import KINDS, Kind
from apps.imports.working import outlook

BAR = 30  # signs
LEFT_OVER = 2  # the exit code where rows are left that cannot be imported, or taken back


def _answer(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ArgumentTypeError(f"'{text}' is not written like maker=anna.")
    return name, value


class Command(BaseCommand):
    help = (
        "Import a spreadsheet as the import pages do: say what it would do, do it, or take a run back. "
        "Exit code 0: all of it; 1: refused, nothing done; 2: some rows cannot be imported or taken back, and each is named."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, help="An xlsx, ods or csv file.")
        parser.add_argument("--resource", choices=sorted(KINDS), help="What is in the file.")
        parser.add_argument("--as", dest="user", required=True, metavar="USER", help="Whose import it is, with just his rights.")
        parser.add_argument("--set", dest="answers", type=_answer, action="append", default=[], metavar="NAME=VALUE",
                            help="What the upload page asks beside the file: maker=anna, order_date=2026-11-21.")  # fmt: skip
        parser.add_argument("--profile", metavar="NAME", help="Which column is which, as this profile says that was saved on the pages.")
        parser.add_argument("--good", action="store_true", help="With --apply: leave out the rows that cannot be imported.")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--plan", action="store_true", help="Only say what it would do; the plan waits on its page (the default).")
        what.add_argument("--apply", action="store_true", help="Do it.")
        what.add_argument("--revert", type=int, metavar="RUN", help="Take back what this import did.")

    def handle(self, *args: Any, file: Path | None, resource: str | None, user: str, apply: bool, revert: int | None, **more: Any) -> None:
        by = User.objects.filter(username=user, is_active=True).first()
        if by is None:
            raise CommandError(f"There is no active user {user!r}.")
        if revert is None and (file is None or resource is None):
            raise CommandError("Name the file and --resource, or the run with --revert.")
        with signed(source="command"):
            try:
                if revert is not None:
                    self._revert(revert, by)
                else:
                    self._import(file, KINDS[resource], by, dict(more["answers"]), apply=apply, only_good=more["good"],
                                 profile=_profile(more["profile"], KINDS[resource], by))  # fmt: skip
            except (RuleError, PermissionDenied) as refusal:
                raise CommandError(str(refusal)) from refusal

    def _import(
        self, file: Path, kind: Kind, by: User, answers: dict[str, str], *, apply: bool, only_good: bool, profile: ImportProfile | None
    ) -> None:
        try:
            with file.open("rb") as stream:
                options = _options(kind, by, answers)
                run = services.plan_import(
                    kind.key, File(stream, name=file.name), by=by, options=options, profile=profile, told=self._progress()
                )
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        except InvalidInput as refusal:
            if refusal.code != "file_columns" or profile:
                raise
            hint = "Rename the headers, or name a profile with --profile; the import page asks which column is which, and saves one."
            raise CommandError(f"{refusal} {hint}") from refusal
        self._tell_plan(run)
        if apply:
            run = services.apply_import(run, by=by, only_good=only_good, told=self._progress())
            self.stdout.write(f"Import {run.pk}: {run.rows_done} of {_rows(run.rows_total)} imported.")
        bad = run.rows.bad().count()
        if bad:
            raise CommandError(f"{_rows(bad)} of import {run.pk} cannot be imported as they are.", returncode=LEFT_OVER)

    def _tell_plan(self, run: ImportRun) -> None:
        sums = ", ".join(f"{name} {number:,}" for name, number in services.totals(run).items())
        self.stdout.write(f"Import {run.pk}: {_rows(run.rows_total)}. {sums or 'nothing to import'}.")
        for one in run.problems:
            place = " ".join(str(part) for part in (one["sheet"], one["row"] and f"row {one['row']}", one["column"]) if part)
            self.stdout.write(f"{one['level']}: {place + ': ' if place else ''}{one['message']}")

    def _revert(self, pk: int, by: User) -> None:
        run = ImportRun.objects.visible_to(by).filter(pk=pk).first()
        if run is None:
            raise CommandError(f"There is no import {pk}.")
        run = services.revert_import(run, by=by, told=self._progress())
        kept = list(run.rows.exclude(kept_because=""))
        for row in kept:
            self.stdout.write(f"row {row.number}: {row.label}: {row.kept_because}")
        if run.state != ImportState.REVERTED:
            raise CommandError(f"Import {pk} is taken back as far as it can be; {len(kept)} stay.", returncode=LEFT_OVER)
        self.stdout.write(f"Import {pk} is taken back.")

    def _progress(self) -> Callable[[ImportRun], None] | None:
        """Draws a bar, where somebody looks."""
        if not sys.stderr.isatty():
            return None

        def draw(run: ImportRun) -> None:
            percent = outlook(run)["percent"]
            filled = BAR * percent // 100
            end = "\n" if percent == 100 else ""
            self.stderr.write(f"\r{run.state} [{'#' * filled}{' ' * (BAR - filled)}] {percent} %", ending=end)

        return draw


def _rows(number: int) -> str:
    return f"{number} row" if number == 1 else f"{number} rows"


def _profile(name: str | None, kind: Kind, by: User) -> ImportProfile | None:
    """One's own profile of this name, else a shared one."""
    if name is None:
        return None
    found = ImportProfile.objects.visible_to(by).filter(resource=kind.key, name=name)
    profile = min(found, key=lambda one: (one.owner_id != by.pk, one.pk), default=None)
    if profile is None:
        raise CommandError(f"{by.username} has no profile {name!r} for {kind.key}.")
    return profile


def _options(kind: Kind, by: User, answers: dict[str, str]) -> dict[str, Any]:
    """What the upload page's forms would store: what was set, and for the rest what the page proposes."""
    stored: dict[str, Any] = {}
    left = set(answers)
    for asked in options_forms(kind, by=by):
        data = {name: _proposed(field) for name, field in asked.fields.items()}
        data |= {name: _key(asked.fields[name], value) for name, value in answers.items() if name in asked.fields}
        left -= asked.fields.keys()
        (form,) = [one for one in options_forms(kind, data, by=by) if type(one) is type(asked)]
        if not form.is_valid():
            raise CommandError(" ".join(f"{name}: {' '.join(told)}" for name, told in form.errors.items()))
        stored |= form.stored()
    if left:
        raise CommandError(f"{kind.key} asks for no {', '.join(sorted(left))}.")
    return stored


def _proposed(field: forms.Field) -> Any:
    return field.initial() if callable(field.initial) else field.initial


def _key(field: forms.Field, value: str) -> Any:
    """People are named by their sign-in."""
    if isinstance(field, forms.ModelChoiceField) and not value.isdecimal():
        return field.queryset.filter(username=value).values_list("pk", flat=True).first() or value
    return value
