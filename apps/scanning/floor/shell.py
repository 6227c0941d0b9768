"""The files that the floor page is made of, and their version: what a handheld keeps to work without a network."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import override

from apps.scanning.floor.texts import words

FOLDER = "floor"
SUFFIXES = (".js", ".css", ".svg", ".png")
WORKER = "worker.js"


@dataclass(frozen=True)
class Shell:
    """`files` are addresses without host, pages first; `version` changes with any byte of any of them."""

    version: str
    files: tuple[str, ...]


def names() -> list[str]:
    """The static files of the page, without the worker, which the page itself never loads."""
    folder = Path(finders.find(FOLDER))
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in SUFFIXES)
    return sorted(f"{FOLDER}/{name}" for name in found if name != WORKER)


def shell() -> Shell:
    """What belongs together now. Read once in production, where files do not change under a running server."""
    return _read() if settings.DEBUG else _kept()


def worker_source() -> str:
    """The service worker, told which files are its own."""
    now = shell()
    told = json.dumps({"version": now.version, "files": now.files})
    return f"const SHELL = {told};\n{Path(finders.find(f'{FOLDER}/{WORKER}')).read_text(encoding='utf-8')}"


def _read() -> Shell:
    total = hashlib.sha256()
    for name in [*names(), f"{FOLDER}/{WORKER}"]:
        total.update(Path(finders.find(name)).read_bytes())
    for template in sorted((settings.BASE_DIR / "templates" / "floor").glob("*.html")):
        total.update(template.read_bytes())
    for language, _name in settings.LANGUAGES:
        with override(language):
            total.update(json.dumps(words(), sort_keys=True).encode())
    pages = [reverse("floor:page"), reverse("floor:bench"), reverse("floor:manifest"), reverse("floor:test_qr"), reverse("floor:test_bars")]
    pages += [reverse("floor:texts", args=[language]) for language, _name in settings.LANGUAGES]
    files = [static(name) for name in names()]
    total.update(json.dumps([pages, files]).encode())
    return Shell(total.hexdigest()[:12], (*pages, *files))


_kept = cache(_read)
