from __future__ import annotations

from pathlib import Path

import pytest

from chunking.errors import InputError
from eval.written import write_text


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
