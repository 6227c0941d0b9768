"""A bad value of the environment stops the start with a sentence that names the variable."""

import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from django.conf import settings

from project import env
from project.env import Refused

POSTGRES = ("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_SSLMODE")


@pytest.fixture(autouse=True)
def _no_database(monkeypatch):
    for name in ("DATABASE_URL", "DATABASE_POOL_SIZE", "DATABASE_CONN_MAX_AGE", *POSTGRES):
        monkeypatch.delenv(name, raising=False)


def refused(call, *args, **kwargs) -> str:
    with pytest.raises(Refused) as caught:
        call(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("YES", True), ("1", True), ("false", False), ("No", False), ("0", False)])
def test_a_flag_is_true_or_false(monkeypatch, value, expected):
    monkeypatch.setenv("X", value)
    assert env.flag("X", default=not expected) is expected


def test_a_flag_that_is_not_set_has_its_default(monkeypatch):
    monkeypatch.setenv("X", "  ")
    assert (env.flag("X"), env.flag("X", default=True)) == (False, True)


def test_any_other_word_is_refused(monkeypatch):
    monkeypatch.setenv("X", "maybe")
    assert refused(env.flag, "X") == "Docket does not start: X is 'maybe'. Write true or false."


@pytest.mark.parametrize("value", ["-1", "101", "1.5", "ten", "1e3", "0x10"])
def test_a_number_outside_its_limits_is_refused(monkeypatch, value):
    monkeypatch.setenv("X", value)
    assert refused(env.number, "X", 5, low=1, high=100) == f"Docket does not start: X is '{value}'. Write a whole number from 1 to 100."


def test_a_number_has_a_default(monkeypatch):
    assert env.number("X", 5) == 5
    monkeypatch.setenv("X", "7")
    assert env.number("X", 5) == 7


def test_a_secret_can_come_in_a_file(monkeypatch, tmp_path: Path):
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv("X_FILE", str(tmp_path / "secret"))
    assert env.text("X") == "from the file"
    monkeypatch.setenv("X", "from the environment")
    assert env.text("X") == "from the environment"


def test_a_file_that_cannot_be_read_is_refused(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("X_FILE", str(tmp_path / "none"))
    assert refused(env.text, "X").endswith("cannot be read: No such file or directory.")


def test_a_required_text_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(env, "DOTENV", tmp_path / ".env")
    assert refused(env.text, "X", required="Make one.") == "Docket does not start: X is not set. Make one."
    (tmp_path / ".env").touch()
    says = f'Make one. There is a {tmp_path}/.env, which make reads: make manage ARGS="help"'
    assert refused(env.text, "X", required="Make one.") == f"Docket does not start: X is not set. {says}"


def test_a_list_is_written_with_commas(monkeypatch):
    monkeypatch.setenv("X", " a, b ,,c")
    assert env.words("X") == ["a", "b", "c"]


def test_a_choice_names_what_there_is(monkeypatch):
    monkeypatch.setenv("X", "loud")
    assert refused(env.choice, "X", "a", ("", "a", "b")) == "Docket does not start: X is 'loud'. Write one of: nothing, a, b."


@pytest.mark.parametrize("value", ["Mars/Base", "../etc/passwd", "Asia"])
def test_an_unknown_time_zone_is_refused(monkeypatch, value):
    monkeypatch.setenv("X", value)
    assert "Write a time zone like Asia/Shanghai or UTC." in refused(env.time_zone, "X", "UTC")


def test_a_folder_is_made_and_must_be_writable(monkeypatch, tmp_path: Path):
    assert env.folder("X", tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("X", str(tmp_path / "file" / "inside"))
    assert "cannot be made" in refused(env.folder, "X", tmp_path)


def test_a_folder_of_another_user_is_refused(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "this user cannot write to" in refused(env.folder, "X", tmp_path)


@pytest.mark.parametrize("value", ["{other}-{serial}", "no serial", "{serial:x4z}", "{serial", "{}{serial}"])
def test_a_form_of_numbers_uses_its_own_placeholders(monkeypatch, value):
    monkeypatch.setenv("X", value)
    assert refused(env.pattern, "X", "{year}-{serial}", needs="serial", year=2026, serial=1).startswith("Docket does not start: X is '")


def key_file(path: Path, content: str, mode: int = 0o600) -> str:
    path.write_text(content)
    path.chmod(mode)
    return str(path)


def test_keys_of_backups_are_read_one_in_a_line(monkeypatch, tmp_path: Path):
    assert env.key_file("X", outside=tmp_path) == []
    one, two = bytes(range(32)), bytes([0xFB]) * 32
    text = urlsafe_b64encode(two).decode()
    monkeypatch.setenv("X", key_file(tmp_path / "key", f"{one.hex()}\n\n{text}\n{text.rstrip('=')}\n{one.hex().upper()}", 0o640))
    assert env.key_file("X", outside=tmp_path / "backups") == [one, two, two, one]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "has no key"),
        ("\n", "has no key"),
        ("0" * 63, "has a line that is no key"),
        ("0" * 66, "has a line that is no key"),
        ("A" * 42, "has a line that is no key"),
        (f"{'0' * 64}\nshort", "has a line that is no key"),
        ("\u6d4b" * 43, "has a line that is no key"),
    ],
)
def test_what_is_no_key_of_backups_is_refused(monkeypatch, tmp_path: Path, content, says):
    monkeypatch.setenv("X", key_file(tmp_path / "key", content))
    said = refused(env.key_file, "X", outside=tmp_path / "backups")
    assert (
        said
        == f"Docket does not start: X names a file of no use: {tmp_path}/key {says}. A key is 32 bytes in one line: openssl rand -hex 32"
    )


