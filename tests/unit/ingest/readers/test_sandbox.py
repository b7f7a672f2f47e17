"""A reader that fails in any way costs its own file and nothing else."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chunking.document import Section
from chunking.errors import UnreadableDocument
from ingest.readers import sandbox as sandbox_module
from ingest.readers.sandbox import Sandbox, printable

READERS = """
import ctypes, os, socket, subprocess, sys, time
from chunking.document import Section
from chunking.errors import UnreadableDocument
from ingest.readers.manuscript import Reading

kept = []

def read(data, *, name):
    text = data.decode()
    return Reading(text, (Section(("Head",), 0, len(text)),), "Title", "2024-01-31")

def refuse(data, *, name):
    raise UnreadableDocument(f"{name}: broken", hint="mend it")

def sleep(data, *, name):
    time.sleep(60)

def spin(data, *, name):
    while True:
        pass

def eat(data, *, name):
    kept.append(bytearray(10**10))

def crash(data, *, name):
    ctypes.string_at(0)

def leave(data, *, name):
    os._exit(3)

def fail(data, *, name):
    raise ZeroDivisionError("a secret of the document")

def recurse(data, *, name):
    return recurse(data, name=name)

def chatter(data, *, name):
    print("to stdout", flush=True)
    os.write(1, b"to descriptor 1")
    os.write(2, b"to descriptor 2")
    sys.stderr.write("to stderr")
    return Reading(sys.stdin.read() or "quiet")

def grow(data, *, name):
    return Reading("x" * (9 * 1024 * 1024))

def overlap(data, *, name):
    return Reading("text", (Section((), 0, 3), Section((), 2, 4)))

def beyond(data, *, name):
    return Reading("text", (Section((), 0, 99),))

def odd(data, *, name):
    return Reading("a\\x00b\\ud800c\\x1b", (Section(("\\x07",), 0, 6),), "t\\x00")

def number(data, *, name):
    return Reading(7)

def missing(data, *, name):
    import no_such_package

def pid(data, *, name):
    return Reading(str(os.getpid()))

def connect(data, *, name):
    socket.create_connection(("127.0.0.1", 9))

def resolve(data, *, name):
    socket.getaddrinfo("example.org", 80)

def write(data, *, name):
    open("/tmp/windowfit-written", "w")

def run(data, *, name):
    subprocess.run(["true"])

def see(data, *, name):
    return Reading(repr((sorted(os.environ), os.getcwd())))

def fall_once(data, *, name):
    if kept:
        os._exit(1)
    return Reading("fresh")

def spoil(data, *, name):
    kept.append(1)
    return Reading("spoiled")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readers")
    (path / "hostile.py").write_text(READERS)
    return path


@pytest.fixture
def sandbox(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.syspath_prepend(folder)
    made = Sandbox(seconds=10)
    yield made
    made.close()


def refusal(sandbox: Sandbox, reader: str) -> str:
    with pytest.raises(UnreadableDocument) as caught:
        sandbox.read(f"hostile:{reader}", b"data", name="f.x")
    assert caught.value.param == "f.x"
    assert caught.value.hint
    return caught.value.message


def text_of(sandbox: Sandbox, reader: str = "read", data: bytes = b"text") -> str:
    return sandbox.read(f"hostile:{reader}", data, name="f.x").text


def test_a_reading_comes_back_as_it_was(sandbox: Sandbox) -> None:
    reading = sandbox.read("hostile:read", "Größe 🙂".encode(), name="f.x")
    assert (reading.text, reading.title, reading.date) == ("Größe 🙂", "Title", "2024-01-31")
    assert reading.sections == (Section(("Head",), 0, len(reading.text)),)


def test_no_child_starts_before_the_first_file_and_one_serves_all(sandbox: Sandbox) -> None:
    assert not sandbox._children
    assert text_of(sandbox, "pid") == text_of(sandbox, "pid") != str(os.getpid())


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        ("refuse", "f.x: broken"),
        ("eat", "f.x: needs more memory than 1,024 MiB"),
        ("crash", "f.x: the reader crashed (SIGSEGV)"),
        ("leave", "f.x: the reader ended without an answer"),
        ("fail", "f.x: cannot be read (ZeroDivisionError)"),
        ("recurse", "f.x: nested too deeply"),
        ("grow", "f.x: 9,437,184 characters of text, limit 8,388,608"),
        ("overlap", "f.x: the reader's sections overlap"),
        ("beyond", "f.x: the reader's sections overlap"),
        ("number", "f.x: cannot be read (TypeError)"),
        ("missing", "f.x: the package no_such_package is not installed"),
        ("connect", "f.x: cannot be read (PermissionError)"),
        ("resolve", "f.x: cannot be read (PermissionError)"),
        ("write", "f.x: cannot be read (PermissionError)"),
        ("run", "f.x: cannot be read (PermissionError)"),
    ],
)
def test_a_failure_is_a_reason_and_the_next_file_is_read(
    sandbox: Sandbox, reader: str, message: str
) -> None:
    assert refusal(sandbox, reader) == message
    assert text_of(sandbox) == "text"
    assert refusal(sandbox, reader) == message


@pytest.mark.parametrize("reader", ["sleep", "spin"])
def test_a_reader_that_does_not_end_is_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    monkeypatch.syspath_prepend(folder)
    sandbox = Sandbox(seconds=1)
    started = time.monotonic()
    assert refusal(sandbox, reader) == "f.x: took longer than 1 s"
    assert time.monotonic() - started < 8
    monkeypatch.setattr(sandbox, "_seconds", 10)
    assert text_of(sandbox) == "text"
    sandbox.close()


def test_what_a_reader_prints_goes_nowhere(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    assert text_of(sandbox, "chatter") == "quiet"
    assert capfd.readouterr() == ("", "")


def test_text_that_no_store_could_hold_is_replaced_in_place(sandbox: Sandbox) -> None:
    reading = sandbox.read("hostile:odd", b"", name="f.x")
    assert reading.text == "a\ufffdb\ufffdc\ufffd"
    assert reading.title == "t\ufffd"
    assert reading.sections == (Section(("\ufffd",), 0, 6),)
    assert printable("a\tb\nc") == "a\tb\nc"


def test_a_reader_sees_nothing_of_the_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "x")
    seen = text_of(sandbox, "see")
    assert "SECRET" not in seen
    assert "HOME" not in seen
    assert seen.endswith("'/')")


def test_what_a_file_left_behind_does_not_decide_about_the_next(sandbox: Sandbox) -> None:
    assert text_of(sandbox, "spoil") == "spoiled"
    assert text_of(sandbox, "fall_once") == "fresh"


def test_a_text_without_letters_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(UnreadableDocument, match=r"^f\.x: no text inside"):
        text_of(sandbox, data=b" \n ")


def test_an_answer_beyond_the_limit_is_not_taken(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_module, "ANSWER_LIMIT_BYTES", 50)
    assert refusal(sandbox, "read").startswith("f.x: the reader ")


def test_the_child_ends_with_the_sandbox(sandbox: Sandbox) -> None:
    text_of(sandbox)
    [child] = sandbox._children
    sandbox.close()
    assert child.returncode is not None
    text_of(sandbox)
    [child] = sandbox._children
    other = Sandbox()
    other._children.append(child)
    del other
    gc.collect()
    assert child.returncode is not None
    sandbox._children.clear()
