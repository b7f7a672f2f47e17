"""Checks numbers that a state gave to a person, by the rules that each state publishes.

Every function takes what a pattern matched, separators included, and says whether the check
characters agree. A random number of the same form passes one time in ten to one in ninety-seven.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from string import ascii_uppercase

_SEPARATORS = str.maketrans("", "", " .-/+")
_DOUBLED = str.maketrans("0123456789", "0246813579")
"""Digit to the sum of the digits of its double, as Luhn adds them."""
_ZERO = ord("0")
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_NIE_DIGITS = str.maketrans("XYZ", "012")
_FISCAL_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22)
_FISCAL_ODD_VALUES = (*_FISCAL_ODD, 25, 24, 23)
_FISCAL_DIGITS = str.maketrans("0123456789", "ABCDEFGHIJ")
_PESEL_WEIGHTS = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
_BSN_WEIGHTS = (9, 8, 7, 6, 5, 4, 3, 2, -1)
_VERHOEFF_PERMUTED = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
_VERHOEFF_PRODUCTS = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_VERHOEFF_TABLES = tuple(
    {
        f"{check}{digit}": _VERHOEFF_PRODUCTS[check][int(permuted[digit])]
        for check in range(10)
        for digit in range(10)
    }
    for permuted in (_VERHOEFF_PERMUTED * 2)[:12]
)
"""The next check digit by the last one and a digit, for each place from the right (1969)."""
_IBAN_DIGITS = {ord(letter): str(int(letter, 36)) for letter in ascii_uppercase}
_MODULUS = 97
_DAYS, _MONTHS = 31, 12


def compact(matched: str) -> str:
    """Return a number without the separators that people write into it, in capitals."""
    return matched.translate(_SEPARATORS).upper()


def passes_luhn(digits: str) -> bool:
    """Return whether the last digit is Luhn's check digit (ISO/IEC 7812-1)."""
    summed = digits[-1::-2] + digits[-2::-2].translate(_DOUBLED)
    return (sum(summed.encode()) - _ZERO * len(summed)) % 10 == 0


def is_german_tax_id(matched: str) -> bool:
    """Return whether it is a Steuer-Identifikationsnummer: ISO 7064 MOD 11,10.

    Among its first ten digits exactly one occurs twice or three times.
    """
    digits = compact(matched)
    # Ten digits, one of them twice: nine different ones; thrice: eight.
    different = len(set(digits[:10]))
    if different not in (8, 9) or Counter(digits[:10]).most_common(1)[0][1] != 11 - different:
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def is_spanish_id(matched: str) -> bool:
    """Return whether the letter of a DNI or NIE is that of its number, modulo 23."""
    number = compact(matched)
    return _DNI_LETTERS[int(number[:-1].translate(_NIE_DIGITS)) % 23] == number[-1]


def is_french_id(matched: str) -> bool:
    """Return whether it is a NIR: the key is 97 less the number modulo 97; Corsica has letters."""
    number = compact(matched).replace("2A", "19").replace("2B", "18")
    return number.isdigit() and _MODULUS - int(number[:13]) % _MODULUS == int(number[13:])


def is_italian_id(matched: str) -> bool:
    """Return whether the last letter of a codice fiscale is its check letter, modulo 26."""
    places = [ord(one) - ord("A") for one in matched.upper().translate(_FISCAL_DIGITS)]
    odd = sum(_FISCAL_ODD_VALUES[place] for place in places[0:15:2])
    return (odd + sum(places[1:15:2])) % 26 == ord(matched[-1].upper()) - ord("A")


def is_polish_id(matched: str) -> bool:
    """Return whether it is a PESEL: a date whose month tells the century, and a check digit."""
    digits = compact(matched)
    total = _weigh(digits, _PESEL_WEIGHTS) + int(digits[10])
    return total % 10 == 0 and _is_day(int(digits[2:4]) % 20, int(digits[4:6]))


def is_swiss_id(matched: str) -> bool:
    """Return whether it is an AHV number, which has the check digit of an EAN-13."""
    digits = compact(matched)
    return _weigh(digits, (1, 3) * 6 + (1,)) % 10 == 0


def is_indian_id(matched: str) -> bool:
    """Return whether it is an Aadhaar number, by Verhoeff's check digit."""
    check = "0"
    for table, digit in zip(_VERHOEFF_TABLES, reversed(compact(matched)), strict=True):
        check = table[check + digit]
    return check == "0"


def is_brazilian_id(matched: str) -> bool:
    """Return whether both check digits of a CPF agree; eleven equal digits are none."""
    digits = compact(matched)
    if len(set(digits)) == 1:
        return False
    return all(
        _weigh(digits[:length], range(length + 1, 1, -1)) * 10 % 11 % 10 == int(digits[length])
        for length in (9, 10)
    )


def is_swedish_id(matched: str) -> bool:
    """Return whether it is a personnummer: a date, and Luhn's check digit over ten digits."""
    digits = compact(matched)[-10:]
    return passes_luhn(digits) and _is_day(int(digits[2:4]), int(digits[4:6]) % 60)


def is_belgian_id(matched: str) -> bool:
    """Return whether the last two digits are 97 less the others modulo 97.

    Before the others stands a 2 for who was born in or after 2000.
    """
    digits = compact(matched)
    rest, key = digits[:9], int(digits[9:])
    return key in (_MODULUS - int(rest) % _MODULUS, _MODULUS - int(f"2{rest}") % _MODULUS)


def is_dutch_id(matched: str) -> bool:
    """Return whether it is a BSN, by the eleven test."""
    digits = _digits_at_end(matched, 9)
    return digits.strip("0") != "" and _weigh(digits, _BSN_WEIGHTS) % 11 == 0


def is_canadian_id(matched: str) -> bool:
    """Return whether it is a social insurance number, by Luhn's check digit."""
    digits = _digits_at_end(matched, 9)
    return digits[0] != "0" and passes_luhn(digits)


def is_iban_number(number: str) -> bool:
    """Return whether a compact IBAN leaves 1 modulo 97 (ISO 13616-1)."""
    return int((number[4:] + number[:4]).translate(_IBAN_DIGITS)) % _MODULUS == 1


def _digits_at_end(matched: str, count: int) -> str:
    return re.sub(r"\D", "", matched)[-count:]


def _weigh(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _is_day(month: int, day: int) -> bool:
    return 1 <= month <= _MONTHS and 1 <= day <= _DAYS
