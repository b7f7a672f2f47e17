"""A label that a document states is read or refused, and never overlooked."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.errors import UnreadableLabel
from chunking.sensitivity import Sensitivity
from ingest.stated import json_label, markdown_label, record_label

PUBLIC, INTERNAL, CONFIDENTIAL, RESTRICTED = Sensitivity
TEXT = "\n# Pay\n\nWhat everybody earns.\n"


def yaml(*lines: str) -> str:
    return "\n".join(("---", *lines, "---", TEXT))


def toml(*lines: str) -> str:
    return "\n".join(("+++", *lines, "+++", TEXT))


READ = [
    yaml("sensitivity: restricted"),
    yaml("Sensitivity: Restricted"),
    yaml("SENSITIVITY : 'restricted'  # until 2027"),
    yaml('"sensitivity": "restricted"'),
    yaml("sensitivity:restricted"),
    yaml("sensitivity = restricted"),
    yaml("sensitivity: public", "title: Pay", "sensitivity: restricted"),
    yaml("sensitivity\uff1a restricted"),
    yaml("sens\u200bitivity: restricted"),
    "\n \n\t\n" + yaml("sensitivity: restricted"),
    "\ufeff\n\ufeff" + yaml("sensitivity: restricted"),
    "---\nsensitivity: restricted\n...\n" + TEXT,
    toml('sensitivity = "restricted"'),
    toml('title = "Pay"', "Sensitivity='restricted' # until 2027", "[params]", "x = 1"),
    "\n" + toml('"sensitivity" = "restricted"'),
    "+++\n" + 'sensitivity = "restricted"\n' + "+++",
]
REFUSED = [
    yaml("sensitivty: restricted"),
    yaml("sensetivity: restricted"),
    yaml("sensitivity_: restricted"),
    yaml("\u0455ensitivity: restricted"),
    yaml("sensitive: true"),
    yaml("data_sensitivity: confidential"),
    yaml("sensitivity-level: high"),
    yaml("classification: Confidential"),
    yaml("security-classification: strictly confidential"),
    yaml("sensitivity:"),
    yaml("sensitivity: ~"),
    yaml("sensitivity: [restricted]"),
    yaml("sensitivity:", "  - restricted"),
    yaml("sensitivity: |", "  restricted"),
    yaml("sensitivity: public", "  restricted"),
    yaml("sensitivity: public, restricted"),
    yaml("meta:", "  sensitivity: restricted"),
    yaml("meta:", "  sensitivity:", "    level: restricted"),
    yaml("meta: {title: x, sensitivity: restricted}"),
    yaml("- sensitivity: restricted"),
    yaml("{", '"sensitivity": "restricted"', "}").replace('restricted"', 'restricted",'),
    yaml("? sensitivity", ": restricted"),
    yaml("sensitivity restricted"),
    yaml("windowfit.sensitivity: restricted"),
    toml("sensitivty = 'restricted'"),
    toml("[params]", 'sensitivity = "restricted"'),
    toml('params.sensitivity = "restricted"'),
    toml('params = { sensitivity = "restricted" }'),
    toml('sensitivity = ["restricted"]'),
    '+++ sensitivity = "restricted" +++\n' + TEXT,
    "--- sensitivity: restricted ---\n" + TEXT,
    "---\nsensitivity: restricted\n" + TEXT,
    "+++\nsensitivity = 'restricted'\n---\n" + TEXT,
    "title: Pay\nSensitivity: Restricted\n" + TEXT,
    "<!-- sensitivity: confidential -->\n" + TEXT,
    "```yaml\nsensitivity: restricted\n```\n" + TEXT,
    "# Pay\n\n**Sensitivity:** restricted\n" + TEXT,
    "# Pay\n\n| Sensitivity | restrcted |\n" + TEXT,
    "  ---\n  sensitivity: internal\n  ---\n" + TEXT,
    yaml("title: Pay") + "\nsensitivity: restricted\n",
]
SILENT = [
    TEXT,
    yaml("title: On the sensitivity of pay: restricted to some"),
    yaml("# sensitivity: restricted"),
    yaml("tags: [sensitivity, restricted]"),
    yaml("tags:", "  - sensitivity"),
    yaml("probe:", "  sensitivity: 0.5 mV"),
    yaml("classification: mammal"),
    yaml("case_sensitive: false"),
    yaml("title: Pay") + "\nsensitivity: public\n",
    "Sensitivity: the share of the ill that a test finds.\n",
    "Sensitivity analysis is confidential.\n",
    "# Security\n\nClassification: confidential\n",
    "\n" * 60 + "Sensitivity: restricted\n",
]


@pytest.mark.parametrize("text", READ)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_label_is_read_however_it_is_written(text: str, ends: str, encoding: str) -> None:
    data = text.replace("\n", ends).encode(encoding)
    assert markdown_label(data) is RESTRICTED


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_what_was_meant_as_a_label_and_is_none_is_refused(text: str, ends: str) -> None:
    with pytest.raises(UnreadableLabel) as caught:
        markdown_label(text.replace("\n", ends).encode())
    assert caught.value.hint


@pytest.mark.parametrize("text", SILENT)
def test_what_only_speaks_of_sensitivity_states_no_label(text: str) -> None:
    assert markdown_label(text.encode()) is None


def test_a_label_holds_though_a_byte_of_the_text_cannot_be_read() -> None:
    assert markdown_label(yaml("sensitivity: restricted").encode() + b"\xfc") is RESTRICTED


def test_a_refusal_names_the_key_and_no_text() -> None:
    with pytest.raises(UnreadableLabel) as caught:
        markdown_label(yaml("sensitivty: of the pay of Jane").encode())
    told = "front matter: 'sensitivty' may be meant as 'sensitivity', and is not read"
    assert caught.value.message == told


@pytest.mark.parametrize("line", ["-" * 500_000, "{" * 500_000, "a" + " " * 500_000 + ":"])
def test_half_a_million_signs_take_no_minutes(line: str) -> None:
    assert markdown_label(yaml(line).encode()) is None
    assert markdown_label(line.encode()) is None


@given(st.text(alphabet="sensitivy: =\n-+{}[]'\"#\ufeff.|restricted\u200b", max_size=60))
def test_any_text_has_a_label_or_none_or_is_refused(text: str) -> None:
    with suppress(UnreadableLabel):
        assert markdown_label(text.encode()) in {None, *Sensitivity}


@pytest.mark.parametrize(
    ("record", "label"),
    [
        ({"sensitivity": "restricted"}, RESTRICTED),
        ({"Sensitivity ": "Restricted"}, RESTRICTED),
        ({"sensitivity": "public", "SENSITIVITY": "restricted"}, RESTRICTED),
        ({"sensitivity": None}, None),
        ({"sensors": [{"sensitivity": 0.5}, {"sensitivity": "0.5 mV"}]}, None),
        ({"case_sensitive": False, "tags": ["restricted"]}, None),
    ],
)
def test_a_record_states_its_label_beside_its_text(
    record: dict[str, object], label: Sensitivity | None
) -> None:
    assert record_label(record) is label
    assert json_label(json.dumps(record).encode(), size_limit_bytes=1000) is label


@pytest.mark.parametrize(
    "record",
    [
        {"sensitivty": "restricted"},
        {"sensitive": True},
        {"classification": "Confidential"},
        {"sensitivity": ["restricted"]},
        {"metadata": {"sensitivity": "restricted"}},
        {"metadata": [{"sensitivity": ["restricted"]}]},
        {"metadata": {"sensitivity_label": "restricted"}},
    ],
)
def test_a_record_with_what_was_meant_as_a_label_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(UnreadableLabel):
        record_label(record)
    with pytest.raises(UnreadableLabel):
        json_label(json.dumps(record).encode(), size_limit_bytes=1000)


def test_a_large_json_file_is_refused_only_where_it_may_state_a_label() -> None:
    with pytest.raises(UnreadableLabel, match="its label is read up to 10"):
        json_label(b'{"Sensitivity" : "restricted"}', size_limit_bytes=10)
    assert json_label(b'{"text": "sensitivity: high"}', size_limit_bytes=10) is None
    assert json_label(b"{no json of any kind", size_limit_bytes=1000) is None
