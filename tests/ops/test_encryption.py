"""Backups under a key that is kept apart: nothing of them can be read without it, and with it they are backups like any other."""

import io
import random
import shutil
import tarfile
import tracemalloc
from io import StringIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core.management import CommandError, call_command
from django.db import connection
from django.forms import model_to_dict
from django.test import override_settings

from apps.notices.models import Notice
from apps.ops.backups.archive import SEAL_SIZE, fingerprint, open_archive
from apps.ops.backups.encryption import CHUNK, HEADER_SIZE, TAG, Decrypting, Encrypting
from apps.ops.backups.errors import BackupError, BadArchive
from apps.ops.backups.facts import facts_of
from apps.ops.backups.making import archives, make_backup, path_of
from apps.ops.models import Backup
from tests.ops.test_backups import pytestmark  # noqa: F401
from tests.ops.test_corrupted_archives import KEY, decrypted, encrypted, parts_of

NEWER = bytes(32)
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5]
real_rows = pytest.mark.django_db(transaction=True)


def told(*words: str, **options) -> str:
    said = StringIO()
    call_command(*words, stdout=said, **options)
    return said.getvalue()


def by_hand(content: bytes) -> bytes:
    """The plain text, by the format's description and another program than the one that is tested."""
    kind, key, salt = content[:HEADER_SIZE].decode().split()
    assert (kind, key, content[HEADER_SIZE - 1 : HEADER_SIZE]) == ("docket-encrypted-1", fingerprint(KEY), b"\n")
    cipher = AESGCM(HKDF(algorithm=SHA256(), length=32, salt=bytes.fromhex(salt), info=b"docket-encrypted-1").derive(KEY))
    places = range(HEADER_SIZE, len(content), CHUNK + TAG)
    return b"".join(
        cipher.decrypt(
            number.to_bytes(11, "big") + (b"\1" if number == len(places) - 1 else b"\0"),
            content[place : place + CHUNK + TAG],
            content[:HEADER_SIZE],
        )
        for number, place in enumerate(places)
    )


