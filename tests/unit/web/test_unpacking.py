"""gzip bodies: whole, in parts, broken, and bombs (spec E4, X3)."""

import gzip
import os
import tracemalloc
import zlib

import pytest

from levqor.web.problems import ProblemError
from levqor.web.unpacking import MAX_MEMBERS, content, unpack

TEXT = b'{"events": []}\n' * 10_000


def refused(data: bytes, max_bytes: int = 1_000_000) -> int:
    with pytest.raises(ProblemError) as caught:
        unpack(data, max_bytes)
    return caught.value.status_code


def test_what_was_packed_comes_out() -> None:
    assert unpack(gzip.compress(TEXT), 1_000_000) == TEXT
    noise = os.urandom(100_000)
    assert unpack(gzip.compress(noise), 100_000) == noise
    assert unpack(gzip.compress(b""), 10) == b""


def test_files_in_a_row_are_one() -> None:
    assert unpack(gzip.compress(b"one\n") + gzip.compress(b"two\n"), 100) == b"one\ntwo\n"


def test_of_files_in_a_row_there_may_be_a_thousand() -> None:
    empty = gzip.compress(b"")
    assert unpack(empty * MAX_MEMBERS, 10) == b""
    assert refused(empty * (MAX_MEMBERS + 1)) == 400


def test_the_limit_itself_fits_and_one_byte_more_does_not() -> None:
    assert len(unpack(gzip.compress(bytes(1_000)), 1_000)) == 1_000
    assert refused(gzip.compress(bytes(1_001)), 1_000) == 413
    assert refused(gzip.compress(bytes(600)) * 2, 1_000) == 413


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(gzip.compress(TEXT)[:-9], id="cut"),
        pytest.param(gzip.compress(TEXT)[:5], id="cut in its head"),
        pytest.param(b"", id="nothing"),
        pytest.param(TEXT, id="not gzip"),
        pytest.param(zlib.compress(TEXT), id="zlib"),
        pytest.param(gzip.compress(TEXT)[:-8] + bytes(8), id="wrong checksum"),
        pytest.param(gzip.compress(TEXT) + b"rubbish", id="rubbish behind it"),
    ],
)
def test_broken_gzip_is_a_400(data: bytes) -> None:
    assert refused(data) == 400


def test_a_bomb_is_refused_without_being_held() -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    tracemalloc.start()
    try:
        assert refused(bomb, 1_000_000) == 413
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_another_encoding_is_a_415() -> None:
    assert content(TEXT, "", 10) == content(TEXT, " Identity ", 10) == TEXT
    assert content(gzip.compress(TEXT), "GZIP", 1_000_000) == TEXT
    for encoding in ("br", "gzip, gzip", "deflate"):
        with pytest.raises(ProblemError) as caught:
            content(TEXT, encoding, 1_000_000)
        assert caught.value.status_code == 415
