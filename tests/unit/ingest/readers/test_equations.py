"""Equations of Office files become LaTeX."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from ingest.readers.equations import latex

SPACE = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def part(name: str, inner: str) -> str:
    return f"<m:{name}>{inner}</m:{name}>"


X, Y = part("e", run("x")), part("sup", run("2"))


@pytest.mark.parametrize(
    ("inner", "written"),
    [
        (run("a=\u03c0"), r"a=\pi"),
        (part("f", part("num", run("a")) + part("den", run("b"))), r"\frac{a}{b}"),
        (part("sSup", X + Y), "x^{2}"),
        (part("sSub", X + part("sub", run("i"))), "x_{i}"),
        (part("sSubSup", X + part("sub", run("i")) + Y), "x_{i}^{2}"),
        (
            part("sSup", part("e", part("f", part("num", run("a")) + part("den", run("b")))) + Y),
            r"{\frac{a}{b}}^{2}",
        ),
        (part("rad", part("deg", "") + X), r"\sqrt{x}"),
        (part("rad", part("deg", run("3")) + X), r"\sqrt[3]{x}"),
        (
            '<m:nary><m:naryPr><m:chr m:val="\u2211"/></m:naryPr>'
            + part("sub", run("n=1")) + part("sup", run("\u221e")) + X + "</m:nary>",
            r"\sum_{n=1}^{\infty}x",
        ),
        (part("d", X), r"\left(x\right)"),
        (
            '<m:d><m:dPr><m:begChr m:val="{"/><m:endChr m:val=""/></m:dPr>' + X + "</m:d>",
            r"\left\{x\right.",
        ),
        (part("func", part("fName", run("log")) + X), r"\log(x)"),
        (part("limLow", part("e", run("lim")) + part("lim", run("n"))), r"\lim_{n}"),
        (
            part("m", part("mr", X + X) + part("mr", X + X)),
            r"\begin{matrix}x & x \\ x & x\end{matrix}",
        ),
        (part("eqArr", X + X), r"x \\ x"),
        (part("rPr", run("hidden")) + run("seen"), "seen"),
        (part("unknown", run("a")), "a"),
    ],
)  # fmt: skip
def test_a_structure_is_written_as_its_command(inner: str, written: str) -> None:
    assert latex(ET.fromstring(f"<m:oMath {SPACE}>{inner}</m:oMath>")).strip() == written


def test_an_equation_nested_without_end_is_written_without_structure() -> None:
    deep = "<m:d><m:e>" * 500 + run("x") + "</m:e></m:d>" * 500
    assert "x" in latex(ET.fromstring(f"<m:oMath {SPACE}>{deep}</m:oMath>"))
