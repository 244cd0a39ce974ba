"""Frames over a descriptor that must never block us: a socket to the supervisor or keeper."""

import os

from workers.frames import Decoder, Frame, encode

CHUNK = 64 * 1024
"""Bytes taken in one turn, so that a sender in a hurry does not starve the rest. For a longer piece of memory
malloc(3) asks the kernel each time (M_MMAP_THRESHOLD in mallopt(3)), which costs more than to read."""


class Channel:
    """Both directions of a non-blocking stream; what cannot be written yet waits in an outbox."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.closed = False
        """The stream has ended, and everything that came before its end has been received."""
        self._deaf = False
        self._held = True
        self._decoder = Decoder()
        self._outbox = bytearray()

    def fileno(self) -> int:
        return self.fd

    @property
    def has_unsent(self) -> bool:
        return bool(self._outbox)

    @property
    def unsent(self) -> int:
        """Bytes that wait for the other side to read."""
        return len(self._outbox)

    def send(self, frame: Frame) -> None:
        """Send, or keep for `flush`. A dead peer is no exception here: the end of its stream tells."""
        if not self._deaf:
            self._outbox += encode(frame)
            self.flush()

    def flush(self) -> None:
        while self._outbox and not self.closed:
            try:
                written = os.write(self.fd, memoryview(self._outbox)[:CHUNK])
            except BlockingIOError:
                return
            except ConnectionError:
                self._deaf = True
                self._outbox.clear()
                return
            except OSError:  # no memory for it now (ENOBUFS, ENOMEM): nothing was taken, so it waits
                return
            del self._outbox[:written]

    def receive(self) -> list[Frame]:
        """What has arrived, at most one chunk; `closed` turns true at the end of the stream.

        Raises BrokenStream where it is not frames.
        """
        try:
            data = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.closed = True
            return []
        return list(self._decoder.feed(data))

    def close(self) -> None:
        """Once or more often: our number may be another file's after the first time."""
        self.closed = True
        if self._held:
            self._held = False
            os.close(self.fd)
