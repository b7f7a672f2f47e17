from __future__ import annotations

from pathlib import Path

import pytest

from chunking.errors import InputError
from eval.arms import ModelArm, RouteArm, asked_arms, choose_arms, read_arms

LOCAL = ModelArm("local", "qwen2.5-1.5b-32k", "retrieve", 7000)
CLOUD = ModelArm("cloud", "gpt-6-luna", "full", stand_in="for another")
DECLARED = {"local": LOCAL, "cloud": CLOUD}


def test_an_arm_is_a_profile_a_mode_and_perhaps_a_budget_and_a_name() -> None:
    chosen = choose_arms("a=mistral-7b-8k:retrieve:7000, qwen2.5-1.5b-32k:full", {})

    assert chosen == (
        ModelArm("a", "mistral-7b-8k", "retrieve", 7000),
        ModelArm("qwen2.5-1.5b-32k-full", "qwen2.5-1.5b-32k", "full"),
    )


def test_a_route_goes_over_arms_that_are_listed_or_declared() -> None:
    chosen = choose_arms("local,r=self-route:local:cloud", DECLARED)

    assert chosen == (LOCAL, RouteArm("r", "local", "cloud"))
    assert asked_arms(chosen, DECLARED) == (LOCAL, CLOUD)


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("", "no arm"),
        ("charm", "charm"),
        ("locel", "did you mean 'local'|locel"),
        ("a:charm", "a:charm"),
        ("a:full:0x1", "a:full:0x1"),
        ("b=a:full:0", "'b=a:full:0': budget 0 < 1"),
        ("a:full:000", "budget 0 < 1"),
        ("local,local", "given twice"),
        ("self-route:local:absent", "absent"),
        ("r=self-route:local:cloud,self-route:local:r", "'r'"),
    ],
)
def test_an_arm_that_there_is_not_is_refused(stated: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        choose_arms(stated, DECLARED)


def test_arms_are_declared_as_tables(tmp_path: Path) -> None:
    path = tmp_path / "arms.toml"
    path.write_text(
        '[arms.local]\nmodel = "qwen2.5-1.5b-32k"\nmax_context_tokens = 7000\n'
        '[arms.cloud]\nmodel = "gpt-6-luna"\nmode = "full"\nstand_in = "for another"\n'
        '[arms.r]\nfirst = "local"\nsecond = "cloud"\ndoubts = ["abstained"]\n'
    )

    assert read_arms(path) == {**DECLARED, "r": RouteArm("r", "local", "cloud", ("abstained",))}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("arms = 5", "holds no arms"),
        ("[arms]\n[other]", "holds no arms, or more"),
        ("[arms", "no valid TOML|not valid TOML"),
        ('[arms.a]\nmodel = "x"\nbudget = 5', "arm 'a': budget"),
        ('[arms.a]\nmodel = "x"\nmode = "charm"', "arm 'a': mode"),
        ('[arms.a]\nmodel = "x"\nmax_context_tokens = 0', "arm 'a': max_context_tokens"),
        ('[arms.a]\nfirst = "x"', "arm 'a': second"),
        ('[arms.a]\nfirst = "x"\nsecond = "y"\ndoubts = ["luck"]', "arm 'a': doubts"),
        ('[arms."a b"]\nmodel = "x"', "a name has no space"),
        ("arms.a = 5", "arm 'a'"),
    ],
)
def test_a_file_that_declares_no_arms_is_refused_with_the_key(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "arms.toml"
    path.write_text(text)

    with pytest.raises(InputError, match=told):
        read_arms(path)
