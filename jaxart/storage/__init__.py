"""Files wherever they are: in the file system, or in an object store by their URL.

A file system renames and locks. An object store does neither, but an object appears
whole; so what is written beside and renamed in the one is one PUT in the other.
"""

from jaxart.storage.checksums import checksum, checksum_of_file
from jaxart.storage.errors import StorageError
from jaxart.storage.hub import weights_path, weights_path_or_none
from jaxart.storage.paths import (
    AnyPath,
    check_names,
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
    require_room,
    resolve,
    unfinished,
    version,
    write_bytes,
    write_picture,
    written,
    written_folder,
    written_together,
)
from jaxart.storage.presence import shared_folder
from jaxart.storage.private import open_file, private_folder, read_bytes
from jaxart.storage.regular import open_regular
from jaxart.storage.remote import RemotePath

__all__ = [
    "AnyPath",
    "RemotePath",
    "StorageError",
    "check_names",
    "checksum",
    "checksum_of_file",
    "copy",
    "disk",
    "fetched",
    "hub",
    "is_remote",
    "join",
    "local_copy",
    "move",
    "names_in",
    "open_file",
    "open_regular",
    "path",
    "path_or_none",
    "private_folder",
    "read_bytes",
    "remove_unfinished",
    "require_local",
    "require_room",
    "resolve",
    "results",
    "shared_folder",
    "unfinished",
    "version",
    "weights_path",
    "weights_path_or_none",
    "write_bytes",
    "write_picture",
    "written",
    "written_folder",
    "written_together",
]
