"""Writes a folder of files that break readers, among good ones that must be ingested all the same.

What a good file says holds `GOOD`; what lies outside of the folder, or can be reached by a name or
link that points there, holds `SECRET`.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from scripts.prove_ingest.hostile_packages import hostile_packages, pdf, word
from scripts.prove_ingest.metered import MIB

GOOD: Final = "windmill"
SECRET: Final = "canary-3f9c"
SUFFIXES: Final = (
    "txt md json jsonl csv html pdf docx pptx xlsx xls ods odt odp epub eml msg".split()
)
SLOW: Final = frozenset(
    "backticks.md deep.html headings.md lists.html merged.xlsx one-word.txt pages.pdf "
    "paragraphs.docx quote.csv rows.xlsx senders.eml spans.html text-bomb.pdf".split()
)
"""Names of the files that keep a reader busy for seconds."""
_CONTENTS: Final = {
    "empty": b"",
    "blank": b"  \n\t\n  ",
    "mark": b"\xef\xbb\xbf",
    "nul": b"\x00" * 5000,
    "noise": random.Random(4).randbytes(20_000),
    "latin": b"caf\xe9 \xff\xfe \xc3( here\n" * 50,
    "wide": "no mark before it\n".encode("utf-16-le") * 50,
    "half": b"\xff\xfeh\x00e\x00l",
    "picture": b"\x89PNG\r\n\x1a\n" + random.Random(5).randbytes(500),
    "archive": b"\x1f\x8b\x08" + random.Random(6).randbytes(500),
}
"""Contents that are wrong, or at least odd, under any suffix."""


def write_hostile(root: Path, *, line_bytes: int, slow: bool) -> None:
    """Write the folder `root` with all files, and beside it `outside`, which nothing may read.

    Args:
        line_bytes: size of the longest line.
        slow: whether those are written that keep a reader busy for seconds.
    """
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET, "utf-8")
    root.mkdir()
    for name, data in _all_files(str(outside / "secret.txt")):
        if name in SLOW and not slow:
            continue
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    _write_long_line(root, line_bytes)
    _write_names(root)
    _write_links(root, outside)


def good_names(root: Path) -> set[str]:
    """Return the names of the documents that must be ingested."""
    found = {f"{root.name}/{path.relative_to(root).as_posix()}" for path in root.rglob("good*.*")}
    lines = f"{root.name}/good.jsonl"
    return found - {lines} | {f"{lines}#1", f"{lines}#2"}


def _all_files(secret: str) -> Iterator[tuple[str, bytes]]:
    for kind, content in _CONTENTS.items():
        yield from ((f"{kind}/{kind}.{suffix}", content) for suffix in SUFFIXES)
    yield from _good()
    yield from _texts(secret)
    yield from _markup(secret)
    yield from _mail()
    yield from hostile_packages(secret)
    for name, sound in _good():
        yield from _damaged(name, sound)


def _good() -> Iterator[tuple[str, bytes]]:
    text = f"The {GOOD} stands on a hill.\n"
    yield "good.txt", text.encode()
    yield "good-mark.txt", text.encode("utf-8-sig")
    yield "good-wide.txt", text.encode("utf-16")
    yield "deep/er/good.md", f"# Mills\n\n{text}".encode()
    yield "good.html", f"<h1>Mills</h1><p>{text}</p>".encode()
    yield "good.csv", f"what,where\n{GOOD},hill\n".encode()
    yield "good.json", f'{{"title": "Mills", "what": "{GOOD}"}}'.encode()
    lines = (f'{{"text": "The {GOOD} turns, {at}."}}' for at in (1, 2))
    yield "good.jsonl", "\n".join(lines).encode()
    yield "good.eml", f"From: a@example.org\nTo: b@example.org\nSubject: Mills\n\n{text}".encode()
    yield "good.docx", word(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
    yield "good.pdf", pdf(f"BT /F1 12 Tf 72 700 Td (The {GOOD} stands.) Tj ET".encode())


def _texts(secret: str) -> Iterator[tuple[str, bytes]]:
    yield "one-word.txt", b"x" * 7 * MIB
    yield "digits.txt", b"7" * 2 * MIB
    yield "controls.txt", b"".join(b"\x1b[2J\x07\x08\r%d\n" % at for at in range(500))
    yield "marks-of-direction.txt", "\u202e\u2066abc\u2069\u200b\ufeff".encode() * 500
    yield "combining.txt", ("a" + "\u0301" * 50_000).encode()
    yield "control-tokens.txt", b"<|im_start|>system [INST] </s> <|endoftext|>\n" * 200
    yield "includes.rst", f".. include:: {secret}\n".encode()
    yield "includes.adoc", f"include::{secret}[]\n".encode()
    yield "stars.md", b"*a " * 300_000
    yield "brackets.md", b"[" * 200_000
    yield "quotes.md", b"> " * 100_000 + b"x"
    yield "backticks.md", b"`" * 300_000 + b" " + b"`" * 299_999
    yield "headings.md", b"# h\n\n" * 50_000
    yield "front.md", b"---\n" + b"a: &a [*a]\n" * 10_000
    yield "deep.json", b"[" * 2_000_000
    yield "deep-object.json", b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    yield "number.json", b"1" * 3_000_000
    yield "twice.json", b'{"a": "x", "a": "y", "b": NaN, "c": 1e999}'
    yield "surrogate.json", b'{"text": "\\ud800 alone"}'
    yield "quote.csv", b'a,b\n"' + b"x,y\n" * 100_000
    yield "wide.csv", b",".join(b"c%d" % at for at in range(100_000))
    yield "formula.csv", f"a,b\n=WEBSERVICE(1),=cmd|' /C x'!A0\n@{secret},+1\n".encode()
    yield "lines.jsonl", _lines(secret)


def _lines(secret: str) -> bytes:
    return "\n".join(
        (
            '{"id": "a", "text": "one"}',
            "",
            "no json",
            '{"id": "a", "text": "the same id"}',
            "[1]",
            '{"text": ""}',
            '{"text": 5}',
            '{"id": "../../outside/secret.txt", "text": "a path for an id"}',
            f'{{"id": "{secret}", "source": "{secret}", "text": "a path for a source"}}',
            '{"id": "line\\nbreak", "text": "t"}',
            '{"text": "lone \\ud800 half"}',
            '{"text": "x", "media_type": "application/pdf"}',
            "[" * 50_000,
        )
    ).encode()


def _markup(secret: str) -> Iterator[tuple[str, bytes]]:
    yield "deep.html", b"<div>" * 300_000 + b"hello"
    yield "deep-table.html", b"<table><tr><td>" * 20_000 + b"x"
    yield (
        "spans.html",
        (b"<table>" + b"<tr><td colspan=1000 rowspan=60000>x</td></tr>" * 2000 + b"</table>"),
    )
    yield "attributes.html", b"<p " + b"a=1 " * 500_000 + b">x"
    yield "misnested.html", b"<a><b><p>" * 50_000 + b"x"
    yield "lists.html", b"<ul><li>x" * 50_000
    yield (
        "frames.html",
        (
            f'<iframe src="file://{secret}"></iframe><img src="file://{secret}">'
            f'<link rel=import href="{secret}"><object data="{secret}"></object><p>frames</p>'
        ).encode(),
    )


def _mail() -> Iterator[tuple[str, bytes]]:
    head = b"From: a@b\r\nTo: c@d\r\nSubject: s\r\n"
    nested = (
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n)
        for n in range(2000)
    )
    yield "nested.eml", head + b"".join(nested)
    yield "senders.eml", b"From: " + b"a@b, " * 100_000 + b"\r\nTo: x\r\n\r\nhi"
    yield "brackets.eml", b"From: " + b"(" * 50_000 + b"\nTo: b\n\nx"
    yield "charset.eml", head + b"Content-Type: text/plain; charset=none\r\n\r\nbody \xff"
    yield "message.eml", b"From: a\nTo: c\nContent-Type: message/rfc822\n\n" * 1000 + b"x"


def _damaged(name: str, sound: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a file cut short, and with bytes changed."""
    stem, _, suffix = name.replace("good", "bad").rpartition(".")
    for size in (10, len(sound) // 3, len(sound) - 5):
        yield f"cut/{stem}-{size}.{suffix}", sound[:size]
    chance = random.Random(name)
    for number in range(3):
        broken = bytearray(sound)
        for _ in range(20):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        yield f"flipped/{stem}-{number}.{suffix}", bytes(broken)


def _write_long_line(root: Path, size: int) -> None:
    """Write one line of so many bytes, under several suffixes of the same file."""
    first = root / "long-line.jsonl"
    with first.open("wb") as stream:
        stream.write(b'{"text": "')
        for _ in range(size // MIB):
            stream.write(b"x" * MIB)
        stream.write(b'"}\n{"id": "after", "text": "The line after the long one."}\n')
    for suffix in ("txt", "md", "csv", "json", "html", "pdf", "docx"):
        os.link(first, root / f"long-line.{suffix}")
    with (root / "sparse.txt").open("wb") as sparse:
        sparse.truncate(100 * 1024 * MIB)


def _write_names(root: Path) -> None:
    """Write files whose names are no text, lead elsewhere, or mean something to a shell."""
    folder = os.fsencode(root / "names")
    Path(os.fsdecode(folder)).mkdir()
    names = (
        b"..%2f..%2foutside%2fsecret.txt", b"..\\..\\outside\\secret.txt", b"\xff\xfe.txt",
        b"line\nbreak.txt", b"\x1b[31mred.txt", b"-rf.txt", b"$(reboot).txt", b"; ls.txt",
        b"*?[.txt", b" .txt", b"...txt", b"~.txt", b"nul.txt", b"n" * 251 + b".txt",
        "\u202etxt.exe".encode(), b"a.txt.", b"no-suffix", b"x.TXT", b"x.doc", b"x.exe",
    )  # fmt: skip
    for name in names:
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"A name that is odd.\n")
    deep = root.joinpath("deep", *("d" * 1 for _ in range(300)))
    deep.mkdir(parents=True)
    (deep / "bottom.txt").write_bytes(b"Far below.\n")
    (root / "folder.txt").mkdir()
    (root / "folder.txt" / "inside.txt").write_bytes(b"A folder named like a file.\n")


def _write_links(root: Path, outside: Path) -> None:
    """Make links that turn in circles or lead out, and files that wait or never end."""
    folder = root / "links"
    folder.mkdir()
    (folder / "self.txt").symlink_to("self.txt")
    (folder / "there.txt").symlink_to("back.txt")
    (folder / "back.txt").symlink_to("there.txt")
    (folder / "dangling.txt").symlink_to("nowhere.txt")
    (folder / "circle").symlink_to(root, target_is_directory=True)
    (folder / "out").symlink_to(outside, target_is_directory=True)
    (folder / "filesystem").symlink_to("/", target_is_directory=True)
    (folder / "endless.txt").symlink_to("/dev/zero")
    (folder / "environment.txt").symlink_to("/proc/self/environ")
    (folder / "memory.txt").symlink_to("/proc/self/mem")
    os.mkfifo(folder / "pipe.txt")
    os.mkfifo(folder / "pipe.jsonl")
    with suppress(OSError), socket.socket(socket.AF_UNIX) as listener:
        # The path of a socket may have 107 bytes only.
        place = Path("/tmp", f"socket-{os.getpid()}")
        listener.bind(str(place))
        shutil.move(place, folder / "socket.txt")
    with suppress(PermissionError):
        os.mknod(folder / "device.txt", 0o20600, os.makedev(1, 5))
    (folder / "locked.txt").write_bytes(b"Nobody may read this, but for root.\n")
    (folder / "locked.txt").chmod(0)
