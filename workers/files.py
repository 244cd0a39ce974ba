"""Small files of the kernel's, read and written whole, in no more system calls than that takes.

A file object of Python's asks about what it has opened (fstat, ioctl, lseek) before it reads. The keeper
looks into a dozen such files for each job, and each job writes one before it begins.
"""

import os

_CHUNK = 16 * 1024


def read(path: str) -> str:
    """Its text. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(fd, _CHUNK)
        # The kernel may hand over less than there is: only an empty answer is the end.
        while more := data and os.read(fd, _CHUNK):
            data += more
    finally:
        os.close(fd)
    return data.decode(errors="replace")


def write(path: str, text: str) -> None:
    """In one piece, into a file that is there. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
