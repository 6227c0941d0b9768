"""Read settings from the environment; a bad value stops the start with a sentence that names the variable.

Every helper also accepts NAME_FILE, the path of a file that holds the value, as container secrets come.
"""

import os
import re
import shlex
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import dj_database_url
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.ops.backups.errors import BackupError
from apps.ops.backups.keys import read_keys

NAMES: set[str] = set()  # every variable that was asked for; the page of variables is tested against it
SHORTEST_TOKEN = 16
DOTENV = Path(__file__).resolve().parent.parent / ".env"  # `make run` writes it
_HOST = re.compile(r"\.?[\w-]+(\.[\w-]+)*|\[[0-9a-fA-F:.]+\]", re.ASCII)


class Refused(SystemExit):
    """The configuration is not usable. Whatever reads it ends, with this sentence for the person who starts Docket."""

    def __init__(self, sentence: str) -> None:
        super().__init__(f"Docket does not start: {sentence}")


def text(name: str, default: str | None = None, *, required: str = "") -> str:
    """The value of `name`, stripped. `required` is the sentence to refuse with when it is empty."""
    NAMES.add(name)
    value = os.environ.get(name, "").strip()
    path = os.environ.get(f"{name}_FILE", "").strip()
    if not value and path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Refused(f"{name}_FILE names {path}, which cannot be read: {error.strerror}.") from error
    if value:
        return value
    if required:
        hint = f' There is a {DOTENV}, which make reads: make manage ARGS="help"' if DOTENV.is_file() else ""
        raise Refused(f"{name} is not set. {required}{hint}")
    return default or ""


def flag(name: str, default: bool = False) -> bool:
    """True for true/1/yes, false for false/0/no; any other word is refused."""
    value = text(name).lower()
    if value in ("", "true", "1", "yes", "false", "0", "no"):
        return value in ("true", "1", "yes") if value else default
    raise Refused(f"{name} is '{value}'. Write true or false.")


def number(name: str, default: int, *, low: int = 0, high: int = 10**9) -> int:
    """A whole number between `low` and `high`."""
    value = text(name)
    if not value:
        return default
    if not value.isdecimal() or not low <= int(value) <= high:
        raise Refused(f"{name} is '{value}'. Write a whole number from {low} to {high}.")
    return int(value)


def time_zone(name: str, default: str) -> str:
    """A name of the time zone database, as Asia/Shanghai."""
    value = text(name, default)
    try:
        ZoneInfo(value)
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise Refused(f"{name} is '{value}'. Write a time zone like Asia/Shanghai or UTC.") from error
    return value


def place(name: str, default: Path) -> Path:
    """An absolute path: every process means the same, wherever it was started."""
    path = Path(text(name, str(default)))
    if not path.is_absolute():
        raise Refused(f"{name} is {path}. Write the whole path, from / on.")
    return path


def folder(name: str, default: Path) -> Path:
    """A folder that can be written; it is made where it is missing."""
    path = place(name, default)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{name} is {path}, which cannot be made: {error.strerror}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise Refused(f"{name} is {path}, which this user cannot write to.")
    return path


def pattern(name: str, default: str, *, needs: str, **example: object) -> str:
    """A text with {placeholders} that `example` fills; the one that it `needs` must be among them."""
    value = text(name, default)
    try:
        value.format(**example)
        if f"{{{needs}" not in value:
            raise ValueError(needs)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        known = ", ".join(f"{{{word}}}" for word in example)
        raise Refused(f"{name} is '{value}'. Use only {known}, with {{{needs}}} among them, as in {default}.") from error
    return value


def address(name: str, schemes: tuple[str, ...]) -> str:
    """A URL of one of the schemes, or nothing."""
    value = text(name)
    if value and not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise Refused(f"{name} is not an address that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}.")
    return value


def words(name: str, default: str = "", *, required: str = "") -> list[str]:
    """A list written with commas."""
    return [word.strip() for word in text(name, default, required=required).split(",") if word.strip()]


def command(name: str) -> list[str]:
    """A command as a shell reads its words, or nothing. No shell runs it."""
    value = text(name)
    try:
        found = shlex.split(value)
    except ValueError as error:
        raise Refused(f"{name} is no command: {str(error).lower()}. Close each quotation mark.") from error
    if found and not found[0]:
        raise Refused(f"{name} names no program. Begin with the program's name.")
    return found


