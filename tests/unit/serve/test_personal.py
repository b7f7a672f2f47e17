from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.errors import ConfigurationError
from serve.national_ids import passes_luhn
from serve.personal import add_counts, choose_detectors, find_personal
from serve.personal_patterns import DETECTORS

FOUND = [
    ("email", "write to jane.doe+x@mail.example.co.uk."),
    ("email", "müller@exämple.de"),
    ("phone_international", "ring +49 151 12345678 at noon"),
    ("phone_international", "+1 (202) 555-0143"),
    ("phone_international", "0044 20 7946 0958"),
    ("phone_north_american", "(202) 555-0143"),
    ("phone_national", "06 12 34 56 78"),
    ("phone_national", "(020) 7946 0958"),
    ("phone_in_context", "telephone: [1] (202) 483-6410"),
    ("phone_in_context", "tel. 555 0143 22"),
    ("iban", "to DE89 3704 0044 0532 0130 00 today"),
    ("iban", "gb82west12345698765432"),
    ("iban", "AA00 DE89370400440532013000 and more"),
    ("payment_card", "4111 1111 1111 1111"),
    ("payment_card", "3782 822463 10005"),
    ("payment_card", "5555-5555-5555-4444 exp. 12/27"),
    ("us_ssn", "123-45-6789"),
    ("us_ssn", "SSN: 123456789"),
    ("uk_nino", "AB 12 34 56 C"),
    ("de_tax_id", "Steuer-ID 86 095 742 719"),
    ("es_dni", "12345678Z"),
    ("es_dni", "X1234567L"),
    ("fr_nir", "2 55 08 14 168 025 38"),
    ("it_fiscal_code", "RSSMRA85T10A562S"),
    ("pl_pesel", "44051401359"),
    ("ch_ahv", "756.9217.0769.85"),
    ("in_aadhaar", "2341 2341 2346"),
    ("br_cpf", "529.982.247-25"),
    ("se_personal_number", "811218-9876"),
    ("be_national_number", "85.07.30-033.28"),
    ("nl_bsn", "BSN 111222333"),
    ("ca_sin", "SIN: 130 692 544"),
    ("ip_address", "from 93.184.216.34 port 22"),
    ("ip_address", "2606:2800:220:1:248:1893:25c8:1946"),
    ("ip_address", "2606:2800::1"),
    ("ip_address", "see 2606:2800::1: it is up"),
    ("ip_address", "2606:2800:220:1:248:1893:25c8:1946: it is up"),
    ("ip_address", "2606:2800::"),
    ("birth_date", "born 12 March 1971"),
    ("birth_date", "Date of birth: 03/12/1971"),
    ("birth_date", "geboren am 12.3.1971"),
    ("birth_date", "née le 3 août 1980"),
]
NOTHING = [
    "1,790 km",
    "version 1.2.3.4",
    "192.168.1.1 and 127.0.0.1",
    "see 2001:db8::1: it is reserved",
    "2606:2800::1::2 and 2606:2800:220:1:248:1893:25c8:1946:1",
    "std::vector<int> at 12:30:45",
    "000-12-3456, 666-12-3456 and 912-12-3456",
    "4111 1111 1111 1112",
    "9999 9999 9999 9995",
    "34 00 N, 64 00 E",
    "+12,500,000 in a year",
    "357 022 000 sq km",
    "2024-12-11",
    "01-02-2025 10:30",
    "$955.016 billion (2022 est.)",
    "123,456,789",
    "ISBN 0-306-40615-2",
    "total: 221359387",
    "DE88 3704 0044 0532 0130 00",
    "12345678A",
    "BG 12 34 56 C",
    "86 095 742 718",
]


@pytest.mark.parametrize(("name", "text"), FOUND)
def test_a_form_of_personal_data_is_found(name: str, text: str) -> None:
    assert find_personal(text).get(name) == 1


@given(st.text(alphabet="2001:db8abf.-+/ ()%", max_size=60) | st.text(max_size=60))
def test_any_text_can_be_searched(text: str) -> None:
    assert all(count > 0 for count in find_personal(text).values())


@pytest.mark.parametrize("text", NOTHING)
def test_what_only_looks_like_personal_data_is_not_found(text: str) -> None:
    assert find_personal(text) == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("email", "\uff4a\uff41\uff4e\uff45\uff20\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.com"),
        (
            "payment_card",
            "\u0664\u0661\u0661\u0661" + " \u0661\u0661\u0661\u0661" * 3,
        ),
        ("payment_card", "4111\u20091111\u00a01111\u202f1111"),
        ("us_ssn", "123\u201345\u20136789"),
        ("email", "ja\u200bne@exam\u00adple.com"),
    ],
)
def test_other_forms_of_characters_and_those_without_width_hide_nothing(
    name: str, text: str
) -> None:
    assert find_personal(text) == {name: 1}


def test_a_finding_names_detectors_and_counts_and_nothing_of_the_text() -> None:
    found = find_personal("a@example.com, b@example.com and 123-45-6789, SSN 219-09-8888")
    assert found == {"email": 2, "us_ssn": 2}


@given(st.text(alphabet=st.sampled_from("0123456789abDE@.,-+/: ()[]\n٣é"), max_size=300))
def test_any_text_gives_known_names_with_counts_above_zero(text: str) -> None:
    found = find_personal(text)
    assert found.keys() <= {one.name for one in DETECTORS}
    assert all(count > 0 for count in found.values())


@given(st.text(alphabet="0123456789", min_size=18, max_size=18), st.integers(0, 17))
def test_an_iban_is_found_and_with_one_wrong_digit_is_not(account: str, place: int) -> None:
    check = 98 - int(f"{account}131400") % 97
    assert find_personal(f"DE{check:02}{account}")["iban"] == 1
    wrong = str((int(account[place]) + 1) % 10)
    broken = f"{account[:place]}{wrong}{account[place + 1 :]}"
    assert "iban" not in find_personal(f"DE{check:02}{broken}")


@given(st.text(alphabet="0123456789", min_size=14, max_size=14), st.integers(0, 14))
def test_a_card_is_found_and_with_one_wrong_digit_is_not(body: str, place: int) -> None:
    number = f"4{body}"
    check = next(one for one in "0123456789" if passes_luhn(number + one))
    assert find_personal(number + check)["payment_card"] == 1
    wrong = str((int(number[place]) + 1) % 10)
    broken = number[:place] + wrong + number[place + 1 :]
    assert "payment_card" not in find_personal(broken + check)


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "1",
        "a@",
        "@a.",
        "+1 ",
        "DE89 ",
        "4111 ",
        "2000:1:",
        "tel (",
        "born ",
        "0 0",
        "\u0661",
        "\u0301",
    ],
)
def test_time_grows_with_the_text_alone(unit: str) -> None:
    def spent(size: int) -> float:
        text = (unit * size)[:size]
        started = time.process_time()
        find_personal(text)
        return time.process_time() - started

    small, large = spent(50_000), spent(400_000)
    assert large < 0.2 + 20 * small


def test_detectors_are_chosen_by_name() -> None:
    chosen = choose_detectors(["us_ssn", "email"])
    assert {one.name for one in chosen} == {"email", "us_ssn"}
    assert find_personal("a@example.com 4111111111111111", detectors=chosen) == {"email": 1}


def test_an_unknown_detector_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match="'emial'; did you mean 'email'") as raised:
        choose_detectors(["emial"])
    assert "payment_card" in raised.value.hint


def test_findings_add_up_by_detector() -> None:
    assert add_counts([{"email": 1}, {}, {"email": 2, "iban": 1}]) == {"email": 3, "iban": 1}
