"""What a supervisor looks at before it begins, and a disk that turns read-only while it is at work."""

import shutil
import subprocess
from pathlib import Path

import pytest

from supervisor.errors import StoreDamaged, StoreUnavailable
from supervisor.store import jobs, open_store, soundness
from tests.support.damage import damage
from tests.support.mounts import mounted
from tests.support.store import submit

WHY = "read-only for this user, or its disk is|input/output error on its disk"


@pytest.mark.parametrize("table", ["jobs", "attempts", "supervisors", "job_changes"])
def test_damage_is_found_before_anything_begins_wherever_it_is(path: Path, table: str) -> None:
    with open_store(str(path)) as opened, opened.write() as tx:
        submit(tx)
    damage(path, table)
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match="damaged: stop the service and restore a backup"):
        open_store(str(path), supervisor=True)
    assert path.read_bytes() == before


def test_the_look_at_a_large_one_ends_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(str(path)) as opened, opened.write() as tx:
        for number in range(50):
            submit(tx, f"job-{number}", payload='"' + "x" * 1000 + '"')
    monkeypatch.setattr(soundness, "_SECONDS", -1.0)
    monkeypatch.setattr(soundness, "_STEPS", 10)
    with open_store(str(path), supervisor=True) as opened, opened.write() as tx:
        submit(tx, "another")


def test_a_disk_that_turns_read_only_is_told_and_what_was_there_can_be_read(tmp_path: Path) -> None:
    """As ext4 does when its disk fails (errors=remount-ro)."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not installed")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(8 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    with mounted("ext4", tmp_path / "disk", "loop,errors=remount-ro", image):
        path = tmp_path / "disk" / "jobs.db"
        with open_store(str(path), supervisor=True) as opened:
            with opened.write() as tx:
                submit(tx)
            subprocess.run(["mount", "-o", "remount,abort", tmp_path / "disk"], check=True)
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match=WHY), opened.write() as tx:
                    submit(tx, "another")
                opened.reopen()
                with opened.read() as tx:
                    assert jobs.get(tx, "job-1") is not None
                    assert jobs.get(tx, "another") is None
