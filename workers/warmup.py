"""Modules that are imported late, imported early where their user could not read them any more."""

import contextlib
import importlib
import os
from pathlib import Path

from workers import credentials
from workers.credentials import User

_LATE = (
    "argparse asyncio base64 calendar collections.abc copy csv ctypes.util datetime decimal difflib"
    " email.message encodings.ascii encodings.idna encodings.latin_1 encodings.utf_16 fractions"
    " functools glob gzip hashlib heapq html http.client io itertools logging mimetypes"
    " multiprocessing.pool operator pathlib pickle platform pwd queue random re secrets shlex shutil"
    " socket sqlite3 ssl statistics string struct subprocess tarfile tempfile textwrap threading timeit"
    " unicodedata urllib.request uuid xml.etree.ElementTree zipfile zlib zoneinfo"
).split()


def import_what_is_imported_late(user: User) -> None:
    """Where the user may not read Python's own library: what most code needs of it.

    That is so where it lies in somebody's home. Code that needs more is told by its own ImportError.
    """
    if credentials.can_read(user, Path(os.__file__)):
        return
    for name in ("workers.coroutine", *_LATE):
        with contextlib.suppress(ImportError):  # a Python built without it
            importlib.import_module(name)