@pytest.mark.parametrize(("place", "why"), [("none", "No such file or directory"), ("", "Is a directory")])
def test_a_key_file_that_cannot_be_read_is_refused(monkeypatch, tmp_path: Path, place, why):
    monkeypatch.setenv("X", str(tmp_path / place))
    assert (
        refused(env.key_file, "X", outside=tmp_path)
        == f"Docket does not start: X names a file of no use: {tmp_path / place} cannot be read: {why}."
    )


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_key_file_that_is_open_to_others_is_refused(monkeypatch, tmp_path: Path, mode):
    monkeypatch.setenv("X", path := key_file(tmp_path / "key", "0" * 64, mode))
    assert refused(env.key_file, "X", outside=tmp_path / "backups").endswith(f"every user of this machine can read. Run: chmod o= {path}")


def test_a_key_beside_its_backups_is_refused_however_it_is_named(monkeypatch, tmp_path: Path):
    (tmp_path / "backups").mkdir()
    key = key_file(tmp_path / "backups" / "key", "0" * 64)
    (tmp_path / "link").symlink_to(key)
    for path in (key, str(tmp_path / "link"), f"{tmp_path}/other/../backups/key"):
        (tmp_path / "other").mkdir(exist_ok=True)
        monkeypatch.setenv("X", path)
        assert f"X is {path}, beside the backups that it opens." in refused(env.key_file, "X", outside=tmp_path / "backups")


def test_an_address_has_one_of_its_schemes(monkeypatch):
    assert env.address("X", ("redis",)) == ""
    monkeypatch.setenv("X", "localhost:6379")
    assert refused(env.address, "X", ("redis", "rediss")) == (
        "Docket does not start: X is not an address that begins with redis:// or rediss://."
    )


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("'unclosed", "is no command: no closing quotation. Close each quotation mark."),
        ("cp 'to here", "is no command: no closing quotation. Close each quotation mark."),
        ("cp \\", "is no command: no escaped character. Close each quotation mark."),
        ("'' cp", "names no program. Begin with the program's name."),
    ],
)
def test_a_command_that_no_shell_could_read_is_refused(monkeypatch, value, says):
    monkeypatch.setenv("X", value)
    assert refused(env.command, "X") == f"Docket does not start: X {says}"


def test_a_command_is_read_as_a_shell_reads_it(monkeypatch):
    assert env.command("X") == []
    monkeypatch.setenv("X", "rclone copyto 'remote:the shop'")
    assert env.command("X") == ["rclone", "copyto", "remote:the shop"]


@pytest.mark.parametrize("value", ["https://x.test", "x y", "x.test:8000", "*", "x.test/docket", "::1", "a..b", "a,*.test"])
def test_what_is_no_host_name_is_refused(monkeypatch, value):
    monkeypatch.setenv("X", value)
    wrong = value.rpartition(",")[2]
    assert refused(env.hosts, "X") == (
        f"Docket does not start: X has '{wrong}'. Write host names alone, with commas between: docket.example.com,10.0.0.5"
    )


