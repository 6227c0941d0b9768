"""One backup as one file: a tar of the database, the uploaded files and a manifest, and behind it a seal over every byte.

The seal is read before anything else: who does not know the secret key of this installation cannot make an archive that
gets as far as the tar reader, and no flipped bit does either. Behind the end of a tar, `tar -tf` does not look.
Where the site has a key for its backups, the tar is encrypted, and the seal is over what is then in the file.
"""

import hashlib
import hmac
import json
import os
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Any

from django.conf import settings
from django.utils.crypto import salted_hmac

from apps.ops.backups.encryption import Decrypting, Encrypting, fingerprint, key_of
from apps.ops.backups.errors import BackupError, BadArchive

FORMAT = 1
BLOCK = 1024 * 1024
MANIFEST = "manifest.json"
LARGEST_MANIFEST = 64 * BLOCK
FOLDERS = ("private", "media")  # what is below files/ in the archive
SEAL_SIZE = 168
_SEAL = re.compile(rb"\ndocket-backup-1 ([0-9a-f]{64}) ([0-9a-f]{16}) ([0-9a-f]{64})\n +\n", re.ASCII)
_DATABASE = re.compile(r"database\.(sqlite3\.gz|dump)")


def _sealed(digest: str, key: str) -> str:
    return salted_hmac("docket.backup.seal", digest, secret=key, algorithm="sha256").hexdigest()


def blocks(file: IO[bytes], size: int | None = None) -> Iterator[bytes]:
    """The file in pieces, at most `size` bytes of it."""
    left = size
    while left is None or left > 0:
        piece = file.read(BLOCK if left is None else min(BLOCK, left))
        if not piece:
            return
        if left is not None:
            left -= len(piece)
        yield piece


