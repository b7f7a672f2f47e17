"""Entities of the World Factbook as documents, on entities made up here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chunking.document import Document
from chunking.errors import ConfigurationError, UnreadableDocument
from ingest.factbook import entity_document, factbook_files, html_lines

NAMES = {
    "conventional long form": {"text": "Republic of Chad"},
    "conventional short form": {"text": "Chad"},
    "local long form": {"text": "République du Tchad/Jumhuriyat Tshad"},
    "local short form": {"text": "Tchad/Tshad"},
    "former": {"text": "French Congo, Ubangi-Shari"},
    "abbreviation": {"text": "none"},
}
CHAD = {
    "Geography": {
        "Area": {"total ": {"text": "1.284 million sq km"}, "land": {"text": "1,259,200 sq km"}},
        "Climate": {"text": "tropical in south, <b>desert</b> in north<br><br>rains&nbsp;in July"},
    },
    "Government": {"Country name": NAMES},
    "Terrorism": {},
}


def write(folder: Path, entity: object, name: str = "africa/cd.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entity), encoding="utf-8")
    return path


def read(folder: Path, entity: object, name: str = "africa/cd.json") -> Document:
    path = write(folder, entity, name)
    return entity_document(path.read_bytes(), code=path.stem, name=f"factbook/{name}")


def named(**names: str) -> dict[str, Any]:
    forms = {key.replace("_", " "): {"text": text} for key, text in names.items()}
    return {"Government": {"Country name": forms}}


@pytest.mark.parametrize(
    ("fragment", "lines"),
    [
        ("plain", ("plain",)),
        ("<p>one</p><p>two</p>", ("one", "two")),
        ("one<br/>two<BR>three", ("one", "two", "three")),
        ("<ul><li>a</li><li>b &amp; c</li></ul>", ("a", "b & c")),
        ("<strong>note:</strong> x&nbsp;&lt; 5", ("note: x < 5",)),
        ("  much \t space \n here ", ("much space", "here")),
        ("x < 5 and y > 3", ("x < 5 and y > 3",)),
        ("AT&T", ("AT&T",)),
        ('<a href="https://example.org">link</a>', ("link",)),
        ("<!-- hidden -->shown", ("shown",)),
        ("<br>", ()),
        ("", ()),
    ],
)
def test_html_becomes_lines_of_text(fragment: str, lines: tuple[str, ...]) -> None:
    assert html_lines(fragment) == lines


def test_an_entity_becomes_a_document_with_one_section_per_field(tmp_path: Path) -> None:
    document = read(tmp_path, CHAD)
    assert (document.id, document.source) == ("factbook/africa/cd.json",) * 2
    assert document.media_type == "application/json"
    fields = {s.path: document.text[s.start : s.end] for s in document.sections}
    assert fields["Geography", "Area"] == (
        "Area - total: 1.284 million sq km\nArea - land: 1,259,200 sq km"
    )
    assert fields["Geography", "Climate"] == (
        "Climate: tropical in south, desert in north\nrains in July"
    )
    assert set(fields) == {
        ("Geography", "Area"),
        ("Geography", "Climate"),
        ("Government", "Country name"),
    }


def test_the_short_name_is_the_title_and_the_others_are_aliases(tmp_path: Path) -> None:
    document = read(tmp_path, CHAD)
    assert document.title == "Chad"
    assert document.aliases == (
        "Republic of Chad",
        "Tchad",
        "Tshad",
        "French Congo",
        "Ubangi-Shari",
    )


def test_an_entity_without_a_short_name_goes_by_its_long_one(tmp_path: Path) -> None:
    entity = named(conventional_long_form="Bailiwick of Jersey", conventional_short_form="none")
    assert read(tmp_path, entity).title == "Bailiwick of Jersey"


def test_a_remark_in_parentheses_is_no_part_of_the_name(tmp_path: Path) -> None:
    remark = "Svalbard (sometimes referred to as Spitsbergen, the largest island)"
    assert read(tmp_path, named(conventional_short_form=remark)).title == "Svalbard"
    short = "Falkland Islands (Islas Malvinas)"
    assert read(tmp_path, named(conventional_short_form=short)).title == short


@pytest.mark.parametrize(
    ("code", "title"), [("xx", "World"), ("ee", "European Union"), ("oo", "Southern Ocean")]
)
def test_an_entity_that_is_no_country_has_the_title_of_the_factbook(
    tmp_path: Path, code: str, title: str
) -> None:
    document = read(tmp_path, CHAD, f"world/{code}.json")
    assert (document.title, document.aliases) == (title, ())


@pytest.mark.parametrize(
    "government", [None, "text", {}, {"Country name": "x"}, {"Country name": {"former": None}}]
)
def test_an_entity_without_names_goes_by_its_code(tmp_path: Path, government: object) -> None:
    document = read(tmp_path, {**CHAD, "Government": government})
    assert (document.title, document.aliases) == ("cd", ())


@pytest.mark.parametrize(
    ("entity", "message"),
    [
        ([], "not a JSON object"),
        ("text", "not a JSON object"),
        ({}, "not a JSON object"),
        ({"Geography": {}}, "no text in any field"),
        ({"Geography": {"Area": {"text": "<br>"}}}, "no text in any field"),
    ],
)
def test_an_entity_without_fields_is_unreadable(
    tmp_path: Path, entity: object, message: str
) -> None:
    with pytest.raises(UnreadableDocument, match=f"factbook/africa/cd.json: {message}"):
        read(tmp_path, entity)


def test_a_file_that_is_no_json_is_unreadable(tmp_path: Path) -> None:
    data = write(tmp_path, CHAD).read_bytes()[:-1]
    with pytest.raises(UnreadableDocument, match="invalid JSON"):
        entity_document(data, code="cd", name="factbook/africa/cd.json")


def test_the_files_of_a_factbook_are_its_entities_in_order(tmp_path: Path) -> None:
    for name in ("world/xx.json", "africa/cd.json", "africa/ag.json", "meta/regions.json"):
        write(tmp_path, CHAD, name)
    write(tmp_path, CHAD, "index.json")
    (tmp_path / "africa" / "notes.txt").touch()
    files = factbook_files(tmp_path)
    assert [file.name for file in files] == [
        "factbook/africa/ag.json",
        "factbook/africa/cd.json",
        "factbook/world/xx.json",
    ]
    assert [file.read().title for file in files] == ["Chad", "Chad", "World"]


@pytest.mark.parametrize("folder", [".", "missing"])
def test_a_folder_without_entities_is_a_wrong_setting(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ConfigurationError, match="no Factbook files") as caught:
        factbook_files(tmp_path / folder)
    assert "WINDOWFIT_FACTBOOK" in caught.value.hint
