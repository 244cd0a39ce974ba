"""What jobs and users wrote, made fit for a terminal: nothing of it can move a cursor or change a colour."""

import codecs
import re

_CONTROL = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_BIDI = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Characters that make text look like other text than it is (Unicode TR 36), and its line separators."""

_UNFIT = re.compile(f"[{_CONTROL}{_BIDI}\ud800-\udfff]")

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: cursor, colours, modes
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS ...: titles, links, the clipboard
    r"|\x1b[ -/]*[0-OQ-WYZ\\`-~]"  # the two-character ones
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c]*\x1b?|[ -/]*)?\Z")
_LONGEST_ESCAPE = 4096
"""Characters held back for the rest of an escape sequence; what is longer is none."""


def harmless(text: str) -> str:
    r"""Text with every control character but newline and tab spelt out: an escape becomes `\\x1b`."""
    return _UNFIT.sub(_spelt, text)


def one_line(text: str) -> str:
    """Harmless, and without line breaks or tabs: for a table's cell and for a sentence."""
    return harmless(re.sub(r"[\t\n\v\f\r]+", " ", text).strip())


def json_safe(text: str) -> str:
    """JSON text that is the same JSON and harmless: such characters stand in its strings only."""
    return _UNFIT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class TerminalFilter:
    """A job's output for a terminal, piece by piece: no escape sequences, a carriage return is a newline."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, data: bytes, *, last: bool = False) -> str:
        """What can be shown so far; `last` gives the rest, too."""
        text = self._held + self._decoder.decode(data, last)
        self._held = ""
        text = _ESCAPES.sub("", text)
        unfinished = _UNFINISHED.search(text) or re.search(r"\r\Z", text)
        if unfinished and not last and len(unfinished[0]) < _LONGEST_ESCAPE:
            text, self._held = text[: unfinished.start()], unfinished[0]
        return _UNFIT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _spelt(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
