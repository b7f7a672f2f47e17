"""The forms of personal data: patterns and the checks behind them.

Repetitions of a pattern are bounded, so that time grows with the text alone. Where a form has check
characters they are looked at, so that a figure of a table is not taken for a card; where it has
none, a word before it must say what it is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from serve.national_ids import (
    compact,
    is_belgian_id,
    is_brazilian_id,
    is_canadian_id,
    is_dutch_id,
    is_french_id,
    is_german_tax_id,
    is_iban_number,
    is_indian_id,
    is_italian_id,
    is_polish_id,
    is_spanish_id,
    is_swedish_id,
    is_swiss_id,
    passes_luhn,
)

_IBAN_LENGTHS = {
    one[:2]: int(one[2:])
    for one in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 "
        "DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 "
        "IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 "
        "MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 "
        "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
    ).split()
}
"""Characters of an IBAN by country: SWIFT's registry of IBAN formats, release 99."""
_CARDS = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}"
    r"|(?:6011|64[4-9]\d|65\d\d|62\d\d|35(?:2[89]|[3-8]\d))\d{12,15}"
    r"|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}"
)
"""Prefixes and lengths of the large card schemes (ISO/IEC 7812)."""
_MONTHS = (
    "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez|janv|fév|avr|juin|juil|août"
    "|ene|abr|ago|dic|gen|mag|giu|lug|set|ott"
)
_DATE = (
    r"(?:\d{1,2}[./-] ?\d{1,2}[./-] ?\d{2,4}|\d{4}[./-]\d{1,2}[./-]\d{1,2}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|º|er)?[.,]? (?:of |de )?(?:{_MONTHS})\w{{0,8}}\.?,?(?: de)? \d{{4}}"
    rf"|(?:{_MONTHS})\w{{0,8}}\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
)
_BIRTH = (
    r"(?:date of birth|birth ?date|birthday|d\.?o\.?b\b|born|geboren|geburtsdatum|geb\b|née?"
    r"|date de naissance|nacid[oa]|fecha de nacimiento|nat[oa] (?:il|a)|data di nascita"
    r"|data de nascimento)"
)
_PHONE_WORDS = (
    r"(?:tele?phone|phone|tele?fono|telefone?|téléphone|tel|mobile|cell|fax|whatsapp|call|handy"
    r"|móvil|portable)"
)
_SINGLE_DIGITS = 9
_NORTH_AMERICA = re.compile(r"1?[2-9]\d\d[2-9]\d{6}")


@dataclass(frozen=True, slots=True)
class Detector:
    """One form of personal data.

    Attributes:
        name: what a record says of it.
        pattern: finds what may be one; its first group, where it has one, is what is checked.
        is_valid: whether a match is one.
    """

    name: str
    pattern: re.Pattern[str]
    is_valid: Callable[[str], bool] = bool

    def count(self, text: str) -> int:
        """Return how many there are."""
        group = 1 if self.pattern.groups else 0
        return sum(self.is_valid(match[group]) for match in self.pattern.finditer(text))


def _is_international_phone(matched: str) -> bool:
    """Return whether a number behind a + or 00 may be dialled; +1 has ten digits behind it."""
    digits = re.sub(r"\D", "", matched)
    if not matched.startswith("+"):
        digits = digits.removeprefix("00")
    if digits.startswith("1"):
        return _NORTH_AMERICA.fullmatch(digits) is not None
    return True


def _is_national_phone(matched: str) -> bool:
    """Return whether a grouped number that begins with 0 is no date."""
    return re.match(r"\d\d[-/ ]\d\d[-/ ](?:19|20)\d\d\b", matched) is None


def _is_iban(matched: str) -> bool:
    number = compact(matched)
    length = _IBAN_LENGTHS.get(number[:2], len(number) + 1)
    return len(number) >= length and is_iban_number(number[:length])


def _is_card(matched: str) -> bool:
    digits = compact(matched)
    return _CARDS.fullmatch(digits) is not None and passes_luhn(digits)


def _is_public_ipv4(matched: str) -> bool:
    """Return whether it is an address of the public network, and no number of a section."""
    numbers = [int(number) for number in matched.split(".")]
    return max(numbers) > _SINGLE_DIGITS and ipaddress.IPv4Address(matched).is_global


def _is_public_ipv6(matched: str) -> bool:
    """Return whether it is an address of the public network; a colon behind it may end a clause."""
    return any(map(_is_global_ipv6, (matched, matched.removesuffix(":"))))


def _is_global_ipv6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).is_global
    except ValueError:
        return False


def _ascii(pattern: str, *, any_case: bool = False) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII | (re.IGNORECASE if any_case else 0))


