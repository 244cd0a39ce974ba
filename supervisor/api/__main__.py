"""`python -P -m supervisor.api`: the http server, started and watched by the supervisor."""

import sys


def main() -> int:
    import asyncworker  # noqa: PLC0415  (both late: first the names are checked, then ours is imported)

    asyncworker.check_names()
    from supervisor.api.serving import serve  # noqa: PLC0415

    return serve(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
