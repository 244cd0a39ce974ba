"""PAYLOAD on the command line: JSON, `@file`, or `-` for standard input."""

import os
import re
import sys
from typing import Any

from supervisor.errors import InvalidPayload
from supervisor.payload import LIMIT, from_text


def read_payload(argument: str | None) -> Any:
    """The payload meant; none is null.

    Raises InvalidPayload with a hint where the text is not JSON, and where a file cannot be read.
    """
    if argument is None:
        return None
    if argument == "-":
        return from_text(_text(_at_most(sys.stdin.fileno(), "standard input"), "standard input"))
    if argument.startswith("@"):
        return from_text(_text(_content(argument[1:]), argument[1:]))
    _refuse_large(len(argument))
    try:
        return from_text(argument)
    except InvalidPayload as error:
        raise InvalidPayload(f"{error}{_hint(argument)}") from error


def _content(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidPayload(f"the payload file {path} cannot be read: {reason}") from error
    try:
        return _at_most(descriptor, path)
    finally:
        os.close(descriptor)


def _at_most(descriptor: int, name: str) -> bytes:
    """Up to one byte more than is allowed: an endless source must end in a sentence."""
    data = bytearray()
    try:
        while len(data) <= LIMIT and (piece := os.read(descriptor, LIMIT + 1 - len(data))):
            data += piece
    except OSError as error:
        raise InvalidPayload(f"the payload cannot be read from {name}: {error.strerror}") from error
    _refuse_large(len(data))
    return bytes(data)


def _refuse_large(length: int) -> None:
    if length > LIMIT:
        raise InvalidPayload("the payload is larger than 1 MiB")


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidPayload(f"the payload in {name} is not UTF-8 text") from error


def _hint(argument: str) -> str:
    if re.fullmatch(r"[^\W\d][\w .,:/@-]*", argument):
        return f"; a text needs quotes, inside those of the shell: '\"{argument}\"'"
    if "'" in argument and '"' not in argument:
        return '; JSON has double quotes, and the shell wants single ones around it: \'{"key": "value"}\''
    if re.match(r"\s*\{\s*\w", argument) and '"' not in argument:
        return '; the shell took its quotes: put single ones around it: \'{"key": "value"}\''
    return ""
