"""The programs of an installation, started here for a while: PostgreSQL, web, worker, nginx. Each can be killed and started again.

Standard library only. What load tests and fault tests have in common.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
STOPS_WITHIN = 45  # seconds; gunicorn has 30 for what it is doing


class NotReady(Exception):
    """A program did not start, or does not answer."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        return one.getsockname()[1]


def until(question: Callable[[], Any], *, within: float, what: str) -> Any:
    """The first answer that is true. Raises NotReady after `within` seconds."""
    end, pause = time.monotonic() + within, threading.Event()
    while time.monotonic() < end:
        if answer := question():
            return answer
        pause.wait(0.1)
    raise NotReady(f"{what}: not within {within:.0f} s.")


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310  (an address of this machine)
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


class Part:
    """One program in a process group of its own, its output in `<name>.log`."""

    def __init__(self, name: str, words: Sequence[Any], folder: Path, *, environment: dict[str, str] | None = None, user: str = "") -> None:
        self.name, self.words, self.environment, self.user = name, [str(word) for word in words], environment, user
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen | None = None

    def start(self) -> Self:
        owner: dict[str, Any] = {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.words, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True, **owner
            )
        return self

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ready(self, question: Callable[[], Any], *, within: float = 60) -> Self:
        """Wait until `question` is true. Raises NotReady with the end of the log where the program has ended instead."""

        def asked() -> Any:
            if not self.is_running:
                raise NotReady(f"{self.name} ended:\n{self.tail()}")
            return question()

        until(asked, within=within, what=self.name)
        return self

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def children(self) -> list[int]:
        """The processes that the program itself has started."""
        return _children(self.process.pid) if self.is_running else []

    def kill(self) -> None:
        """SIGKILL to the program and all that it started, at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """SIGTERM, a while to finish, then whatever is left of its group."""
        if self.is_running:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=STOPS_WITHIN)
        self.kill()


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


class PostgreSQL(Part):
    """A server of its own in `folder`, which it may lose: it is killed here, but the machine keeps its power."""

    def __init__(self, folder: Path) -> None:
        initdb = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)
        if initdb is None:
            raise NotReady("There is no PostgreSQL on this machine. On Debian: apt-get install postgresql")
        tools, self.port = Path(initdb).parent, free_port()
        self.data, user = folder / "data", ""
        folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:  # it refuses to run as root
            user = "postgres"
            shutil.chown(folder, user, user)
        owner: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
        make = [tools / "initdb", "-D", self.data, "-U", "docket", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run(make, cwd=folder, check=True, capture_output=True, **owner)
        options = {"listen_addresses": HOST, "port": self.port, "unix_socket_directories": folder, "log_min_messages": "fatal"}
        words = [tools / "postgres", "-D", self.data, *(f"--{name}={value}" for name, value in options.items())]
        super().__init__("postgresql", words, folder, user=user)

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://docket@{HOST}:{self.port}/{name}"

    def answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url(), connect_timeout=3).close()
        except psycopg.Error:
            return False
        return True

    def start(self) -> Self:
        super().start()
        return self.ready(self.answers)


def production(folder: Path, database: str, **more: str) -> dict[str, str]:
    """The environment of an installation for load tests below `folder`, and nothing of the caller's but where programs are."""
    secret = folder / "secret_key"
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(50))
    keys = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE")
    return {name: os.environ[name] for name in keys if name in os.environ} | {
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SECRET_KEY_FILE": str(secret),
        "DOCKET_VAR_DIR": str(folder / "var"),
        "DATABASE_URL": database,
        "ALLOWED_HOSTS": f"{HOST},localhost",
        "CORS_ALLOWED_ORIGINS": "none",
        "DOCKET_BEHIND_PROXY": "true",
        "DOCKET_LOADTEST": "true",
        "GUNICORN_BIND": HOST,
        **more,
    }


def manage(environment: dict[str, str], *words: Any, quiet: bool = True) -> None:
    """Run one of Docket's commands to its end. Raises NotReady with what it said."""
    command = [sys.executable, "-W", "ignore", "manage.py", *(str(word) for word in words)]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=quiet, text=True, check=False)
    if run.returncode:
        raise NotReady(f"manage.py {words[0]} ended with {run.returncode}:\n{((run.stdout or '') + (run.stderr or ''))[-3000:]}")


class Web(Part):
    """gunicorn as it is deployed. `application` is another one for what Docket is compared with."""

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        *,
        name: str = "web",
        application: str = "project.wsgi",
        options: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self.site = f"http://{HOST}:{self.port}"
        words = [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", *options, application]
        super().__init__(name, words, folder, environment=environment | {"PORT": str(self.port)})

    def start(self) -> Self:
        super().start()
        return self.ready(lambda: answers(f"{self.site}/health/"))


class Worker(Part):
    """`manage.py worker`: the supervisor, which starts its cluster in a group of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        super().__init__("worker", [sys.executable, "manage.py", "worker"], folder, environment=environment)


class Nginx(Part):
    """nginx with deploy/nginx.conf, its ports and paths put where anybody may open them."""

    def __init__(self, folder: Path, *, upstream: int, port: int = 0) -> None:
        self.port = port or free_port()
        self.site = f"https://{HOST}:{self.port}"
        folder.mkdir(parents=True, exist_ok=True)
        certificate(folder)
        (folder / "site.conf").write_text(site_for(folder, port=self.port, upstream=upstream))
        temporary = "\n".join(
            f"    {kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )  # the packaged ones belong to another user
        owner = "user root;\n" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{owner}daemon off;\nworker_processes auto;\npid {folder}/pid;\nerror_log stderr;\nevents {{ worker_connections 1024; }}\n"
            f"http {{\n    access_log off;\n{temporary}\n    include {folder}/site.conf;\n}}\n"
        )
        super().__init__("nginx", [shutil.which("nginx") or "/usr/sbin/nginx", "-c", folder / "nginx.conf", "-e", "stderr"], folder)

    def start(self) -> Self:
        super().start()
        return self.ready(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex((HOST, self.port)) == 0


def certificate(folder: Path) -> None:
    """A certificate for this machine that nobody trusts."""
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={HOST}"]
    files = ["-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"]
    subprocess.run([*make, *files], capture_output=True, check=True)


def site_for(folder: Path, *, port: int, upstream: int) -> str:
    """deploy/nginx.conf for one machine: its HTTPS on `port`, gunicorn on `upstream`, the certificate in `folder`, port 80 nowhere."""
    text = (ROOT / "deploy" / "nginx.conf").read_text().replace("web:8000", f"{HOST}:{upstream}")
    text = text.replace("/etc/nginx/tls", str(folder)).replace("listen 443 ", f"listen {HOST}:{port} ")
    text = text.replace("listen 80 default_server", f"listen unix:{folder}/http.sock default_server")
    return re.sub(r"^ *listen \[::\]:.*\n", "", text, flags=re.MULTILINE)
