"""`python -P -m supervisor`: what `asyncworker serve` and systemd start."""


def main() -> int:
    import asyncworker  # noqa: PLC0415  (both late: first the names are checked, then ours is imported)

    asyncworker.check_names()
    from supervisor.serve import serve  # noqa: PLC0415

    return serve()


if __name__ == "__main__":
    raise SystemExit(main())
