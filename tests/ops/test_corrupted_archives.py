"""`restore`, given archives that were damaged, cut, mixed or forged: each is refused with a sentence, and the target is as it was.

DOCKET_FAULT_ARCHIVES is how many are damaged by chance, five sixths of them by one bit, the others by a cut. The suite takes a small
number, `make faults` the whole of 600 on both databases. DOCKET_FAULT_SEED repeats a run that failed.
"""

import hashlib
import io
import os
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings

from apps.ops.backups.archive import SEAL_SIZE, fingerprint
from apps.ops.backups.encryption import CHUNK, HEADER_SIZE, TAG, Decrypting, Encrypting
from apps.ops.backups.facts import facts_of
from apps.ops.backups.making import make_backup, path_of
from tests.ops.test_archives import seal
from tests.ops.test_backups import pytestmark  # noqa: F401

KEY = bytes(range(32))
ARCHIVES = int(os.environ.get("DOCKET_FAULT_ARCHIVES", "60"))


def damaged(content: bytes) -> Iterator[tuple[str, bytes]]:
    """What was done to it, and the archive after that."""
    seed = int(os.environ.get("DOCKET_FAULT_SEED", "0")) or random.randrange(1, 10**6)
    chance = random.Random(seed)
    for number in range(ARCHIVES):
        place = chance.randrange(len(content))
        if number % 6 == 5:
            yield f"seed {seed}: cut to {place} bytes", content[:place]
            continue
        flipped = bytearray(content)
        flipped[place] ^= 1 << chance.randrange(8)
        yield f"seed {seed}: a bit of byte {place}", bytes(flipped)


def decrypted(content: bytes) -> bytes:
    return Decrypting(io.BytesIO(content), len(content), [KEY]).read()


def encrypted(tar: bytes) -> bytes:
    out = io.BytesIO()
    inside = Encrypting(out, KEY)
    inside.write(tar)
    inside.finish()
    return out.getvalue()


def parts_of(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as tar:
        return {head.name: tar.extractfile(head).read() for head in tar}


def tar_of(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.PAX_FORMAT) as tar:
        for name, content in parts.items():
            head = tarfile.TarInfo(name)
            head.size = len(content)
            tar.addfile(head, io.BytesIO(content))
    return out.getvalue()


def sealed_by_a_stranger(tar: bytes) -> bytes:
    """With the sum that is right, and a proof that nobody can make without the key."""
    said = f"\ndocket-backup-1 {hashlib.sha256(tar).hexdigest()} {fingerprint('k' * 50)} {'0' * 64}\n"
    return tar + said.encode().ljust(SEAL_SIZE - 1) + b"\n"


def forged(content: bytes, other: bytes, path: Path, *, is_encrypted: bool) -> Iterator[tuple[str, bytes]]:
    """Archives that somebody made of two good ones, by hand. The last ones even know the keys."""
    plain, pack = (decrypted, encrypted) if is_encrypted else (bytes, bytes)
    parts, others = (parts_of(plain(one[:-SEAL_SIZE])) for one in (content, other))
    database = next(name for name in parts if name.startswith("database."))
    upload = next(name for name in parts if name.startswith("files/"))
    yield "the seal of another", content[:-SEAL_SIZE] + other[-SEAL_SIZE:]
    yield "two after another", content + other
    yield "something behind the end", content + b"\0" * 512
    yield "something before the beginning", b"\0" * 512 + content
    yield "nothing", b""
    swapped = pack(tar_of(parts | {upload: others[upload]}))
    yield "an upload of another, the seal kept", swapped + content[-SEAL_SIZE:]
    yield "an upload of another, sealed by a stranger", sealed_by_a_stranger(swapped)
    for what, wrong in {
        "an upload of another": parts | {upload: others[upload]},
        "the database of another": parts | {database: others[database]},
        "two parts that changed places": parts | {upload: parts[database], database: parts[upload]},
        "the manifest of another": parts | {"manifest.json": others["manifest.json"]},
        "a part too many": {"files/private/more": b""} | parts,
        "a part too few": {name: part for name, part in parts.items() if name != upload},
        "a name that leads out": {"files/private/../../../out": b"out"} | parts,
        "a name from the root": {"/tmp/out": b"out"} | parts,
    }.items():
        yield what, seal(path, pack(tar_of(wrong))).read_bytes()


def forged_without_the_backup_key(content: bytes, other: bytes, path: Path) -> Iterator[tuple[str, bytes]]:
    """Encrypted archives that were changed by somebody who knows the secret key, and so seals what he made."""

    def pieces(whole: bytes) -> tuple[bytes, list[bytes]]:
        inside, size = whole[HEADER_SIZE:-SEAL_SIZE], CHUNK + TAG
        return whole[:HEADER_SIZE], [inside[at : at + size] for at in range(0, len(inside), size)]

    (header, chunks), (header_of_other, chunks_of_other) = pieces(content), pieces(other)
    first, second, *rest = chunks
    assert len(rest) >= 2
    for what, wrong in {
        "a bit of a chunk": [header, bytes([first[0] ^ 1]), first[1:], second, *rest],
        "two chunks that changed places": [header, second, first, *rest],
        "a chunk twice": [header, first, first, *rest],
        "a chunk of another": [header, chunks_of_other[0], second, *rest],
        "without the first chunk": [header, second, *rest],
        "without the last chunk": [header, first, second, *rest[:-1]],
        "without a chunk in the middle": [header, first, *rest],
        "the last chunk twice": [header, first, second, *rest, rest[-1]],
        "the last byte of the last chunk": [header, first, second, *rest[:-1], rest[-1][:-1]],
        "no chunk": [header],
        "the header of another": [header_of_other, *chunks],
        "the key of another": [header.replace(fingerprint(KEY).encode(), fingerprint("another").encode()), *chunks],
        "a header that is none": [header[:-1], b" ", *chunks],
    }.items():
        yield what, seal(path, b"".join(wrong)).read_bytes()


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder with its size and the moment of its last change, but for the archives and the lock of their folder."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.name not in ("backups", ".lock", "bad.tar")
    }


