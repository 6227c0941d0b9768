"""The inside of an archive that only the backup key opens: AES-256-GCM in chunks of 1 MiB.

A line of clear text comes first: the fingerprint of the backup key, and a salt. HKDF makes the key of this one archive of both.
A chunk's nonce is its number and whether it is the last (the STREAM construction): none is cut off, swapped or brought from
another archive unnoticed. Any place is read without what is before it, and one chunk is in memory, so a tar of any size is read
as it lies and never decrypted onto a disk.
"""

import io
import os
import re
import secrets
from collections.abc import Sequence
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.utils.crypto import salted_hmac

from apps.ops.backups.errors import BadArchive, MissingKey

CHUNK = 1024 * 1024
TAG = 16
KIND = "docket-encrypted-1"
_HEADER = re.compile(rf"{KIND} ([0-9a-f]{{16}}) ([0-9a-f]{{64}})\n".encode(), re.ASCII)
HEADER_SIZE = len(KIND) + 83


def fingerprint(key: str | bytes) -> str:
    """What tells one key from another, and nothing about it."""
    return salted_hmac("docket.backup.fingerprint", "", secret=key, algorithm="sha256").hexdigest()[:16]


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt, KIND.encode()).derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _header_of(file: IO[bytes]) -> re.Match[bytes] | None:
    file.seek(0)
    return _HEADER.fullmatch(file.read(HEADER_SIZE))


def key_of(file: IO[bytes]) -> str:
    """The fingerprint of the key that the archive opens with; empty where it is not encrypted."""
    head = _header_of(file)
    return head[1].decode() if head else ""


class Encrypting:
    """What is written goes into `file` encrypted. Only `finish` writes the last chunk."""

    def __init__(self, file: IO[bytes], key: bytes) -> None:
        salt = secrets.token_bytes(32)
        self._header = f"{KIND} {fingerprint(key)} {salt.hex()}\n".encode()
        self._file, self._cipher, self._kept, self._number = file, _cipher(key, salt), bytearray(), 0
        file.write(self._header)

    def tell(self) -> int:
        """Where the plain text is."""
        return self._number * CHUNK + len(self._kept)

    def write(self, piece: bytes) -> int:
        self._kept += piece
        while len(self._kept) > CHUNK:  # a full one may still be the last
            self._put(self._kept[:CHUNK], last=False)
            del self._kept[:CHUNK]
        return len(piece)

    def finish(self) -> None:
        self._put(self._kept, last=True)

    def _put(self, chunk: bytearray, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), chunk, self._header))
        self._number += 1


class Decrypting(io.RawIOBase):
    """The plain text of the first `size` bytes of `file`, from any place.

    Raises BadArchive for what is not as it was written, and MissingKey where none of `keys` opens it.
    """

    def __init__(self, file: IO[bytes], size: int, keys: Sequence[bytes]) -> None:
        head = _header_of(file)
        known, wanted = {fingerprint(key): key for key in keys}, head[1].decode()
        if wanted not in known:
            ours = f"here is the key {' and '.join(known)}" if known else "here is no key"
            raise MissingKey(
                f"{file.name} is encrypted: it opens with the backup key of the fingerprint {wanted}, and {ours}. "
                "Name the file that holds it: DOCKET_BACKUP_KEY_FILE, or --key-file of restore."
            )
        self._file, self._end, self._header, self._place = file, size, head[0], 0
        self._cipher = _cipher(known[wanted], bytes.fromhex(head[2].decode()))
        self._chunks = max(1, -(-(size - HEADER_SIZE) // (CHUNK + TAG)))
        self._size = size - HEADER_SIZE - self._chunks * TAG
        self._load(self._chunks - 1)  # is the end there, and the key the right one?

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        return self._place

    def readinto(self, target: bytearray) -> int:
        """Fill `target`, as far as there is something."""
        done = 0
        while done < len(target) and self._place < self._size:
            number, start = divmod(self._place, CHUNK)
            if number != self._number:
                self._load(number)
            piece = self._chunk[start : start + len(target) - done]
            target[done : done + len(piece)] = piece
            done, self._place = done + len(piece), self._place + len(piece)
        return done

    def _load(self, number: int) -> None:
        place = HEADER_SIZE + number * (CHUNK + TAG)
        self._file.seek(place)
        sealed = self._file.read(min(CHUNK + TAG, self._end - place))
        try:
            self._chunk = self._cipher.decrypt(_nonce(number, last=number == self._chunks - 1), sealed, self._header)
        except InvalidTag as error:
            raise BadArchive(f"{self._file.name} was changed by somebody who does not know the backup key. Do not use it.") from error
        self._number = number
