"""Files wherever they are: in the file system, or in an object store by their URL.

A file system renames and locks. An object store does neither, but an object appears
whole; so what is written beside and renamed in the one is one PUT in the other.
"""

from jaxart.storage.checksums import checksum
from jaxart.storage.hub import weights_path, weights_path_or_none
from jaxart.storage.paths import (
    AnyPath,
    copy,
    fetched,
    is_remote,
    join,
    local_copy,
    move,
    names_in,
    path,
    path_or_none,
    remove_unfinished,
    require_local,
    resolve,
    version,
    write_bytes,
    written,
    written_folder,
    written_together,
)
from jaxart.storage.regular import open_regular
from jaxart.storage.remote import RemotePath, StorageError

__all__ = [
    "AnyPath",
    "RemotePath",
    "StorageError",
    "checksum",
    "copy",
    "fetched",
    "hub",
    "is_remote",
    "join",
    "local_copy",
    "move",
    "names_in",
    "open_regular",
    "path",
    "path_or_none",
    "remove_unfinished",
    "require_local",
    "resolve",
    "results",
    "version",
    "weights_path",
    "weights_path_or_none",
    "write_bytes",
    "written",
    "written_folder",
    "written_together",
]
