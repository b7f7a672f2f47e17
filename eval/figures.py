"""Spells figures the same way wherever people read them; rounding never makes one say more."""

from __future__ import annotations

from decimal import Decimal

from eval.statistics import Mean

_SPACE = "\u00a0"
"""A figure and its unit stay on one line."""
_MINUS = "\u2212"
_DIGITS_LIMIT = 4
_NOISE = 9
"""Digits of a percentage behind which there is only the noise of floating point."""
_HALF = 50
_CENT_FROM = Decimal("0.995")
_WHOLE_FROM = Decimal(1000)
_SIGNIFICANT = 2


def spell_share(share: float) -> str:
    """Return a share as a percentage; "0 %" and "100 %" only where it is none or all."""
    return f"{_percent(share)}{_SPACE}%"


def spell_range(low: float, high: float) -> str:
    """Return an interval of shares, such as "56 to 79 %"."""
    return f"{_percent(low)} to {_percent(high)}{_SPACE}%"


def spell_mean(mean: Mean) -> str:
    """Return a share with its interval, such as "68 % (56 to 79 %)"; "n/a" without questions."""
    if not mean.questions:
        return "n/a"
    return f"{spell_share(mean.mean)} ({spell_range(mean.low, mean.high)})"


def count_right(mean: Mean) -> int:
    """Return how many questions a share of right answers is made of."""
    return round(mean.mean * mean.questions)


def spell_points(difference: float) -> str:
    """Return a difference of shares in percentage points, signed; "0" only where there is none."""
    value = 100 * difference
    digits = next((d for d in range(_DIGITS_LIMIT) if round(abs(value), d)), _DIGITS_LIMIT)
    if not round(abs(value), digits):
        return "0"
    return f"{'+' if value > 0 else _MINUS}{abs(value):.{digits}f}"


def spell_usd(amount: Decimal) -> str:
    """Return US dollars to the cent, small amounts to two digits that are not zero."""
    if not amount:
        return "$0"
    if amount == amount.to_integral_value():
        return f"{_MINUS if amount < 0 else ''}${abs(amount):,.0f}"
    sign, size = (_MINUS if amount < 0 else ""), abs(amount)
    if size >= _WHOLE_FROM:
        return f"{sign}${size:,.0f}"
    if size >= _CENT_FROM:
        return f"{sign}${size:.2f}"
    digits = _SIGNIFICANT - 1 - size.adjusted()
    return f"{sign}${round(size, digits):.{digits}f}"


def spell_seconds(seconds: float) -> str:
    """Return a time with two or three digits, in milliseconds below a tenth of a second."""
    if seconds < 0.1:  # noqa: PLR2004 - said in the docstring
        return f"{1000 * seconds:.0f}{_SPACE}ms"
    digits = 2 if seconds < 1 else 1 if seconds < 100 else 0  # noqa: PLR2004 - likewise
    return f"{seconds:,.{digits}f}{_SPACE}s"


def spell_p(p: float) -> str:
    """Return a p-value, such as "p = 0.21" or "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"  # noqa: PLR2004 - said in the docstring


def join_words(words: list[str]) -> str:
    """Return words as a list in a sentence: "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def _percent(share: float) -> str:
    value = round(100 * share, _NOISE)
    for digits in range(_DIGITS_LIMIT):
        shown = f"{value:.{digits}f}"
        if float(shown) not in (0.0, 100.0) or value in (0.0, 100.0):
            return shown
    least = 0.1 ** (_DIGITS_LIMIT - 1)
    shown = f"<{least:.{_DIGITS_LIMIT - 1}f}"
    return shown if value < _HALF else f">{100 - least:.{_DIGITS_LIMIT - 1}f}"
