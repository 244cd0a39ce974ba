"""A supervisor whose loop gets stuck: stuck.py FILE. Once that file exists, the next turn does not end.

The product has no hooks for this: the last duty but one is wrapped from here.
"""

import os
import sys
import time

from supervisor import serve
from supervisor.keeping import Keeping
from supervisor.supervision import Supervision


def main() -> int:
    whole = Keeping.keep_spares

    def keep_spares(self: Keeping, s: Supervision) -> None:
        while os.path.exists(sys.argv[1]):
            time.sleep(0.1)
        whole(self, s)

    Keeping.keep_spares = keep_spares  # type: ignore[method-assign]  # from outside, for a test
    return serve.serve()


if __name__ == "__main__":
    raise SystemExit(main())
