"""Folders of a test's own for uploads and backups, and a database beside the test's own that a restore may replace."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings

from apps.ops.backups.databases import present


@pytest.fixture
def places(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """`backups`, `private` with one upload, and `media`, which is not there."""
    made = SimpleNamespace(backups=tmp_path / "backups", private=tmp_path / "private", media=tmp_path / "media")
    (made.private / "imports").mkdir(parents=True)
    (made.private / "imports" / "订单.csv").write_text("orders")
    storages = {**settings.STORAGES, "private": {**settings.STORAGES["private"], "OPTIONS": {"location": made.private}}}
    with override_settings(DOCKET_BACKUP_DIR=made.backups, MEDIA_ROOT=made.media, STORAGES=storages):
        yield made


@pytest.fixture
def elsewhere(transactional_db: None, places: SimpleNamespace, tmp_path: Path) -> Iterator[str]:
    """An empty machine: from `begin` on, the installation's database is one that does not exist yet."""
    kept = connection.settings_dict["NAME"]
    name = str(tmp_path / "machine" / "docket.sqlite3") if connection.vendor == "sqlite" else f"{kept}_machine"

    class Machine:
        def begin(self) -> None:
            connection.close()
            connection.settings_dict["NAME"] = name

    try:
        yield Machine()
    finally:
        connection.close()
        connection.settings_dict["NAME"] = kept
        if connection.vendor == "postgresql":
            server = present()
            for (one,) in server._ask("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{name[:32]}%"]):
                if one != kept:
                    server._drop(one)
