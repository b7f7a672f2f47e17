"""Jobs over HTTP read below one folder, and learn nothing about what is outside of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunking.errors import InputError
from ingest.changes import Quarantined, compare
from ingest.source_folder import SourceFolder
from ingest.sources import list_source


@pytest.fixture
def folder(tmp_path: Path) -> SourceFolder:
    root = tmp_path / "sources"
    (root / "reports").mkdir(parents=True)
    (root / "reports" / "a.md").write_text("# A\n\ntext")
    (tmp_path / "secret.md").write_text("# Secret")
    (root / "out").symlink_to(tmp_path)
    (root / "reports" / "link.md").symlink_to(tmp_path / "secret.md")
    return SourceFolder(root)


@pytest.mark.parametrize("source", ["reports", "reports/a.md", "reports/*.md", "**/*.md", "."])
def test_what_is_below_the_folder_is_found(folder: SourceFolder, source: str) -> None:
    assert folder.root is not None

    place = folder.resolve(source)

    assert Path(place).is_relative_to(folder.root)
    assert folder.check(place) == folder.root.resolve()


@pytest.mark.parametrize(
    "source",
    [
        "..",
        "../secret.md",
        "../nothing.md",
        "reports/../../secret.md",
        "/etc/passwd",
        "/nothing/at/all",
        "out",
        "out/secret.md",
        "out/nothing.md",
        "out/*.md",
        "reports/*/../../../*.md",
        "*/../..",
        "reports\x00/../..",
    ],
)
def test_what_leads_out_of_it_is_refused_alike_whether_it_exists_or_not(
    folder: SourceFolder, source: str
) -> None:
    with pytest.raises(InputError) as caught:
        folder.resolve(source)

    assert caught.value.message == f"source {source!r} is not below the folder of sources"


def test_a_place_that_is_not_there_is_named_as_it_was_given(folder: SourceFolder) -> None:
    with pytest.raises(InputError) as caught:
        folder.resolve("reports/b.md")

    assert str(folder.root) not in caught.value.message
    assert "reports/b.md" in caught.value.message


def test_without_a_folder_nothing_is_read_and_the_setting_is_named() -> None:
    with pytest.raises(InputError, match="job_sources"):
        SourceFolder(None).resolve("reports")


def test_a_recorded_source_that_is_elsewhere_is_left_to_commands(
    folder: SourceFolder, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="not below"):
        folder.check(str(tmp_path / "secret.md"))
    assert folder.check("factbook") is None


def test_callers_see_no_path_of_the_machine(folder: SourceFolder, tmp_path: Path) -> None:
    assert folder.shown(folder.resolve("reports/a.md")) == "reports/a.md"
    assert folder.shown(str(tmp_path / "secret.md")) == "secret.md"


def test_a_link_out_of_the_folder_is_quarantined_when_it_is_met(
    folder: SourceFolder, tmp_path: Path
) -> None:
    place = folder.resolve("reports")
    files = list_source(place, factbook=tmp_path, within=folder.check(place))

    found = list(compare(files, {}))

    [refused] = [one for one in found if isinstance(one, Quarantined)]
    assert refused.name == "reports/link.md"
    assert len(found) == 2
