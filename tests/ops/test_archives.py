"""The file of a backup: what is in it comes out again, and nothing else is ever taken for one."""

import gzip
import hashlib
import io
import stat
import tarfile
from pathlib import Path
from random import Random

import pytest
from django.test import override_settings

from apps.ops.backups import archive as code
from apps.ops.backups.archive import MANIFEST, SEAL_SIZE, Writer, fingerprint, open_archive, require_room
from apps.ops.backups.errors import BackupError, BadArchive

DATABASE = b"a database " * 5000
FACTS = {
    "name": "docket-20261121T020000Z-abcd",
    "taken_at": "2026-11-21T02:00:00+00:00",
    "version": "1.0.0",
    "vendor": "sqlite",
    "migrations": [["core", "0001_initial"]],
    "counts": {"core_hold": 0},
    "totals": {"events": 0},
    "database": {"size": len(DATABASE), "sha256": hashlib.sha256(DATABASE).hexdigest()},
}
PART = "database.sqlite3.gz"
UPLOAD = "files/private/imports/2026/订单.xlsx"


def write(path: Path, parts: dict[str, bytes], facts: dict) -> Path:
    writer = Writer(path)
    for name, content in parts.items():
        writer.add(name, io.BytesIO(content), len(content))
    writer.finish(facts)
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path / "good.tar", {PART: gzip.compress(DATABASE), UPLOAD: b"orders"}, FACTS)


def seal(path: Path, tar: bytes) -> Path:
    """`tar` as somebody would seal it who knows the key."""
    digest = hashlib.sha256(tar).hexdigest()
    key = code.settings.SECRET_KEY
    text = f"\ndocket-backup-1 {digest} {fingerprint(key)} {code._sealed(digest, key)}\n"
    path.write_bytes(tar + text.encode().ljust(SEAL_SIZE - 1) + b"\n")
    return path


def tar_of(*heads: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:") as tar:
        for head, content in heads:
            head.size = len(content)
            tar.addfile(head, io.BytesIO(content))
    return out.getvalue()


def test_what_goes_in_comes_out_again(good, tmp_path):
    archive = open_archive(good)
    assert stat.S_IMODE(good.stat().st_mode) == 0o600
    assert (archive.name, archive.database, archive.files("private"), archive.files("media")) == (FACTS["name"], PART, [UPLOAD], [])
    archive.unzip(PART, tmp_path / "database")
    assert (tmp_path / "database").read_bytes() == DATABASE
    assert archive.extract_files("private", tmp_path / "private") == 1
    assert (tmp_path / "private" / "imports" / "2026" / "订单.xlsx").read_bytes() == b"orders"
    with tarfile.open(good) as tar:  # and any tar program reads it
        assert tar.getnames() == [PART, UPLOAD, MANIFEST]


def test_every_flipped_bit_and_every_cut_is_refused(good, tmp_path):
    chance, content, bad = Random(17), good.read_bytes(), tmp_path / "bad.tar"
    refused = 0
    for _ in range(500):
        spoilt = bytearray(content)
        spoilt[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        bad.write_bytes(spoilt)
        with pytest.raises(BadArchive):
            open_archive(bad)
        refused += 1
    for _ in range(100):
        bad.write_bytes(content[: chance.randrange(len(content))])
        with pytest.raises(BadArchive):
            open_archive(bad)
        refused += 1
    assert refused == 600


def test_the_archive_of_another_key_is_refused_and_the_key_is_named(good):
    before = code.settings.SECRET_KEY
    with override_settings(SECRET_KEY="k" * 50):
        with pytest.raises(BadArchive, match=f"another DJANGO_SECRET_KEY .its fingerprint is {fingerprint(before)}, here it is"):
            open_archive(good)
        assert open_archive(good, any_key=True).name == FACTS["name"]
        with override_settings(SECRET_KEY_FALLBACKS=[before]):
            assert open_archive(good).name == FACTS["name"]


def test_who_does_not_know_the_key_makes_no_archive(good, tmp_path):
    tar = tar_of((tarfile.TarInfo(MANIFEST), b"{}"))
    forged = f"\ndocket-backup-1 {hashlib.sha256(tar).hexdigest()} {fingerprint(code.settings.SECRET_KEY)} {'0' * 64}\n"
    path = tmp_path / "forged.tar"
    path.write_bytes(tar + forged.encode().ljust(SEAL_SIZE - 1) + b"\n")
    with pytest.raises(BadArchive, match="changed by somebody who does not know the secret key"):
        open_archive(path)


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    head = tarfile.TarInfo(name)
    head.type, head.linkname = kind, "/etc/passwd"
    return head


@pytest.mark.parametrize(
    "head",
    [
        link("files/private/a", tarfile.SYMTYPE),
        link("files/private/a", tarfile.LNKTYPE),
        link("files/private/a", tarfile.FIFOTYPE),
        link("files/private", tarfile.DIRTYPE),
        *map(
            tarfile.TarInfo,
            [
                "/etc/cron.d/a",
                "files/private/../../a",
                "../a",
                "files/private/./a",
                "files/other/a",
                "a",
                "files/private/a\\b",
                "files//private/a",
            ],
        ),
    ],
    ids=lambda head: f"{head.name} {head.type}",
)
def test_a_part_that_leads_elsewhere_is_refused_even_with_the_right_seal(head, tmp_path):
    path = seal(tmp_path / "hostile.tar", tar_of((head, b""), (tarfile.TarInfo(MANIFEST), b"{}")))
    with pytest.raises(BadArchive, match="which no backup of Docket has"):
        open_archive(path)


@pytest.mark.parametrize(
    ("heads", "says"),
    [
        ([], "has no manifest"),
        ([("database.dump", b"")], "has no manifest"),
        ([(MANIFEST, b"{}"), ("database.dump", b"")], "has no manifest"),
        ([(MANIFEST, b"no json")], "has a manifest that cannot be read"),
        ([(MANIFEST, b"[]")], "has a manifest that cannot be read"),
        ([(MANIFEST, b'{"parts": {}, "format": 1}')], "has a manifest that cannot be read"),
        ([(MANIFEST, b'{"parts": {}, "format": 99}')], "is of format 99"),
        ([("database.dump", b""), ("database.dump", b"")], "which no backup of Docket has"),
    ],
)
def test_a_wrong_shape_is_refused(heads, says, tmp_path):
    path = seal(tmp_path / "wrong.tar", tar_of(*((tarfile.TarInfo(name), content) for name, content in heads)))
    with pytest.raises(BadArchive, match=says):
        open_archive(path)


def test_what_is_no_tar_is_refused_even_with_the_right_seal(tmp_path):
    with pytest.raises(BadArchive, match="it is not a tar archive"):
        open_archive(seal(tmp_path / "x.tar", b"x" * 2000))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../etc"},
        {"vendor": "oracle"},
        {"taken_at": 5},
        {"counts": []},
        {"migrations": [1]},
        {"database": {"size": "x", "sha256": ""}},
        {"database": {"size": -1, "sha256": "0" * 64}},
    ],
    ids=str,
)
def test_a_manifest_that_says_nonsense_is_refused(changes, tmp_path):
    path = write(tmp_path / "x.tar", {PART: b""}, FACTS | changes)
    with pytest.raises(BadArchive, match="has a manifest that cannot be read"):
        open_archive(path)


