"""Writes the equations of Office files as LaTeX, which language models read."""

from __future__ import annotations

import re

from ingest.readers.ooxml import Element, attribute, child, children, local

_SIGNS = {
    # Sums and integrals, sets, relations, Greek letters; by number, for some look like Latin ones.
    "\u2211": r"\sum", "\u220f": r"\prod", "\u2210": r"\coprod", "\u222b": r"\int",
    "\u222c": r"\iint", "\u222d": r"\iiint", "\u222e": r"\oint", "\u222f": r"\oiint",
    "\u2230": r"\oiiint", "\u22c3": r"\bigcup", "\u22c2": r"\bigcap", "\u22c1": r"\bigvee",
    "\u22c0": r"\bigwedge", "\u03c0": r"\pi ", "\u221e": r"\infty ", "\u00b1": r"\pm ",
    "\u00d7": r"\times ", "\u00f7": r"\div ", "\u2264": r"\leq ", "\u2265": r"\geq ",
    "\u2260": r"\neq ", "\u2192": r"\to ", "\u03b1": r"\alpha ", "\u03b2": r"\beta ",
    "\u03b3": r"\gamma ", "\u03b4": r"\delta ", "\u03b5": r"\epsilon ", "\u03b8": r"\theta ",
    "\u03bb": r"\lambda ", "\u03bc": r"\mu ", "\u03c3": r"\sigma ", "\u03c6": r"\phi ",
    "\u03c9": r"\omega ", "\u0394": r"\Delta ", "\u03a3": r"\Sigma ", "\u03a9": r"\Omega ",
    "\u2202": r"\partial ", "\u2207": r"\nabla ", "\u2208": r"\in ", "\u2229": r"\cap ",
    "\u222a": r"\cup ", "\u2227": r"\wedge ", "\u2228": r"\vee ", "\u22c5": r"\cdot ",
    "\u2026": r"\ldots ", "\u221a": r"\sqrt ", "\u2200": r"\forall ", "\u2203": r"\exists ",
}  # fmt: skip
_FUNCTIONS = re.compile(
    r"(?<![A-Za-z\\])(arccos|arcsin|arctan|cosh|sinh|tanh|cos|sin|tan|cot|csc|sec|log|lim|ln|exp|"
    r"max|min|det|gcd|sup|inf)(?![A-Za-z])"
)
_DEPTH_LIMIT = 60
"""Levels of an equation below which its signs are listed without structure."""


def latex(element: Element, depth: int = 0) -> str:
    """Return an `oMath` element, or a part of one, as LaTeX."""
    if depth > _DEPTH_LIMIT:
        return _signs("".join(element.itertext()))
    name = local(element)
    if name == "t":
        return _signs(element.text or "")
    write = _WRITERS.get(name)
    if write is not None:
        return write(element, depth + 1)
    if name.endswith("Pr"):
        return ""
    return "".join(latex(inner, depth + 1) for inner in element)


def _part(element: Element, name: str, depth: int) -> str:
    inner = child(element, name)
    return "" if inner is None else latex(inner, depth).strip()


def _base(element: Element, depth: int) -> str:
    """Return what carries an index or a power; a fraction needs braces around it."""
    base = _part(element, "e", depth)
    return f"{{{base}}}" if base.startswith(r"\frac") else base


def _fraction(element: Element, depth: int) -> str:
    above, below = _part(element, "num", depth), _part(element, "den", depth)
    if attribute(child(element, "fPr", "type"), "val") == "noBar":
        return rf"\genfrac{{}}{{}}{{0pt}}{{}}{{{above}}}{{{below}}}"
    return rf"\frac{{{above}}}{{{below}}}"


def _power(element: Element, depth: int) -> str:
    return f"{_base(element, depth)}^{{{_part(element, 'sup', depth)}}}"


def _index(element: Element, depth: int) -> str:
    return f"{_base(element, depth)}_{{{_part(element, 'sub', depth)}}}"


def _index_and_power(element: Element, depth: int) -> str:
    below, above = _part(element, "sub", depth), _part(element, "sup", depth)
    return f"{_base(element, depth)}_{{{below}}}^{{{above}}}"


def _root(element: Element, depth: int) -> str:
    degree = _part(element, "deg", depth)
    return rf"\sqrt{f'[{degree}]' if degree else ''}{{{_part(element, 'e', depth)}}}"


def _operator(element: Element, depth: int) -> str:
    sign = attribute(child(element, "naryPr", "chr"), "val") or "∫"
    below, above = _part(element, "sub", depth), _part(element, "sup", depth)
    return f"{_SIGNS.get(sign, sign)}_{{{below}}}^{{{above}}}{_part(element, 'e', depth)}"


def _brackets(element: Element, depth: int) -> str:
    properties = child(element, "dPr")
    left = attribute(child(properties, "begChr"), "val")
    right = attribute(child(properties, "endChr"), "val")
    parts = ",".join(latex(inner, depth).strip() for inner in children(element, "e"))
    left, right = "(" if left is None else left, ")" if right is None else right
    return rf"\left{_bracket(left)}{parts}\right{_bracket(right)}"


def _bracket(sign: str) -> str:
    return {"": ".", "{": r"\{", "}": r"\}"}.get(sign, sign)


def _function(element: Element, depth: int) -> str:
    return f"{_part(element, 'fName', depth)}({_part(element, 'e', depth)})"


def _limit(element: Element, depth: int) -> str:
    sign = "_" if local(element) == "limLow" else "^"
    return f"{_part(element, 'e', depth)}{sign}{{{_part(element, 'lim', depth)}}}"


def _matrix(element: Element, depth: int) -> str:
    rows = r" \\ ".join(
        " & ".join(latex(cell, depth).strip() for cell in children(row, "e"))
        for row in children(element, "mr")
    )
    return rf"\begin{{matrix}}{rows}\end{{matrix}}"


def _lines(element: Element, depth: int) -> str:
    return r" \\ ".join(latex(inner, depth).strip() for inner in children(element, "e"))


def _signs(text: str) -> str:
    written = "".join(_SIGNS.get(sign, sign) for sign in text)
    return _FUNCTIONS.sub(r"\\\1", written)


_WRITERS = {
    "f": _fraction,
    "sSup": _power,
    "sSub": _index,
    "sSubSup": _index_and_power,
    "rad": _root,
    "nary": _operator,
    "d": _brackets,
    "func": _function,
    "limLow": _limit,
    "limUpp": _limit,
    "m": _matrix,
    "eqArr": _lines,
}
