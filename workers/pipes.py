"""A pipe that is closed again where what it was made for fails."""

import os
from contextlib import ExitStack


def pipe(undo: ExitStack) -> tuple[int, int]:
    """The ends for reading and for writing; `undo` closes both. Raises OSError, and leaves nothing."""
    read, write = os.pipe()
    undo.callback(os.close, read)
    undo.callback(os.close, write)
    return read, write