DETECTORS: tuple[Detector, ...] = (
    Detector(
        "email",
        re.compile(
            r"(?<![\w.%+'-])[\w.%+'-]{1,64}@(?:\w(?:[\w-]{0,61}\w)?\.){1,8}[^\W\d_]{2,24}(?![^\W_])"
        ),
    ),
    Detector(
        "phone_international",
        _ascii(r"(?<![\w+.,])((?:\+|(?<!\d )00(?=[1-9]))(?:[ ().\-/]{0,3}\d){8,15})(?![\d,]|\.\d)"),
        _is_international_phone,
    ),
    Detector(
        "phone_north_american",
        _ascii(r"(?<![\w.,$-])(?:\([2-9]\d\d\) ?|[2-9]\d\d[-.])[2-9]\d\d[-.]\d{4}(?!\w|[-.,]\d)"),
    ),
    Detector(
        "phone_national",
        _ascii(
            r"(?<![\w.,$/+-])(?<!\d )(\(?0[1-9](?=[\d)]{0,4}[ /-])(?:[ )/-]{0,2}\d){7,10})"
            r"(?!\w|[.,-]\d)"
        ),
        _is_national_phone,
    ),
    Detector(
        "phone_in_context",
        re.compile(
            rf"\b{_PHONE_WORDS}\b[^\d\n+]{{0,16}}(?!\d{{4}}\b(?![ -]\d))"
            r"(?:[ ().\-/\[\]]{0,3}\d){7,12}(?![\d,]|\.\d)",
            re.IGNORECASE | re.ASCII,
        ),
    ),
    Detector(
        "iban",
        _ascii(
            r"(?<![^\W_])(?=([a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,30}))",
            any_case=True,
        ),
        _is_iban,
    ),
    Detector(
        "payment_card",
        _ascii(
            r"(?<![\w.,+])(?=((?:\d{4}(?:[ -]\d{4}){3}(?:[ -]?\d{3})?|\d{4}[ -]\d{6}[ -]\d{4,5}"
            r"|\d{12,19}))(?!\w|[.,]\d))"
        ),
        _is_card,
    ),
    Detector(
        "us_ssn",
        _ascii(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])"),
    ),
    Detector(
        "us_ssn",
        _ascii(
            r"\b(?:ssn|social security)\b[^\d\n]{0,16}"
            r"(?!000|666|9)\d{3} ?(?!00)\d\d ?(?!0000)\d{4}\b",
            any_case=True,
        ),
    ),
    Detector(
        "uk_nino",
        _ascii(
            r"\b(?!bg|gb|kn|nk|nt|tn|zz)[a-ceghj-prtw-z][a-ceghj-nprtw-z]"
            r" ?\d\d ?\d\d ?\d\d ?[a-d]\b",
            any_case=True,
        ),
    ),
    Detector(
        "de_tax_id",
        _ascii(r"(?<![\w.,])([1-9]\d ?\d{3} ?\d{3} ?\d{3})(?!\w|[.,]\d)"),
        is_german_tax_id,
    ),
    Detector(
        "es_dni",
        _ascii(r"\b((?:\d{8}|[XYZ]-?\d{7})-?[A-HJ-NP-TV-Z])\b"),
        is_spanish_id,
    ),
    Detector(
        "fr_nir",
        _ascii(r"\b([12] ?\d\d ?[0-9]\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d)\b"),
        is_french_id,
    ),
    Detector(
        "it_fiscal_code",
        _ascii(
            r"\b([a-z]{6}[0-9l-v]{2}[a-ehlmprst][0-9l-v]{2}[a-z][0-9l-v]{3}[a-z])\b", any_case=True
        ),
        is_italian_id,
    ),
    Detector("pl_pesel", _ascii(r"(?<![\w.,])(\d{11})(?!\w|[.,]\d)"), is_polish_id),
    Detector("ch_ahv", _ascii(r"\b(756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d)\b"), is_swiss_id),
    Detector(
        "in_aadhaar",
        _ascii(r"(?<![\w.,-])([2-9]\d{3}[ -]\d{4}[ -]\d{4})(?![\w-]| \d)"),
        is_indian_id,
    ),
    Detector("br_cpf", _ascii(r"\b(\d{3}\.\d{3}\.\d{3}-\d\d)\b"), is_brazilian_id),
    Detector(
        "se_personal_number",
        _ascii(r"(?<![\w-])((?:19|20)?\d{6}[-+]\d{4})(?![\w-])"),
        is_swedish_id,
    ),
    Detector("be_national_number", _ascii(r"\b(\d\d\.\d\d\.\d\d-\d{3}\.\d\d)\b"), is_belgian_id),
    Detector(
        "nl_bsn",
        _ascii(
            r"\b((?:bsn|burgerservicenummer)\b[^\d\n]{0,16}\d{3}[. ]?\d{3}[. ]?\d{3})\b",
            any_case=True,
        ),
        is_dutch_id,
    ),
    Detector(
        "ca_sin",
        _ascii(
            r"\b((?:sin|social insurance)\b[^\d\n]{0,16}\d{3}[ -]?\d{3}[ -]?\d{3})\b", any_case=True
        ),
        is_canadian_id,
    ),
    Detector(
        "ip_address",
        _ascii(
            r"(?<![\w.])((?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}"
            r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))(?!\w|\.\d)"
        ),
        _is_public_ipv4,
    ),
    Detector(
        "ip_address",
        _ascii(
            r"(?<![\w:.])([23][0-9a-f]{3}:(?:[0-9a-f]{0,4}:){1,7}[0-9a-f]{0,4})(?![\w:])",
            any_case=True,
        ),
        _is_public_ipv6,
    ),
    Detector("birth_date", re.compile(rf"\b{_BIRTH}[^\d\n]{{0,16}}?\b{_DATE}", re.IGNORECASE)),
)
"""Every detector, in the order in which findings name them; one name may have two forms."""
