"""Byte-exact comparison of two memory files."""

import mmap
import os
import sys

PAGE_BYTES = 4096
_CHUNK_BYTES = 1 << 20


def _map(path):
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""


def first_difference(path_a, path_b):
    """None where both files are equal, else the number of the first differing page. Different sizes raise ValueError."""
    a, b = _map(path_a), _map(path_b)
    if len(a) != len(b):
        raise ValueError(f"{path_a} has {len(a)} bytes, {path_b} has {len(b)}")
    for chunk in range(0, len(a), _CHUNK_BYTES):
        if a[chunk:chunk + _CHUNK_BYTES] == b[chunk:chunk + _CHUNK_BYTES]:
            continue
        for page in range(chunk, len(a), PAGE_BYTES):
            if a[page:page + PAGE_BYTES] != b[page:page + PAGE_BYTES]:
                return page // PAGE_BYTES
    return None


def describe_difference(path_a, path_b, page):
    """The first differing bytes of that page, for a message."""
    a, b = _map(path_a), _map(path_b)
    begin = page * PAGE_BYTES
    offset = next(i for i in range(begin, begin + PAGE_BYTES) if a[i] != b[i])
    return (f"page {page} differs from byte {offset - begin} on: "
            f"{a[offset:offset + 16].hex()} in {path_a}, {b[offset:offset + 16].hex()} in {path_b}")


def assert_equal(path_a, path_b):
    page = first_difference(path_a, path_b)
    if page is not None:
        raise AssertionError(describe_difference(path_a, path_b, page))


if __name__ == "__main__":
    different = first_difference(sys.argv[1], sys.argv[2])
    if different is not None:
        sys.exit(describe_difference(sys.argv[1], sys.argv[2], different))
    print("equal")
