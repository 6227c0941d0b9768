"""Takes uploads in without ever keeping more of one than could be used."""

from typing import Any

from django.core.files.uploadhandler import TemporaryFileUploadHandler

KEPT = 21 * 1024 * 1024  # a little above the largest file that any form takes


class CappedUpload(TemporaryFileUploadHandler):
    """Keeps the first bytes of a file that is too large, but tells its true size, so that the form can refuse it in words."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.kept = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        if self.kept < KEPT:
            super().receive_data_chunk(raw_data, start)
            self.kept += len(raw_data)