class Summed:
    """A file that is read through, and the SHA-256 of what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.sum, self.size = file, hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        piece = self.file.read(size)
        self.sum.update(piece)
        self.size += len(piece)
        return piece


class Writer:
    """Writes an archive, part by part. Only `finish` makes it one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts: dict[str, dict[str, Any]] = {}
        self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b")
        key = next(iter(settings.DOCKET_BACKUP_KEYS), None)
        self.key_fingerprint = fingerprint(key) if key else ""
        self._encrypted = Encrypting(self._file, key) if key else None
        self._tar = tarfile.open(fileobj=self._encrypted or self._file, mode="w:", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        """One part of exactly `size` bytes."""
        head, summed = tarfile.TarInfo(name), Summed(file)
        head.size, head.mode = size, 0o600
        self._tar.addfile(head, summed)  # raises OSError where the file is shorter
        self.parts[name] = {"size": size, "sha256": summed.sum.hexdigest()}

    def add_path(self, name: str, path: Path) -> None:
        with path.open("rb") as file:
            self.add(name, file, os.fstat(file.fileno()).st_size)

    def finish(self, facts: dict[str, Any]) -> str:
        """Write the manifest and the seal, and the whole to the disk. Returns the SHA-256 of what is sealed."""
        text = json.dumps({"format": FORMAT, **facts, "parts": self.parts}, ensure_ascii=False, sort_keys=True).encode()
        self.add(MANIFEST, BytesIO(text), len(text))
        self._tar.close()
        if self._encrypted:
            self._encrypted.finish()
        self._file.flush()
        self._file.seek(0)
        digest = hashlib.sha256()
        for piece in blocks(self._file):
            digest.update(piece)
        key = settings.SECRET_KEY
        seal = f"\ndocket-backup-1 {digest.hexdigest()} {fingerprint(key)} {_sealed(digest.hexdigest(), key)}\n"
        self._file.write(seal.encode().ljust(SEAL_SIZE - 1) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return digest.hexdigest()

    def discard(self) -> None:
        """Close without finishing, and leave nothing."""
        self._file.close()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Archive:
    """An archive whose seal, shape and manifest were found right."""

    path: Path
    sha256: str
    manifest: dict[str, Any]
    places: dict[str, tuple[int, int]] = field(repr=False)
    """Of each part but the manifest: where in the tar it begins, and its size."""
    key_fingerprint: str
    """Of the backup key that opens it; empty where it is not encrypted."""
    keys: Sequence[bytes] = field(repr=False)

    @property
    def name(self) -> str:
        return self.manifest["name"]

    @property
    def database(self) -> str:
        """The name of the part that is the database."""
        return next(name for name in self.places if _DATABASE.fullmatch(name))

    def files(self, folder: str) -> list[str]:
        """The names of the uploaded files of one of FOLDERS, as they are in the archive."""
        return [name for name in self.places if name.startswith(f"files/{folder}/")]

    def extract(self, name: str, target: Path) -> None:
        """Write one part to `target`, which must not exist, and see that it is what the manifest says."""
        with self._opened() as tar:
            self._extract(tar, name, target)

    def unzip(self, name: str, target: Path) -> None:
        """The same for a part that is compressed: it grows to the size that the manifest says, and not a byte further."""
        size, sha256 = self.manifest["database"]["size"], self.manifest["database"]["sha256"]
        inflate, total, found = zlib.decompressobj(31), 0, hashlib.sha256()
        with self._opened() as tar, _new(target) as out:
            for piece in self._pieces(tar, name):
                while piece:
                    try:
                        plain = inflate.decompress(piece, BLOCK)
                    except zlib.error as error:
                        raise BadArchive(f"{name} in {self.path.name} cannot be unpacked.") from error
                    total += len(plain)
                    if total > size:
                        raise BadArchive(f"{name} in {self.path.name} is larger than its manifest says.")
                    found.update(plain)
                    out.write(plain)
                    piece = inflate.unconsumed_tail
            out.write(rest := inflate.flush())
            found.update(rest)
        if found.hexdigest() != sha256:
            raise BadArchive(f"{name} in {self.path.name} is not what its manifest says.")

    def extract_files(self, folder: str, target: Path) -> int:
        """Write the uploaded files of `folder` below `target`, readable by this user only. Says how many."""
        target.mkdir(mode=0o700)
        names = self.files(folder)
        with self._opened() as tar:
            for name in names:
                place = target / PurePosixPath(name).relative_to(f"files/{folder}")
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._extract(tar, name, place)
        return len(names)

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        with self.path.open("rb") as file:
            yield _tar_in(file, self.keys)

    def _extract(self, tar: IO[bytes], name: str, target: Path) -> None:
        with _new(target) as out:
            for piece in self._pieces(tar, name):
                out.write(piece)

    def _pieces(self, tar: IO[bytes], name: str) -> Iterator[bytes]:
        """One part; at its end the sum must be right."""
        begin, size = self.places[name]
        tar.seek(begin)
        part = Summed(tar)
        yield from blocks(part, size)
        if part.sum.hexdigest() != self.manifest["parts"][name]["sha256"]:
            raise BadArchive(f"{name} in {self.path.name} is not what its manifest says.")


def _new(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")


def _tar_in(file: IO[bytes], keys: Sequence[bytes]) -> IO[bytes]:
    """What is sealed in the file, decrypted where it is encrypted. Raises BadArchive where none of `keys` opens it."""
    return Decrypting(file, _sealed_size(file), keys) if key_of(file) else file


def _sealed_size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size - SEAL_SIZE


def open_archive(path: Path, *, any_key: bool = False, keys: Sequence[bytes] = ()) -> Archive:
    """Read the seal, then the shape, then the manifest. Raises BadArchive at the first thing that is not right.

    With `any_key` the archive of another secret key is taken, too: then the seal shows damage, and no longer who made it.
    An encrypted one opens with a key of the site's own or of `keys`.
    """
    keys = (*settings.DOCKET_BACKUP_KEYS, *keys)
    try:
        with path.open("rb") as file:
            sha256 = _check_seal(path, file, any_key=any_key)
            inside = _tar_in(file, keys)
            inside.seek(0)
            with tarfile.open(fileobj=inside, mode="r:") as tar:
                return Archive(path, sha256, *_read(path, tar), key_of(file), keys)
    except (OSError, tarfile.TarError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not a tar archive"
        raise BadArchive(f"{path} cannot be read: {reason}.") from error


def _check_seal(path: Path, file: IO[bytes], *, any_key: bool) -> str:
    body = _sealed_size(file)
    file.seek(max(body, 0))
    seal = _SEAL.fullmatch(file.read(SEAL_SIZE))
    if body <= 0 or seal is None:
        raise BadArchive(f"{path} is not a backup of Docket, or its end is missing.")
    said, key, proof = (word.decode() for word in seal.groups())
    file.seek(0)
    digest = hashlib.sha256()
    for piece in blocks(file, body):
        digest.update(piece)
    if digest.hexdigest() != said:
        raise BadArchive(f"{path} is damaged: its SHA-256 is not the one that it was sealed with. Use another copy of it.")
    ours = {fingerprint(one): one for one in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)}
    if key not in ours:
        if any_key:
            return said
        raise BadArchive(
            f"{path} was made under another DJANGO_SECRET_KEY (its fingerprint is {key}, here it is {fingerprint(settings.SECRET_KEY)}). "
            "Set the key that the backup was made with. Where it is lost for good, and you know where the file comes from: --other-key."
        )
    if not hmac.compare_digest(_sealed(said, ours[key]), proof):
        raise BadArchive(f"{path} was changed by somebody who does not know the secret key. Do not use it.")
    return said


def _read(path: Path, tar: tarfile.TarFile) -> tuple[dict[str, Any], dict[str, tuple[int, int]]]:
    places: dict[str, tuple[int, int]] = {}
    for head in tar:
        if not head.isreg() or head.name in places or not _is_sane(head.name):
            raise BadArchive(f"{path} has a part {head.name[:80]!r}, which no backup of Docket has.")
        places[head.name] = (head.offset_data, head.size)
    if list(places)[-1:] != [MANIFEST] or places.pop(MANIFEST)[1] > LARGEST_MANIFEST:
        raise BadArchive(f"{path} has no manifest.")
    try:
        manifest = json.loads(tar.extractfile(MANIFEST).read())
        parts = {name: part["size"] for name, part in manifest["parts"].items()}
        if manifest["format"] != FORMAT:
            raise BadArchive(f"{path} is of format {manifest['format']}, which this version of Docket does not know. Use a newer one.")
        _shaped(manifest)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadArchive(f"{path} has a manifest that cannot be read.") from error
    sizes = {name: size for name, (_begin, size) in places.items()}
    if parts != sizes or sum(1 for name in sizes if _DATABASE.fullmatch(name)) != 1:
        raise BadArchive(f"{path} does not have the parts that its manifest names.")
    return manifest, places


def _is_sane(name: str) -> bool:
    """Is it a name that a Writer gives? Nothing leads out of the folder that it is unpacked in."""
    if name == MANIFEST or _DATABASE.fullmatch(name):
        return True
    pieces = name.split("/")
    ends = len(pieces) > 2 and pieces[0] == "files" and pieces[1] in FOLDERS
    return ends and not any(piece in ("", ".", "..") or "\\" in piece or "\0" in piece for piece in pieces)


def _shaped(manifest: dict[str, Any]) -> None:
    """Raises ValueError, TypeError or KeyError where something is missing that others rely on."""
    if not re.fullmatch(r"docket-[0-9TZ]+-[0-9a-f]+", manifest["name"]) or manifest["vendor"] not in ("sqlite", "postgresql"):
        raise ValueError(manifest["name"])
    for name in ("taken_at", "version"):
        if not isinstance(manifest[name], str):
            raise TypeError(name)
    for name in ("counts", "totals"):
        manifest[name].items()
    for _app, _name in manifest["migrations"]:
        pass
    if int(manifest["database"]["size"]) < 0 or len(manifest["database"]["sha256"]) != 64:
        raise ValueError("database")


def require_room(folder: Path, size: int) -> None:
    """Raises BackupError where less than `size` bytes and a tenth are free."""
    free = os.statvfs(folder)
    if free.f_bavail * free.f_frsize < size * 1.1:
        raise BackupError(f"{folder} has no room for {size // 1024**2} MB. Free some space, or move DOCKET_BACKUP_DIR.")
