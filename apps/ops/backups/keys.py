"""The file of backup keys. Settings read it, so nothing here needs them."""

import re
from base64 import urlsafe_b64decode
from pathlib import Path

from apps.ops.backups.errors import BackupError

_KEY = re.compile(r"[0-9a-fA-F]{64}|[\w-]{43}=?", re.ASCII)


def read_keys(path: Path) -> list[bytes]:
    """One key in each line: 32 bytes as hex or as base64 for URLs. Raises BackupError."""
    try:
        lines = path.read_text(encoding="ascii", errors="replace").split()
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}.") from error
    if not lines or not all(_KEY.fullmatch(line) for line in lines):
        raise BackupError(
            f"{path} has {'a line that is no key' if lines else 'no key'}. A key is 32 bytes in one line: openssl rand -hex 32"
        )
    return [bytes.fromhex(line) if len(line) == 64 else urlsafe_b64decode(f"{line[:43]}=") for line in lines]
