"""Gunicorn's settings: `gunicorn -c deploy/gunicorn.conf.py project.wsgi`. The environment decides, and a bad value refuses to start."""

import gc
import socket
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gunicorn.util import parse_address

from project import env


def _bind() -> str:
    """GUNICORN_BIND is host:port, or a host alone that takes PORT."""
    host, port = env.text("GUNICORN_BIND", "0.0.0.0"), env.number("PORT", 8000, low=1, high=65535)  # noqa: S104  (a container's door)
    address = host if ":" in host else f"{host}:{port}"
    try:
        match parse_address(address):
            case (name, int()):
                family, *_, here = socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM)[0]
                with socket.socket(family, socket.SOCK_STREAM) as door:
                    door.bind(here)
    except (OSError, RuntimeError, UnicodeError) as error:
        raise env.Refused(f"GUNICORN_BIND is '{host}', where this machine cannot listen. Write an address of it: 127.0.0.1") from error
    return address


bind = _bind()
# Two processes of four threads: SQLite writes one at a time anyway, and PostgreSQL sites set 2 x cores + 1.
workers = env.number("GUNICORN_WORKERS", 2, low=1, high=64)
worker_class = "gthread"
threads = env.number("GUNICORN_THREADS", 4, low=1, high=64)
timeout = env.number("GUNICORN_TIMEOUT", 30, low=1, high=600)
graceful_timeout = env.number("GUNICORN_GRACEFUL_TIMEOUT", 30, low=1, high=600)
keepalive = 2
backlog = 2048
max_requests = env.number("GUNICORN_MAX_REQUESTS", 2000, high=1_000_000)
max_requests_jitter = max_requests // 10
control_socket_disable = True  # its path is shared by every gunicorn of this user
loglevel = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")).lower()

_is_json = env.choice("LOG_FORMAT", "plain" if env.flag("DEBUG") else "json", ("plain", "json")) == "json"
accesslog = "-"
access_log_format = '"%(m)s %(U)s" %(s)s %(B)s bytes %(M)s ms from %(h)s request %({x-request-id}o)s'
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "generic": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
            "datefmt": "%Y-%m-%dT%H:%M:%S%z",
            "json_ensure_ascii": False,
        }
        if _is_json
        else {"format": "%(levelname)s %(name)s %(message)s"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "generic", "stream": "ext://sys.stderr"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {name: {"handlers": ["console"], "propagate": False} for name in ("gunicorn.error", "gunicorn.access")},
}


def on_starting(server: Any) -> None:
    """Read Docket's settings before any worker is forked: a refused variable is one sentence, not a restart without end."""
    from project import settings  # noqa: F401

    server.log.info("starting")


def post_worker_init(worker: Any) -> None:
    """Load every page's code before a process takes requests: else the first people of each new process wait seconds for it."""
    from django.urls import get_resolver

    get_resolver().url_patterns  # noqa: B018  (reading it imports them all)
    gc.freeze()  # none of it is garbage ever: looking through it again and again takes 2 % of a page's time


def when_ready(server: Any) -> None:
    server.log.info("ready at %s", bind)


def worker_exit(server: Any, worker: Any) -> None:
    server.log.info("worker exit: %s", worker.pid)


def on_exit(server: Any) -> None:
    server.log.info("stopping")
