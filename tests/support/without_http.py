"""A supervisor without its http server, for tests that start many and have no use for one.

`without_http.py` serves; `without_http.py crash_at.py POINT ROLE MARKER` runs that instead. To start an http
server takes twice the processor time of all the rest of a supervisor.
"""

import runpy
import sys
from pathlib import Path
from typing import Any

from supervisor import serve


def main() -> None:
    vars(serve)["Front"] = _no_front
    if sys.argv[1:]:
        del sys.argv[0]
        runpy.run_path(str(Path(__file__).with_name(sys.argv[0])), run_name="__main__")
    raise SystemExit(serve.serve())


def _no_front(_start: Any) -> None:
    return None


if __name__ == "__main__":
    main()