def hosts(name: str, default: str = "", *, required: str = "") -> list[str]:
    """Names or addresses of hosts as a browser sends them, without scheme and port."""
    found = words(name, default, required=required)
    for host in found:
        if not _HOST.fullmatch(host):
            raise Refused(f"{name} has '{host}'. Write host names alone, with commas between: docket.example.com,10.0.0.5")
    return found


def mail_addresses(name: str) -> list[str]:
    """Addresses of mail, written with commas."""
    found = words(name)
    for one in found:
        try:
            validate_email(one)
        except ValidationError as error:
            raise Refused(f"{name} has '{one}', which is no mail address. Write them with commas between: ops@example.com") from error
    return found


def token(name: str) -> str:
    """A secret that nobody guesses, or nothing."""
    value = text(name)
    if 0 < len(value) < SHORTEST_TOKEN:
        raise Refused(f"{name} is too short: it needs {SHORTEST_TOKEN} signs or more. Make one with: openssl rand -hex 24")
    return value


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of `allowed`."""
    value = text(name, default)
    if value not in allowed:
        raise Refused(f"{name} is '{value}'. Write one of: {', '.join(word or 'nothing' for word in allowed)}.")
    return value


def key_file(name: str, *, outside: Path) -> list[bytes]:
    """The keys in the file that `name` names; none where it names none. The file is closed to others and not below `outside`."""
    given = text(name)
    if not given:
        return []
    path = Path(given)
    try:
        keys = read_keys(path)
    except BackupError as error:
        raise Refused(f"{name} names a file of no use: {error}") from error
    if path.stat().st_mode & 0o007:
        raise Refused(f"{name} is {path}, which every user of this machine can read. Run: chmod o= {path}")
    if path.resolve().is_relative_to(outside.resolve()):
        raise Refused(f"{name} is {path}, beside the backups that it opens. Move it out of {outside}.")
    return keys


# Of the log, 16 MB are carried over at once: pages that many transactions change, as an import's do, are written once, not each time.
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-65536; "
    "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=268435456; PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864;"
)


def database(home: Path) -> dict:
    """Django's DATABASES["default"]: DATABASE_URL, else POSTGRES_*, else SQLite in `home`."""
    url, pool = text("DATABASE_URL"), number("DATABASE_POOL_SIZE", 0, high=100)
    sslmode = choice("POSTGRES_SSLMODE", "", ("", "disable", "prefer", "require", "verify-ca", "verify-full"))
    if not url:
        user, password, name = text("POSTGRES_USER"), text("POSTGRES_PASSWORD"), text("POSTGRES_DB")
        host, port = text("POSTGRES_HOST"), number("POSTGRES_PORT", 0, low=1, high=65535)
        parts = {"POSTGRES_USER": user, "POSTGRES_PASSWORD": password, "POSTGRES_DB": name}
        missing = [variable for variable, value in parts.items() if not value]
        is_meant = any((*parts.values(), host, port, sslmode))
        if is_meant and missing:
            raise Refused(f"{missing[0]} is not set, but PostgreSQL is half configured. Set it, or set DATABASE_URL.")
        if is_meant:
            server = f"{host or 'localhost'}:{port or 5432}"
            url = f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@{server}/{quote(name, safe='')}"
    try:
        config = dj_database_url.parse(url or f"sqlite:///{home / 'docket.sqlite3'}")
    except ValueError as error:
        raise Refused("DATABASE_URL is not a database address. Example: postgresql://user:password@host:5432/name") from error
    options = config.setdefault("OPTIONS", {})
    config["CONN_MAX_AGE"] = number("DATABASE_CONN_MAX_AGE", 600)
    if "sqlite" in config["ENGINE"]:
        # A transaction that reads and then writes fails at once unless it takes the write lock at its start.
        config["TEST"] = {"NAME": str(home / "test.sqlite3")}  # a file, so that threads of a race meet in it
        options |= {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": SQLITE_PRAGMAS}
    elif "postgresql" in config["ENGINE"]:
        if not config["NAME"]:
            raise Refused("DATABASE_URL names no database. Example: postgresql://user:password@host:5432/name")
        config["CONN_HEALTH_CHECKS"] = True
        options["connect_timeout"] = 10
        options.setdefault("application_name", text("DATABASE_APPLICATION_NAME", "docket"))
        if sslmode:
            options["sslmode"] = sslmode
        if pool:
            # Only the web process may pool: forked job workers would share the pool's sockets.
            options["pool"] = {"min_size": 1, "max_size": pool, "timeout": 10}
            config["CONN_MAX_AGE"] = 0
    else:
        raise Refused("DATABASE_URL must name postgresql:// or sqlite://.")
    return config
