"""Opens zip files that may be bombs, encrypted or broken: nothing is unpacked beyond a limit."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from chunking.errors import UnreadableDocument

UNPACKED_LIMIT_BYTES = 256 * 1024 * 1024
"""All members together: four times the largest file that is read, and a quarter of the memory that
a reader may take."""
MEMBERS_LIMIT = 20_000
"""Members of one file; a presentation of a thousand slides has about eight thousand."""
_PIECE_BYTES = 1024 * 1024
_ENCRYPTED = 0x1
"""The bit of a member's flags that says so."""
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What the standard library raises on broken zip files."""


class SafeZip:
    """A zip file whose members, together, unpack to no more than `UNPACKED_LIMIT_BYTES`.

    Members are read by name into memory, so no name can point outside of the file.

    Raises:
        UnreadableDocument: it is no zip file, encrypted, or declares more than the limits.
    """

    def __init__(self, data: bytes, *, name: str) -> None:
        self._name = name
        self._left = UNPACKED_LIMIT_BYTES
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as error:
            raise self._unreadable("no valid zip file inside") from error
        self._members = {info.filename: info for info in self._zip.infolist()}
        if len(self._members) > MEMBERS_LIMIT:
            raise self._unreadable(f"{len(self._members):,} members, limit {MEMBERS_LIMIT:,}")
        if any(info.flag_bits & _ENCRYPTED for info in self._members.values()):
            raise self._unreadable("encrypted", hint="store it without a password")
        declared = sum(info.file_size for info in self._zip.infolist())
        if declared > UNPACKED_LIMIT_BYTES:
            raise self._too_large(declared)

    def names(self) -> list[str]:
        """Return the names of the members in the order of the file."""
        return list(self._members)

    def read(self, member: str) -> bytes | None:
        """Return the bytes of a member; None where there is no such member.

        Raises:
            UnreadableDocument: it is broken, or more than was declared.
        """
        info = self._members.get(member)
        if info is None:
            return None
        parts: list[bytes] = []
        try:
            with self._zip.open(info) as stream:
                while piece := stream.read(_PIECE_BYTES):
                    self._left -= len(piece)
                    if self._left < 0:
                        raise self._too_large(UNPACKED_LIMIT_BYTES - self._left)
                    parts.append(piece)
        except _BROKEN as error:
            raise self._unreadable("a broken member inside the zip file") from error
        return b"".join(parts)

    def check(self) -> None:
        """Unpack every member once, for a library that will unpack them without a limit.

        Raises:
            UnreadableDocument: a member is broken or more than was declared.
        """
        for member in self._members:
            self.read(member)
        self._left = UNPACKED_LIMIT_BYTES

    def _too_large(self, size: int) -> UnreadableDocument:
        return self._unreadable(
            f"unpacks to {size:,} bytes or more, limit {UNPACKED_LIMIT_BYTES:,}",
            hint="split the file into smaller ones",
        )

    def _unreadable(self, reason: str, *, hint: str | None = None) -> UnreadableDocument:
        return UnreadableDocument(f"{self._name}: {reason}", hint=hint, param=self._name)
