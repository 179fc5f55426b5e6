"""The error of storage, here and in object stores."""


class StorageError(OSError):
    """A store or a disk that cannot be used; the message says which, and why."""
