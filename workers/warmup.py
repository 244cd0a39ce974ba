"""Modules that are imported late, imported early where their user could not read them any more."""

import contextlib
import importlib
import os
from pathlib import Path

from workers import credentials
from workers.credentials import User

_LATE = (
    "_strptime argparse asyncio base64 bisect calendar collections concurrent.futures.process"
    " concurrent.futures.thread configparser contextlib contextvars copy csv ctypes.util dataclasses"
    " datetime decimal difflib email.message email.mime.text email.parser encodings.ascii encodings.idna"
    " encodings.latin_1 encodings.utf_16 encodings.utf_8_sig enum fractions functools glob graphlib gzip"
    " hashlib heapq html http.client importlib.metadata importlib.resources importlib.util inspect io"
    " ipaddress itertools json linecache locale logging math mimetypes multiprocessing.managers"
    " multiprocessing.pool multiprocessing.synchronize numbers operator pathlib pickle platform pprint"
    " pwd queue random re runpy sched secrets select selectors shelve shlex shutil smtplib socket"
    " sqlite3 ssl stat statistics string stringprep struct subprocess sysconfig tarfile tempfile"
    " textwrap threading timeit traceback types typing unicodedata urllib.parse urllib.request uuid"
    " warnings weakref xml.etree.ElementTree zipfile zlib zoneinfo"
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
