from __future__ import annotations

import os
from pathlib import Path

import pytest

from chunking.errors import InputError
from eval.written import check_writable, write_text


def test_what_is_written_is_for_its_owner_alone_also_where_a_file_was_open_to_all(
    tmp_path: Path,
) -> None:
    path = tmp_path / "answers.json"
    path.write_text("before")
    path.chmod(0o644)
    write_text("after", path)

    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_told_with_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent"):
        write_text("text", tmp_path / "absent" / "file")


def test_what_can_be_written_leaves_nothing_when_it_is_tried(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("before")
    for path in (tmp_path / "made", kept):
        check_writable(path)

    assert list(tmp_path.iterdir()) == [kept]
    assert kept.read_text() == "before"


@pytest.mark.parametrize("name", ["absent/file", "folder", "pipe", "n" * 240, "n" * 300])
def test_what_cannot_be_written_is_refused_beforehand_with_the_option_to_change(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(InputError, match=f"cannot write .*{name}: ") as refused:
        check_writable(tmp_path / name, param="run", give="another folder")

    assert refused.value.hint == "give another folder with --run"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]