def refused(path: Path) -> str:
    with pytest.raises(CommandError) as refusal:
        call_command("restore", str(path), yes=True, stdout=io.StringIO())
    return str(refusal.value)


@pytest.mark.parametrize("keys", [[], [KEY]], ids=["plain", "encrypted"])
@pytest.mark.django_db(transaction=True)
def test_no_bad_archive_gets_as_far_as_the_target(keys, shop, places, elsewhere, tmp_path, settings):
    settings.DOCKET_BACKUP_KEYS = keys
    (places.private / "scans").mkdir()
    (places.private / "scans" / "paper.bin").write_bytes(random.Random(1).randbytes(3 * CHUNK if keys else 100))
    shop.draft()
    one = make_backup()
    shop.draft()
    (places.private / "imports" / "订单.csv").write_text("others")
    two = make_backup()
    good, other, bad = path_of(one.name).read_bytes(), path_of(two.name).read_bytes(), tmp_path / "bad.tar"
    bad.touch()
    cases = [*damaged(good), *forged(good, other, bad, is_encrypted=bool(keys))]
    if keys:
        cases += forged_without_the_backup_key(good, other, bad)
    before, files = facts_of(connection), tree(tmp_path)
    for target in ("used", "empty"):
        if target == "empty":
            elsewhere.begin()
            before = None
        for what, content in cases:
            bad.write_bytes(content)
            assert bad.name in refused(bad), what
            assert tree(tmp_path) == files, what
        with override_settings(SECRET_KEY="k" * 50):
            assert "was made under another DJANGO_SECRET_KEY" in refused(path_of(one.name))
        for wrong in ([], [bytes(32)]) if keys else ():
            with override_settings(DOCKET_BACKUP_KEYS=wrong):
                assert f"opens with the backup key of the fingerprint {fingerprint(KEY)}, and here is" in refused(path_of(one.name))
        assert tree(tmp_path) == files
        if before is not None:
            assert facts_of(connection) == before
    assert len(cases) == ARCHIVES + (28 if keys else 15)