def test_an_archive_has_exactly_one_database(tmp_path):
    for name, parts in (("none", {}), ("two", {PART: b"", "database.dump": b""})):
        with pytest.raises(BadArchive, match="does not have the parts that its manifest names"):
            open_archive(write(tmp_path / name, parts, FACTS))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(bytes(50_000_000)), "is larger than its manifest says"),
        (gzip.compress(b"something else"), "is not what its manifest says"),
        (b"no gzip", "cannot be unpacked"),
    ],
    ids=["bomb", "other", "nonsense"],
)
def test_a_database_grows_to_its_size_and_no_further(content, says, tmp_path):
    archive = open_archive(write(tmp_path / "x.tar", {PART: content}, FACTS))
    with pytest.raises(BadArchive, match=says):
        archive.unzip(PART, tmp_path / "database")
    assert not (tmp_path / "database").exists() or (tmp_path / "database").stat().st_size <= len(DATABASE)


def test_an_archive_that_is_swapped_after_it_was_looked_at_is_noticed(good, tmp_path):
    archive = open_archive(good)
    content = good.read_bytes()
    good.write_bytes(content.replace(b"orders", b"ORDERS"))
    with pytest.raises(BadArchive, match="is not what its manifest says"):
        archive.extract(UPLOAD, tmp_path / "orders")


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: None, lambda path: path.write_bytes(b""), lambda path: path.write_text("hello")]
)
def test_what_is_no_file_of_ours_is_refused_with_its_name(make, tmp_path):
    path = tmp_path / "thing.tar"
    make(path)
    with pytest.raises(BadArchive, match=r"thing\.tar"):
        open_archive(path)


def test_nothing_is_left_of_an_archive_that_was_not_finished(tmp_path):
    writer = Writer(tmp_path / "x.part")
    with pytest.raises(OSError, match="unexpected end of data"):
        writer.add("database.dump", io.BytesIO(b"short"), 99)
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_room_is_looked_for_before_it_is_used(tmp_path):
    require_room(tmp_path, 1)
    with pytest.raises(BackupError, match="has no room for"):
        require_room(tmp_path, 2**60)
