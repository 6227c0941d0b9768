"""What can go wrong with a backup, as sentences for the person who looks after the machine."""


class BackupError(Exception):
    """A backup could not be made, proved or restored. The text says why, and what to do."""


class BadArchive(BackupError):
    """The file is not an archive that may be restored here. Nothing was touched."""


class MissingKey(BadArchive):
    """The archive is encrypted and its key is not here: whether it is good, nobody can say."""
