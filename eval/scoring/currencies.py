"""Money as answers spell it, each currency a kind of its own: signs, ISO 4217 codes and words."""

from __future__ import annotations

import re

# ISO 4217, those in use by countries; codes that are English words in capitals are left out.
_CODES = (
    "AED AFN AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN "
    "BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL "
    "GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF "
    "KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN "
    "MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD "
    "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TRY TTD TWD TZS UAH UGX "
    "USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW"
).split()
_DOLLARS = {"": "USD", "US": "USD", "A": "AUD", "AU": "AUD", "C": "CAD", "CA": "CAD", "CAN": "CAD"}
_DOLLARS |= {"HK": "HKD", "NZ": "NZD", "S": "SGD", "NT": "TWD", "R": "BRL", "MX": "MXN"}
_SIGNS = {"€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₽": "RUB", "₩": "KRW", "₪": "ILS"}
SIGN = rf"(?:(?-i:[A-Z]{{1,3}})?\$|[{''.join(_SIGNS)}]|(?-i:{'|'.join(_CODES)}))"
"""What stands before an amount; letters before a dollar sign make it another dollar."""
_WORDS = (
    "yen yuan renminbi baht dong naira kwacha birr rand ringgit rupiah taka zloty forint lira "
    "peso rupee franc krona krone rouble ruble dinar dirham riyal rial shekel shilling"
).split()
_NAMED = {"dollar": "USD", "euro": "EUR", "sterling": "GBP", "yen": "JPY"}
_WORD = re.compile(
    rf"\s{{0,3}}-?(?:(?P<sign>{SIGN})(?!\w)|(?P<of>(?-i:(?:[A-Z][a-z]+|US|U\.S\.)\s){{0,2}})"
    rf"(?P<name>dollar|euro|pounds?\ssterling|pound|{'|'.join(_WORDS)})s?(?!\w))",
    re.IGNORECASE,
)
_AMERICAN = frozenset({"", "us", "u.s.", "american", "united states"})


def currency_of(sign: str) -> str:
    """Return what a sign or code stands for, by its ISO 4217 code: "A$" is AUD."""
    if sign.endswith("$"):
        return _DOLLARS.get(sign[:-1].upper(), sign)
    return _SIGNS.get(sign, sign.upper())


def find_currency(text: str, place: int) -> tuple[str, int, bool] | None:
    """Return the currency that is spelled at a place, where it ends, and whether it may be none.

    Dollars are those of the United States unless another country stands before them; pounds may be
    a weight. None where there is none.
    """
    match = _WORD.match(text, place)
    if match is None:
        return None
    if match["sign"]:
        return currency_of(match["sign"]), match.end(), False
    name, of = match["name"].casefold(), match["of"].strip().casefold()
    if name == "pound" and of in {"", "british"}:
        return "GBP", match.end(), not of
    if name.endswith("sterling"):
        return "GBP", match.end(), False
    if (name == "dollar" and of not in _AMERICAN) or (of and name not in _NAMED):
        return f"{of} {name}", match.end(), False
    return _NAMED.get(name, name), match.end(), False
