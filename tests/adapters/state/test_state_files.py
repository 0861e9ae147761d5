"""Damage to each file that the tools keep under .state, and a full disk."""

from pathlib import Path

import pytest

from flightline.adapters.state.state_files import STATE_FILES, StateFile, cause_in_state, damaged_files
from flightline.core.settings import Settings

GARBAGE = bytes(range(255, -1, -1)) * 16


@pytest.mark.parametrize("entry", STATE_FILES, ids=lambda entry: entry.path)
def test_a_damaged_file_is_named_with_what_it_held(entry: StateFile, tmp_path):
    settings = Settings(root=tmp_path)
    name = entry.path.replace("**", "of").replace("*", "some")
    file = settings.state_dir / name
    file.parent.mkdir(parents=True)
    file.write_bytes(GARBAGE)
    (line,) = damaged_files(settings, is_thorough=True)
    assert line == f".state/{name} is damaged; it held {entry.holds}: {entry.remedy}"


def test_a_disk_that_is_full_is_the_cause_of_what_came_of_it(tmp_path):
    def write() -> None:
        try:
            with Path("/dev/full").open("w") as full:
                full.write("a result")
        except OSError as err:
            raise RuntimeError("what a tool makes of it") from err

    settings = Settings(root=tmp_path)
    with pytest.raises(RuntimeError) as caught:
        write()
    assert "no room is left on the disk of" in str(cause_in_state(settings, caught.value, is_thorough=False))
    assert cause_in_state(settings, RuntimeError("a bug"), is_thorough=False) is None
