import secrets
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import User
from apps.core.context import signed
from apps.ops.demo import people_of_the_demo, seed_demo, seed_floor
from apps.ops.seeding import seed_presets
from apps.scanning.models import Badge
from apps.scanning.services import devices

PASSWORD = "docket-demo-2026"  # noqa: S105  (printed on purpose; outside of DEBUG one is made up)
PIN = "2468"  # worth nothing without the token of a handheld, which is made up


class Command(BaseCommand):
    help = "Fill an empty shop with people, customers, tools and about 40 orders in every state. Does nothing where there are orders."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--password", help=f"Everybody's password. Without it: {PASSWORD} with DEBUG, else a new one, printed.")

    def handle(self, *args: Any, password: str | None, **options: Any) -> None:
        password = self._checked(password) if password else PASSWORD if settings.DEBUG else secrets.token_urlsafe(12)
        with signed(source="command"):
            seed_presets()
            made = seed_demo(password)
            tokens = seed_floor(PIN) if made else {}
        for what, count in made.items():
            self.stdout.write(f"{count} {what} made")
        if not made:
            self.stdout.write("There are orders already, so nothing was made.")
        self._print_people(password)
        self._print_floor(tokens)

    def _checked(self, password: str) -> str:
        try:
            validate_password(password)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        return password

    def _print_people(self, password: str) -> None:
        """The table of sign-ins. The password is named only where it still is the right one."""
        present = {user.username: user for user in User.objects.filter(is_active=True)}
        rows = [(present[row["username"]], row) for row in people_of_the_demo() if row["username"] in present]
        if not rows:
            return
        self.stdout.write("\nPeople who can sign in:")
        for user, row in rows:
            does = ("leads " if row.get("leads") else "") + ", ".join(row["departments"])
            self.stdout.write(f"  {user.username:18}{', '.join(row['roles']):16}{does:20}{user.name}")
        known = rows[0][0].check_password(password)
        self.stdout.write(f"Their password: {password}" if known else "Their password is the one that was given when they were made.")

    def _print_floor(self, tokens: dict[str, str]) -> None:
        """The badges, and the tokens of the handhelds, which nobody can read again later."""
        operators = [row["username"] for row in people_of_the_demo() if "operator" in row["roles"]]
        badges = list(Badge.objects.live().filter(user__username__in=operators).select_related("user").order_by("user__username"))
        if not badges:
            return
        self.stdout.write("\nOn the floor, at /floor/, with badge and PIN:")
        for badge in badges:
            self.stdout.write(f"  {badge.user.username:18}{devices.code_of(badge)}")
        known = check_password(PIN, badges[0].pin)
        self.stdout.write(f"Their PIN: {PIN}" if known else "Their PIN is the one that was given with the badge.")
        for name, token in tokens.items():
            self.stdout.write(f"The token of the handheld {name}: {token}")