def test_a_host_has_a_name_or_an_address(monkeypatch):
    monkeypatch.setenv("X", "docket.test, web,.docket.test,10.0.0.5,[::1],shop-2_a.test")
    assert env.hosts("X") == ["docket.test", "web", ".docket.test", "10.0.0.5", "[::1]", "shop-2_a.test"]


@pytest.mark.parametrize("value", ["notmail", "ops@example.com,@x", "ops@example.com root", "Docket <ops@example.com>"])
def test_what_is_no_mail_address_is_refused(monkeypatch, value):
    monkeypatch.setenv("X", value)
    wrong = value.rpartition(",")[2]
    assert refused(env.mail_addresses, "X").startswith(f"Docket does not start: X has '{wrong}', which is no mail address. Write ")


def test_mail_addresses_are_written_with_commas(monkeypatch):
    monkeypatch.setenv("X", "ops@example.com, root@localhost")
    assert env.mail_addresses("X") == ["ops@example.com", "root@localhost"]


def test_a_token_that_can_be_guessed_is_refused_and_not_told(monkeypatch):
    assert env.token("X") == ""
    monkeypatch.setenv("X", "q" * 15)
    assert refused(env.token, "X") == (
        "Docket does not start: X is too short: it needs 16 signs or more. Make one with: openssl rand -hex 24"
    )
    monkeypatch.setenv("X", "q" * 16)
    assert env.token("X") == "q" * 16


def test_a_path_is_the_same_from_everywhere(monkeypatch, tmp_path: Path):
    assert env.place("X", tmp_path) == tmp_path
    monkeypatch.setenv("X", "var/docket")
    assert refused(env.place, "X", tmp_path) == "Docket does not start: X is var/docket. Write the whole path, from / on."


class TestDatabase:
    """DATABASE_URL wins, then POSTGRES_*, then SQLite."""

    def test_sqlite_is_set_up_for_parallel_writers(self, tmp_path):
        config = env.database(tmp_path)
        assert config["NAME"] == str(tmp_path / "docket.sqlite3")
        assert (config["OPTIONS"]["timeout"], config["OPTIONS"]["transaction_mode"]) == (20, "IMMEDIATE")
        assert "journal_mode=WAL" in config["OPTIONS"]["init_command"]
        assert config["CONN_MAX_AGE"] == 600

    def test_postgres_variables_survive_every_character(self, monkeypatch, tmp_path):
        for name, value in (("USER", "u@x"), ("PASSWORD", "p@ss:/#% ü"), ("DB", "d/b")):
            monkeypatch.setenv(f"POSTGRES_{name}", value)
        config = env.database(tmp_path)
        assert [config[name] for name in ("USER", "PASSWORD", "NAME", "HOST", "PORT")] == ["u@x", "p@ss:/#% ü", "d/b", "localhost", 5432]
        assert config["OPTIONS"] == {"connect_timeout": 10, "application_name": "docket"}
        assert (config["CONN_MAX_AGE"], config["CONN_HEALTH_CHECKS"]) == (600, True)

    def test_database_url_wins(self, monkeypatch, tmp_path):
        monkeypatch.setenv("POSTGRES_USER", "half")
        monkeypatch.setenv("DATABASE_URL", "postgresql://a:b@h:6/n")
        config = env.database(tmp_path)
        assert [config[name] for name in ("USER", "HOST", "PORT", "NAME")] == ["a", "h", 6, "n"]

    @pytest.mark.parametrize(
        ("given", "missing"),
        [("USER", "PASSWORD"), ("PASSWORD", "USER"), ("DB", "USER"), ("HOST", "USER"), ("PORT", "USER"), ("SSLMODE", "USER")],
    )
    def test_half_a_configuration_is_never_sqlite(self, monkeypatch, tmp_path, given, missing):
        monkeypatch.setenv(f"POSTGRES_{given}", {"PORT": "5433", "SSLMODE": "require"}.get(given, "x"))
        assert refused(env.database, tmp_path).startswith(f"Docket does not start: POSTGRES_{missing} is not set, but PostgreSQL is half")

    @pytest.mark.parametrize("url", ["mysql://u@h/n", "localhost", "postgresql://", "postgresql://u@h:port/n", "http://h/n"])
    def test_another_address_is_refused(self, monkeypatch, tmp_path, url):
        monkeypatch.setenv("DATABASE_URL", url)
        assert refused(env.database, tmp_path).startswith("Docket does not start: DATABASE_URL ")

    def test_encryption_and_a_pool_are_the_sites_choice(self, monkeypatch, tmp_path):
        monkeypatch.setenv("DATABASE_URL", "postgresql://a:b@h/n")
        monkeypatch.setenv("POSTGRES_SSLMODE", "verify-full")
        monkeypatch.setenv("DATABASE_POOL_SIZE", "4")
        config = env.database(tmp_path)
        assert config["OPTIONS"]["sslmode"] == "verify-full"
        assert config["OPTIONS"]["pool"] == {"min_size": 1, "max_size": 4, "timeout": 10}
        assert config["CONN_MAX_AGE"] == 0


