"""What every test stands on: fast passwords, a cache of its own, and a ledger that stays append-only until the flush."""

import importlib
from collections.abc import Iterator

import pytest
from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import TransactionTestCase
from django.test.utils import override_settings
from django.utils import translation

pytest_plugins = ["tests.personas", "tests.shop"]


@pytest.fixture(scope="session", autouse=True)
def _fast_settings() -> Iterator[None]:
    with override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    ):
        yield


@pytest.fixture(autouse=True)
def _own_language() -> Iterator[None]:
    """A request leaves its reader's language active; the next test starts in the site's."""
    with translation.override(settings.LANGUAGE_CODE):
        yield


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    yield
    cache.clear()


@pytest.fixture(scope="session", autouse=True)
def _flush_passes_the_ledger() -> Iterator[None]:
    """A transactional test ends by emptying every table, which the ledger's triggers forbid: they step aside for the flush."""
    flush = TransactionTestCase._fixture_teardown

    def teardown(self: TransactionTestCase) -> None:
        ledger = importlib.import_module("apps.workorders.migrations.0002_ledger")
        with connection.schema_editor() as editor:
            ledger.unprotect(apps, editor)
        try:
            flush(self)
        finally:
            with connection.schema_editor() as editor:
                ledger.protect(apps, editor)

    patch = pytest.MonkeyPatch()
    patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
    yield
    patch.undo()
