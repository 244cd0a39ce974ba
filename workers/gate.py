"""The keeper's end of a gate, through which a child is given its job."""

import os

from workers.frames import Frame, encode


class Gate:
    """Never blocks: a large payload goes through in more than one turn."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._unsent = bytearray()
        self.broken = False
        """What is at the other end will never have the whole of it."""

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def send(self, frame: Frame) -> None:
        self._unsent += encode(frame)
        self.flush()

    def flush(self) -> None:
        """Write what the pipe takes."""
        try:
            while self._unsent:
                written = os.write(self.fd, self._unsent)
                del self._unsent[:written]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it has ended; its pidfd will say so
            self._unsent.clear()
        except OSError:
            self._unsent.clear()
            self.broken = True
