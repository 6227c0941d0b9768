"""`manage.py reset_second_factor NAME`: for the administrator who lost phone and recovery codes, and has nobody to ask."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import User
from apps.accounts.second_factor import reset
from apps.accounts.services import system_user
from apps.core.errors import RuleError


class Command(BaseCommand):
    help = "Take away a user's second factor: the password alone signs in again. The user's sessions end."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        person = User.objects.filter(username=options["username"]).first()
        if person is None:
            raise CommandError(f"There is no user {options['username']!r}.")
        try:
            reset(person, by=system_user())
        except RuleError as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{person.username} signs in with the password alone.")