def production(folder: Path, **changes: str) -> dict[str, str]:
    """The environment of a production site, changed."""
    base = {
        "PATH": os.environ["PATH"],
        "DOCKET_VAR_DIR": str(folder),
        "DJANGO_SECRET_KEY": "0123456789" * 6,
        "ALLOWED_HOSTS": "docket.test",
        "CORS_ALLOWED_ORIGINS": "https://docket.test",
    }
    return base | changes


WORKER = [sys.executable, "manage.py", "worker"]
WEB = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "project.wsgi"]
SETTINGS = [sys.executable, "-c", "import project.settings"]


def start(folder: Path, command: list[str], **changes: str) -> subprocess.CompletedProcess:
    environment = production(folder, **changes)
    return subprocess.run(command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", [WORKER, WEB], ids=["worker", "web"])
def test_no_secret_key_no_start_for_any_process(tmp_path, command):
    done = start(tmp_path, command, DJANGO_SECRET_KEY="")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Docket does not start: DJANGO_SECRET_KEY is not set. Make one with: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "maybe"),
        ("DJANGO_SECRET_KEY", "short"),
        ("DJANGO_SECRET_KEY", "ab" * 40),
        ("ALLOWED_HOSTS", ""),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "https://docket.test"),
        ("CORS_ALLOWED_ORIGINS", ""),
        ("CORS_ALLOWED_ORIGINS", "*"),
        ("CORS_ALLOWED_ORIGINS", "docket.test"),
        ("DOCKET_TIME_ZONE", "Mars"),
        ("LOG_LEVEL", "loud"),
        ("DOCKET_BACKUP_KEY_FILE", "/nowhere/key"),
        ("DOCKET_BACKUP_COPY", "'unclosed"),
        ("DOCKET_BACKUP_DIR", "backups"),
        ("DOCKET_VAR_DIR", "var"),
        ("DOCKET_ADMINS", "ops@docket.test,notmail"),
        ("DOCKET_METRICS_TOKEN", "a"),
        ("DATABASE_POOL_SIZE", "500000"),
    ],
)
def test_a_bad_value_stops_the_start(tmp_path, name, value):
    done = start(tmp_path, SETTINGS, **{name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(f"Docket does not start: {name} ")
    assert done.stderr.count("\n") == 1


def test_the_web_servers_own_variables_are_checked_too(tmp_path):
    done = start(tmp_path, WEB, PORT="http")
    assert (done.returncode, done.stderr) == (1, "Docket does not start: PORT is 'http'. Write a whole number from 1 to 65535.\n")


@pytest.mark.parametrize("bind", ["nohost.invalid", "192.0.2.1", "127.0.0.1:http", "nohost.invalid:8000"])
def test_a_place_where_the_web_server_cannot_listen_is_refused(tmp_path, bind):
    done = start(tmp_path, WEB, GUNICORN_BIND=bind)
    says = f"Docket does not start: GUNICORN_BIND is '{bind}', where this machine cannot listen. Write an address of it: 127.0.0.1\n"
    assert (done.returncode, done.stderr) == (1, says)


def test_production_passes_the_deployment_check(tmp_path):
    done = start(tmp_path, [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], CORS_ALLOWED_ORIGINS="none")
    assert (done.returncode, done.stdout) == (0, "System check identified no issues (0 silenced).\n")
