"""gzip bodies, unpacked with a bound: a bomb is refused without ever being held."""

import zlib

from levqor.web.limits import too_large
from levqor.web.problems import ProblemError

CHUNK_BYTES = 16_384
MAX_MEMBERS = 1_000
"""A gzip file may be many in a row; each costs some work, however small it is."""
GZIP = 16 + zlib.MAX_WBITS


def content(data: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body as it was before `Content-Encoding`. Raises 400 where it is broken, 413 where it is larger, 415 for another encoding."""
    words = encoding.strip().lower()
    if words in ("", "identity"):
        return data
    if words not in ("gzip", "x-gzip"):
        raise ProblemError(415, "Content-Encoding: only gzip is taken.", headers={"Accept-Encoding": "gzip"})
    return unpack(data, max_bytes)


def unpack(data: bytes, max_bytes: int) -> bytes:
    """What gzip packed."""
    unpacker, members = zlib.decompressobj(GZIP), 1
    found = bytearray()
    for start in range(0, len(data), CHUNK_BYTES):
        rest = data[start : start + CHUNK_BYTES]
        while rest:
            if unpacker.eof:
                unpacker, members = zlib.decompressobj(GZIP), members + 1
            found += _step(unpacker, rest, max_bytes - len(found) + 1)
            if len(found) > max_bytes:
                raise too_large(max_bytes)
            if members > MAX_MEMBERS:
                raise ProblemError(400, f"The body holds more than {MAX_MEMBERS} gzip files in a row.")
            rest = unpacker.unused_data
    if not unpacker.eof:
        raise ProblemError(400, "The body's gzip ends too early.")
    return bytes(found)


def _step(unpacker: "zlib._Decompress", packed: bytes, most: int) -> bytes:
    try:
        return unpacker.decompress(packed, most)
    except zlib.error:
        raise ProblemError(400, "The body is not gzip, though Content-Encoding says so, or it is broken.") from None
