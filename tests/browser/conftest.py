"""A real browser, signed in as somebody, on a real server."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.browser.engine import CHROMIUM, FLAGS
from tests.personas import client_of
from tests.stories.house import cast, worker

__all__ = ["cast", "chromium", "page_of", "worker"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in Path(item.path).parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """One headless chromium for the whole run."""
    if CHROMIUM is None:
        if os.environ.get("DOCKET_REQUIRE_BROWSER"):
            pytest.fail("chromium is not installed, but DOCKET_REQUIRE_BROWSER is set.")
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    # Playwright's own event loop runs in this thread; the ORM is used from it all the same.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def page_of(chromium, live_server) -> Iterator[Callable]:
    """`page_of(user)` is a page of that user's own browser, signed in; errors on the page fail the test."""
    contexts, faults = [], []

    def open_for(user: object, *, width: int = 1440, height: int = 900, dark: bool = False, language: str = "en"):
        client = client_of(user)
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", base_url=live_server.url, locale=language
        )
        context.add_cookies(
            [
                {"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value, "url": live_server.url},
                {"name": settings.LANGUAGE_COOKIE_NAME, "value": language, "url": live_server.url},
            ]
        )
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
        page.on("response", lambda response: faults.append(f"{response.status} {response.url}") if response.status >= 500 else None)
        contexts.append(context)
        return page

    yield open_for
    for context in contexts:
        context.close()
    assert faults == []
