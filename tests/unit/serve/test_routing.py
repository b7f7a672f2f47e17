"""Decisions of routing: what holds whatever the rules, the inputs and the failures are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chunking.errors import ConfigurationError
from chunking.sensitivity import Sensitivity
from serve.context.route import Passed, RouteInputs, TaskType
from serve.profiles import ModelProfile, load_profiles
from serve.review import PENDING
from serve.routing import DEFAULT_RULE, Policy, Standing, decide, expand, make_policy, may_leave
from serve.rules import Rule, holds
from tests.serving import profile

LOCAL, CLOUD = ("near", "nearer"), ("far", "farther")
NAMES = (*LOCAL, *CLOUD, "strange")
STANDINGS = {
    **dict.fromkeys(LOCAL, Standing("local", approved=True)),
    **dict.fromkeys(CLOUD, Standing("cloud", approved=True)),
    "strange": Standing("cloud", approved=False),
}
POLICY = Policy(default="near", local=LOCAL, cloud=CLOUD)

labels = st.sampled_from(list(Sensitivity))
targets = st.sampled_from([*NAMES, "local", "cloud", "refuse"])
rules = st.builds(
    Rule,
    name=st.uuids().map(str),
    tasks=st.lists(st.sampled_from(get_args(TaskType)), max_size=2).map(tuple),
    sensitivity_at_least=st.none() | labels,
    sensitivity_at_most=st.none() | labels,
    personal_data=st.none() | st.booleans() | st.just(("email",)),
    window_above=st.none() | st.integers(0, 20_000),
    window_at_most=st.none() | st.integers(1, 20_000),
    cost_limit_usd=st.none() | st.decimals(0, 1, places=3),
    latency_limit_seconds=st.none() | st.floats(0.1, 60),
    local_available=st.none() | st.booleans(),
    cloud_available=st.none() | st.booleans(),
    target=targets,
    fallback=st.lists(targets, max_size=3).map(tuple),
    escalate=st.none() | targets,
)
inputs = st.builds(
    RouteInputs,
    task=st.sampled_from(get_args(TaskType)),
    request_sensitivity=labels,
    context_sensitivity=st.none() | labels,
    personal_data=st.none() | st.lists(st.sampled_from(["email", "iban"])).map(tuple),
    window_needed=st.none() | st.integers(1, 40_000),
    cost_usd=st.dictionaries(st.sampled_from(NAMES), st.decimals(0, 2, places=3).map(str)),
    latency_seconds=st.dictionaries(st.sampled_from(NAMES), st.none() | st.floats(0, 100)),
    unavailable=st.lists(st.sampled_from(NAMES)).map(tuple),
)
standings = st.fixed_dictionaries(
    {
        name: st.builds(
            Standing,
            place=st.just(one.place),
            approved=st.booleans(),
            problem=st.sampled_from(["", "", "upstream_timeout"]),
        )
        for name, one in STANDINGS.items()
    }
)
policies = st.builds(
    Policy,
    default=st.sampled_from(NAMES),
    rules=st.lists(rules, max_size=4).map(tuple),
    local=st.just(LOCAL),
    cloud=st.just(CLOUD),
    # Also a limit that no setting can spell: the invariant does not rest on the settings.
    cloud_limit=labels,
)
routes = st.sampled_from(["auto", "local", "cloud", *NAMES, "nonesuch"])


@given(routes, policies, inputs, standings)
def test_what_may_not_leave_goes_to_no_cloud(
    route: str, policy: Policy, given_inputs: RouteInputs, known: Mapping[str, Standing]
) -> None:
    decision = decide(route, policy, given_inputs, known)

    going = (*decision.models, *decision.escalate)
    if any(known[model].place == "cloud" for model in going):
        assert given_inputs.sensitivity is not Sensitivity.RESTRICTED
        assert given_inputs.sensitivity <= policy.cloud_limit


@given(routes, policies, inputs, standings)
def test_nothing_goes_to_a_model_that_is_unapproved_unknown_or_failed(
    route: str, policy: Policy, given_inputs: RouteInputs, known: Mapping[str, Standing]
) -> None:
    decision = decide(route, policy, given_inputs, known)

    for model in (*decision.models, *decision.escalate):
        assert known[model].approved
        assert not known[model].problem


@given(routes, policies, inputs, standings)
def test_every_model_that_was_chosen_goes_or_is_passed_with_a_reason(
    route: str, policy: Policy, given_inputs: RouteInputs, known: Mapping[str, Standing]
) -> None:
    decision = decide(route, policy, given_inputs, known)

    passed = [one.model for one in decision.passed]
    assert len({*decision.models, *passed}) == len(decision.models) + len(passed)
    assert all(one.reason for one in decision.passed)
    assert decide(route, policy, given_inputs, known) == decision


@given(policies, inputs, standings)
def test_the_first_rule_that_holds_decides(
    policy: Policy, given_inputs: RouteInputs, known: Mapping[str, Standing]
) -> None:
    decision = decide("auto", policy, given_inputs, known)

    before = []
    for rule in policy.rules:
        if rule.name == decision.rule:
            break
        before.append(rule)
    # A rule that was passed over holds no more than its limits allow.
    for rule in before:
        free = rule.model_copy(update={"cost_limit_usd": None, "latency_limit_seconds": None})
        if free == rule:
            assert not holds(rule, given_inputs, local=LOCAL, cloud=CLOUD)


@given(policies, inputs, standings, labels)
def test_a_higher_label_never_opens_a_cloud(
    policy: Policy, given_inputs: RouteInputs, known: Mapping[str, Standing], label: Sensitivity
) -> None:
    raised = replace(given_inputs, context_sensitivity=max(given_inputs.sensitivity, label))
    for route in ("cloud", *CLOUD):
        before = decide(route, policy, given_inputs, known).models
        after = decide(route, policy, raised, known).models
        assert set(after) <= set(before)


class TestRules:
    def decided(self, rule: Mapping[str, object], **known: object) -> tuple[str | None, str]:
        policy = replace(POLICY, rules=(Rule.model_validate({"name": "r", **rule}),))
        decision = decide("auto", policy, RouteInputs(**known), STANDINGS)  # type: ignore[arg-type]
        return next(iter(decision.models), None), decision.reason

    def test_restricted_text_stays_and_the_reason_says_so(self) -> None:
        found = self.decided(
            {"sensitivity_at_least": "restricted", "target": "local"},
            context_sensitivity=Sensitivity.RESTRICTED,
        )

        assert found == ("near", "sensitivity=restricted")

    def test_a_rule_for_the_cloud_does_not_carry_restricted_text_there(self) -> None:
        policy = replace(POLICY, rules=(Rule(name="all", target="cloud"),))

        decision = decide(
            "auto", policy, RouteInputs(request_sensitivity=Sensitivity.RESTRICTED), STANDINGS
        )

        assert decision.models == ()
        assert decision.passed == (Passed("far", "sensitivity"), Passed("farther", "sensitivity"))

    def test_without_a_rule_that_holds_the_default_answers(self) -> None:
        policy = replace(POLICY, rules=(Rule(name="code", tasks=("code",), target="cloud"),))

        decision = decide("auto", policy, RouteInputs(), STANDINGS)

        assert (decision.rule, decision.models) == (DEFAULT_RULE, ("near",))

    @pytest.mark.parametrize(
        ("rule", "known", "held"),
        [
            ({"tasks": ["code"]}, {"task": "code"}, True),
            ({"tasks": ["code"]}, {"task": "other"}, False),
            ({"sensitivity_at_most": "public"}, {}, False),
            ({"personal_data": True}, {"personal_data": ("iban",)}, True),
            ({"personal_data": True}, {"personal_data": ()}, False),
            ({"personal_data": False}, {"personal_data": ()}, True),
            ({"personal_data": False}, {}, False),
            ({"personal_data": ["iban"]}, {"personal_data": ("email",)}, False),
            ({"personal_data": ["iban"]}, {"personal_data": ("email", "iban")}, True),
            ({"window_above": 8192}, {"window_needed": 8193}, True),
            ({"window_above": 8192}, {"window_needed": 8192}, False),
            ({"window_above": 8192}, {}, False),
            ({"window_at_most": 8192}, {"window_needed": 8192}, True),
            ({"local_available": False}, {"unavailable": LOCAL}, True),
            ({"local_available": False}, {"unavailable": LOCAL[:1]}, False),
            ({"cost_limit_usd": "0.10"}, {"cost_usd": {"far": "0.10"}}, True),
            (
                {"cost_limit_usd": "0.10"},
                {"cost_usd": {"far": "0.11", "farther": "0.20"}},
                False,
            ),
            ({"latency_limit_seconds": 5}, {"latency_seconds": {"far": None}}, True),
            (
                {"latency_limit_seconds": 5},
                {"latency_seconds": {"far": 5.1, "farther": 9.0}},
                False,
            ),
        ],
    )
    def test_each_condition_holds_where_it_should(
        self, rule: dict[str, object], known: dict[str, object], *, held: bool
    ) -> None:
        model, _ = self.decided({**rule, "target": "cloud"}, **known)

        assert model == ("far" if held else "near")

    def test_a_target_over_the_limit_is_passed_for_the_next(self) -> None:
        policy = replace(
            POLICY, rules=(Rule(name="r", target="cloud", cost_limit_usd=Decimal("0.1")),)
        )

        decision = decide("auto", policy, RouteInputs(cost_usd={"far": "0.2"}), STANDINGS)

        assert decision.models == ("farther",)
        assert decision.passed == (Passed("far", "cost"),)

    def test_refuse_ends_the_list(self) -> None:
        assert expand(("near", "refuse", "cloud"), POLICY) == ("near",)

    @pytest.mark.parametrize(
        ("rule", "text"),
        [
            ({"name": "r"}, "target"),
            ({"name": "r", "target": "local", "task": ["code"]}, "did you mean 'tasks'?"),
            ({"name": "r", "target": "local", "tasks": ["sing"]}, "tasks"),
            ({"name": "r", "target": "local", "cost_limit_usd": -1}, "cost_limit_usd"),
        ],
    )
    def test_a_wrong_rule_is_told_by_its_key(self, rule: dict[str, object], text: str) -> None:
        with pytest.raises(ValidationError, match=text.replace("?", r"\?")):
            Rule.model_validate(rule)


class TestPolicies:
    PROFILES: Mapping[str, ModelProfile] = {
        "near": profile(name="near"),
        "far": profile(name="far", place="cloud"),
        "strange": profile(name="strange", place="cloud", review=PENDING),
    }

    def test_words_stand_for_the_approved_models_of_their_place_the_default_first(self) -> None:
        policy = make_policy(load_profiles(), default="smollm2-135m-8k")

        assert policy.local[0] == "smollm2-135m-8k"
        assert "quote" not in policy.local
        assert policy.cloud == ("gpt-6-luna",)
        assert make_policy(load_profiles(), default="quote").local[0] == "quote"

    @pytest.mark.parametrize(
        ("given_policy", "text"),
        [
            ({"rules": [Rule(name="r", target="nera")]}, "did you mean 'near'"),
            ({"rules": [Rule(name="r", target="near", fallback=("fra",))]}, "did you mean 'far'"),
            ({"local": ["far"]}, "whose place is cloud"),
            ({"cloud": ["cloud"]}, "unknown model profile 'cloud'"),
            ({"rules": [Rule(name="r", target="near")] * 2}, "two rules are called 'r'"),
        ],
    )
    def test_a_name_that_is_no_model_is_refused_at_the_start(
        self, given_policy: dict[str, object], text: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=text):
            make_policy(self.PROFILES, default="near", **given_policy)  # type: ignore[arg-type]

    def test_a_profile_cannot_bear_the_name_of_a_route(self) -> None:
        with pytest.raises(ConfigurationError, match="that is a route"):
            make_policy({**self.PROFILES, "auto": profile()}, default="near")


@pytest.mark.parametrize("limit", list(Sensitivity))
def test_no_limit_lets_restricted_text_leave(limit: Sensitivity) -> None:
    assert not may_leave(Sensitivity.RESTRICTED, limit)
    assert may_leave(Sensitivity.PUBLIC, limit)
