"""`make screenshots`: the two pictures of the README, taken of a freshly seeded demo on a server of its own."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Page, sync_playwright

from tests.browser.engine import CHROMIUM, FLAGS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "project" / "docs"
PASSWORD = secrets.token_urlsafe(12)
MOST_BYTES = 200_000


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def demo(folder: str) -> Iterator[str]:
    """The address of a server that shows the demo shop, kept in `folder`."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "DOCKET_VAR_DIR": folder,
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(50),
        "DOCKET_HTTPS": "false", "ALLOWED_HOSTS": "127.0.0.1", "CORS_ALLOWED_ORIGINS": "none", "GUNICORN_BIND": f"127.0.0.1:{port}",
        "GUNICORN_WORKERS": "1", "LOG_LEVEL": "WARNING", "LOG_FORMAT": "plain",
    }  # fmt: skip
    for words in (["prepare"], ["seed_presets"], ["seed_demo", "--password", PASSWORD]):
        subprocess.run([sys.executable, "manage.py", *words], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "project.wsgi"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        site = f"http://127.0.0.1:{port}"
        wait_for(f"{site}/health/")
        yield site
    finally:
        server.terminate()
        server.wait(timeout=40)


def wait_for(address: str) -> None:
    until = monotonic() + 60
    while monotonic() < until:
        try:
            with urlopen(address, timeout=5):
                return
        except URLError:
            Event().wait(0.2)
    raise SystemExit(f"{address} did not answer within a minute.")


def sign_in(page: Page, name: str) -> None:
    page.goto("/admin/login/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")
    page.wait_for_url("**/admin/")


def take(page: Page, name: str) -> None:
    """Write project/docs/`name`.png. Raises SystemExit when it is too large for a README."""
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")
    file = DOCS / f"{name}.png"
    page.screenshot(path=file)
    size = file.stat().st_size
    sys.stdout.write(f"{file.relative_to(ROOT)}: {size // 1000} kB\n")
    if size > MOST_BYTES:
        raise SystemExit(f"{file.name} has more than {MOST_BYTES // 1000} kB.")


def main() -> None:
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="docket-pictures-") as folder, demo(folder) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        size = {"width": 1440, "height": 960}
        page = browser.new_context(viewport=size, base_url=site, locale="en", color_scheme="light").new_page()
        sign_in(page, "supervisor")
        take(page, "home")
        page.goto("/admin/workorders/workorder/?status__exact=in_progress&o=-1")
        page.click("#result_list tbody tr:first-child th a")
        take(page, "order")
        browser.close()


if __name__ == "__main__":
    main()