@pytest.mark.parametrize("size", SIZES)
def test_what_goes_in_comes_out_again_here_and_by_hand(size):
    plain = random.Random(size).randbytes(size)
    content = encrypted(plain)
    assert len(content) == HEADER_SIZE + size + TAG * max(1, -(-size // CHUNK))
    assert decrypted(content) == by_hand(content) == plain
    assert encrypted(plain)[HEADER_SIZE:] != content[HEADER_SIZE:]  # each archive has a key of its own


def test_every_place_reads_as_in_the_plain_text():
    chance, size = random.Random(5), 2 * CHUNK + 5000
    plain = chance.randbytes(size)
    content = encrypted(plain)
    reader, file = Decrypting(io.BytesIO(content), len(content), [KEY]), io.BytesIO(plain)
    for place in (0, CHUNK - 1, CHUNK, CHUNK + 1, size - 1, size, size + 9, *(chance.randrange(size) for _ in range(50))):
        length = chance.choice([0, 1, 512, CHUNK, size])
        for whence, offset in ((io.SEEK_SET, place), (io.SEEK_END, place - size), (io.SEEK_CUR, 3)):
            assert reader.seek(offset, whence) == file.seek(offset, whence) == reader.tell()
            assert reader.read(length) == file.read(length)


@pytest.mark.parametrize("order", [[1, 0, 2], [0, 0, 2], [0, 2], [0, 1], [0, 1, 2, 2], [0, 3, 2], [3, 4, 5], []], ids=str)
def test_chunks_in_another_order_or_of_another_archive_are_noticed(order, tmp_path):
    path, size = tmp_path / "changed.tar", CHUNK + TAG
    contents = [encrypted(bytes(3 * CHUNK)) for _ in range(2)]
    chunks = [content[HEADER_SIZE + number * size :][:size] for content in contents for number in range(3)]
    path.write_bytes(contents[0][:HEADER_SIZE] + b"".join(chunks[number] for number in order))
    with path.open("rb") as file, pytest.raises(BadArchive, match=r"changed\.tar was changed by somebody who does not know the backup key"):
        Decrypting(file, path.stat().st_size, [KEY]).read()


def test_an_end_that_is_cut_off_at_a_chunk_is_noticed_before_anything_is_read(tmp_path):
    path = tmp_path / "cut.tar"
    path.write_bytes(encrypted(bytes(3 * CHUNK))[: -CHUNK - TAG])
    with path.open("rb") as file, pytest.raises(BadArchive, match=r"cut\.tar was changed by somebody who does not know the backup key"):
        Decrypting(file, path.stat().st_size, [KEY])


def test_of_a_large_archive_a_few_chunks_are_in_memory(tmp_path):
    path, size = tmp_path / "large", 40 * CHUNK
    tracemalloc.start()
    try:
        with path.open("wb") as file:
            out = Encrypting(file, KEY)
            for _ in range(size // 65536):
                out.write(bytes(65536))
            out.finish()
        with path.open("rb") as file:
            inside = Decrypting(file, path.stat().st_size, [KEY])
            assert sum(len(piece) for piece in iter(lambda: inside.read(65536), b"")) == size
        assert tracemalloc.get_traced_memory()[1] < 8 * CHUNK
    finally:
        tracemalloc.stop()


@real_rows
def test_nothing_is_read_without_the_key_and_all_comes_back_with_it(shop, places, elsewhere, tmp_path):
    shop.approved("leaflet")
    with override_settings(DOCKET_BACKUP_KEYS=[KEY]):
        assert f" events, encrypted under the key {fingerprint(KEY)}. Proved." in told("backup")
        row, before = Backup.objects.get(), facts_of(connection)
        content = path_of(row.name).read_bytes()
        parts = parts_of(decrypted(content[:-SEAL_SIZE]))
        assert row.key_fingerprint == open_archive(path_of(row.name)).key_fingerprint == fingerprint(KEY)
        assert "Proved." in told("verify_backup", "latest")
    assert {name.partition("/")[0] for name in parts} == {open_archive(path_of(row.name), keys=[KEY]).database, "files", "manifest.json"}
    for name, part in parts.items():
        assert name.encode() not in content
        assert part[:16] not in content
        assert part[-16:] not in content
    assert not tarfile.is_tarfile(io.BytesIO(content))
    assert [path.name for path in places.backups.iterdir() if path.name not in (".lock", f"{row.name}.tar")] == []

    # An empty machine, and the key on a stick, where every file can be read by everybody.
    key_file = tmp_path / "stick"
    key_file.write_text(f"{NEWER.hex()}\n{KEY.hex()}\n")
    key_file.chmod(0o644)
    shutil.rmtree(places.private)
    elsewhere.begin()
    for words in (("restore", "latest", "--yes"), ("restore", "latest", "--drill")):
        with pytest.raises(CommandError, match=f"backup key of the fingerprint {fingerprint(KEY)}, and here is no key. Name the file"):
            told(*words)
    assert not places.private.exists()
    assert "could be restored" in told("restore", "latest", "--drill", "--key-file", str(key_file))
    assert f"{row.name} is restored" in told("restore", "latest", "--yes", "--key-file", str(key_file))
    assert facts_of(connection)["totals"] == before["totals"]
    assert (places.private / "imports" / "订单.csv").read_text() == "orders"
    assert Backup.objects.get().key_fingerprint == fingerprint(KEY)


@real_rows
def test_the_key_is_changed_and_older_archives_stay_readable(places, administrator):
    plain = make_backup()
    with override_settings(DOCKET_BACKUP_KEYS=[KEY]):
        old = make_backup()
    with override_settings(DOCKET_BACKUP_KEYS=[NEWER, KEY]):
        new = make_backup()
        assert [row.key_fingerprint for row in (plain, old, new)] == ["", fingerprint(KEY), fingerprint(NEWER)]
        for path in archives():
            assert "Proved." in told("verify_backup", str(path))
            Backup.objects.update(problem="It was on a stick.")
            assert "could be restored" in told("restore", str(path), "--drill")
            assert Backup.objects.get(name=path.stem).problem == ""
        proved = model_to_dict(Backup.objects.get(pk=old.pk))
    with pytest.raises(CommandError, match=f"{fingerprint(KEY)}, and here is no key. Name the file"):
        told("verify_backup", str(path_of(old.name)))
    assert model_to_dict(Backup.objects.get(pk=old.pk)) == proved
    assert not Notice.objects.exists()
    with override_settings(DOCKET_BACKUP_KEYS=[NEWER]):
        assert "Proved." in told("verify_backup", str(path_of(new.name)))
        with pytest.raises(BackupError, match=f"{fingerprint(KEY)}, and here is the key {fingerprint(NEWER)}. Name the file"):
            open_archive(path_of(old.name))
        with override_settings(SECRET_KEY="k" * 50), pytest.raises(BackupError, match="is encrypted: it opens with"):
            open_archive(path_of(old.name), any_key=True)


@pytest.mark.django_db
def test_a_file_without_a_key_is_named(places, tmp_path):
    for path, says in ((tmp_path / "none", "cannot be read: No such file"), (Path(__file__), "has a line that is no key")):
        with pytest.raises(CommandError, match=f"{path} {says}"):
            told("restore", "latest", "--key-file", str(path))
