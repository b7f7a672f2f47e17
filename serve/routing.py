"""Decides where a request may go: a pure function of rules, inputs and what is known of models.

The invariant stands below the rules: text above the cloud limit goes to no model whose place is
"cloud", and `restricted` text never does, whatever rules, callers and failures say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

from chunking.errors import ConfigurationError
from chunking.sensitivity import Sensitivity
from serve.context.route import Passed, RouteInputs
from serve.escalation import Thresholds
from serve.personal import choose_detectors
from serve.profile_entry import Place, unknown_name
from serve.profiles import ModelProfile
from serve.rules import REFUSE, ROUTE_WORDS, Rule, contradiction, holds, told

DEFAULT_RULE = "default"
"""The name in the record where no rule of the operator's holds."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator allows.

    Attributes:
        default: the model that answers where no rule holds.
        rules: the first that holds decides.
        local, cloud: models that the words stand for, in the order of their turn.
        cloud_limit: the highest label that may go to a cloud; `restricted` never does.
        thresholds: which answers are good enough, where a rule escalates.
        deadline_seconds: after that no further model is asked; None sets no bound.
    """

    default: str = "quote"
    rules: tuple[Rule, ...] = ()
    local: tuple[str, ...] = ()
    cloud: tuple[str, ...] = ()
    cloud_limit: Sensitivity = Sensitivity.INTERNAL
    thresholds: Thresholds = field(default_factory=Thresholds)
    deadline_seconds: float | None = None

    @property
    def looks_for_personal_data(self) -> bool:
        """Whether any rule asks for it."""
        return any(rule.personal_data is not None for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one model.

    Attributes:
        problem: the code of what kept it from answering this request; empty where nothing did.
    """

    place: Place
    approved: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Where a request may go, in order; nowhere where `models` is empty.

    Attributes:
        rule: the name of the rule that decided; None where the caller decided.
        reason: see `RouteRecord`.
        first: the model that would be the first if nothing spoke against any.
        passed: models that were chosen and may not, or could not, answer.
        escalate: where a local answer that is not good enough may go on to, in order.
    """

    rule: str | None
    reason: str
    models: tuple[str, ...]
    first: str | None = None
    passed: tuple[Passed, ...] = ()
    escalate: tuple[str, ...] = ()


def may_leave(label: Sensitivity, cloud_limit: Sensitivity) -> bool:
    """Return whether text of that label may go to a cloud."""
    return label <= cloud_limit and label < Sensitivity.RESTRICTED


@dataclass(frozen=True, slots=True)
class _Question:
    """Everything that a decision looks at."""

    policy: Policy
    inputs: RouteInputs
    standings: Mapping[str, Standing]


def decide(
    route: str, policy: Policy, inputs: RouteInputs, standings: Mapping[str, Standing]
) -> Decision:
    """Return where a request may go.

    Args:
        route: "auto", "local", "cloud" or a model.
        standings: every model there is, by name.
    """
    asked = _Question(policy, inputs, standings)
    if route != "auto":
        reason = f"route={route}" if route in ROUTE_WORDS else f"model={route}"
        return _decided(asked, (route,), reason)
    for rule in policy.rules:
        held = holds(rule, inputs, local=policy.local, cloud=policy.cloud)
        if held and _within(rule, asked):
            return _decided(asked, (rule.target, *rule.fallback), told(rule, inputs), rule=rule)
    return replace(_decided(asked, (policy.default,), "no rule holds"), rule=DEFAULT_RULE)


def _decided(
    asked: _Question, names: Sequence[str], reason: str, *, rule: Rule | None = None
) -> Decision:
    """Return the models of these names that may answer, and why the others may not."""
    against = {model: _against(model, rule, asked) for model in expand(names, asked.policy)}
    escalate = expand((rule.escalate,) if rule and rule.escalate else (), asked.policy)
    return Decision(
        rule=None if rule is None else rule.name,
        reason=reason,
        models=tuple(model for model, said in against.items() if said is None),
        first=next((model for model, said in against.items() if said != "unapproved"), None),
        passed=tuple(Passed(model, said) for model, said in against.items() if said is not None),
        escalate=tuple(model for model in escalate if _against(model, rule, asked) is None),
    )


def expand(names: Sequence[str], policy: Policy) -> tuple[str, ...]:
    """Return the models that words and names stand for, each once; "refuse" ends the list."""
    models: list[str] = []
    for name in names:
        if name == REFUSE:
            break
        models += {"local": policy.local, "cloud": policy.cloud}.get(name, (name,))
    return tuple(dict.fromkeys(models))


def _against(model: str, rule: Rule | None, asked: _Question) -> str | None:
    """Return what speaks against a model; None where nothing does."""
    standing = asked.standings.get(model)
    if standing is None or not standing.approved:
        return "unapproved"
    leaves = standing.place != "local"
    if leaves and not may_leave(asked.inputs.sensitivity, asked.policy.cloud_limit):
        return "sensitivity"
    if standing.problem:
        return standing.problem
    return None if rule is None else _over(model, rule, asked.inputs)


def _over(model: str, rule: Rule, inputs: RouteInputs) -> Literal["cost", "latency"] | None:
    """Return which limit of the rule a call of that model breaks; an unknown value breaks none."""
    cost, seconds = inputs.cost_usd.get(model), inputs.latency_seconds.get(model)
    if rule.cost_limit_usd is not None and cost is not None and Decimal(cost) > rule.cost_limit_usd:
        return "cost"
    limit = rule.latency_limit_seconds
    return "latency" if limit is not None and seconds is not None and seconds > limit else None


def _within(rule: Rule, asked: _Question) -> bool:
    """Return whether some target of a rule keeps its limits of cost and time."""
    targets = expand((rule.target,), asked.policy)
    return not targets or any(_over(name, rule, asked.inputs) is None for name in targets)


def make_policy(
    profiles: Mapping[str, ModelProfile],
    *,
    default: str,
    rules: Sequence[Rule] = (),
    local: Sequence[str] = (),
    cloud: Sequence[str] = (),
    cloud_limit: Sensitivity = Sensitivity.INTERNAL,
    thresholds: Thresholds | None = None,
    deadline_seconds: float | None = None,
) -> Policy:
    """Return the policy over these profiles, every name in it known.

    Where no models are named for a place, these are the default model, if it has that place, and
    after it all approved ones that are language models.

    Raises:
        ConfigurationError: a name is no model, a place's list names a model of the other one, two
            rules have one name, one can never hold, or a profile bears the name of a route.
    """
    for word in (*ROUTE_WORDS, REFUSE):
        if word in profiles:
            raise ConfigurationError(f"a profile cannot be called {word!r}: that is a route")
    named = [(f"rule {one.name!r}", name) for one in rules for name in one.names]
    named = [(where, name) for where, name in named if name not in {"local", "cloud"}]
    named += [("local_models", name) for name in local] + [("cloud_models", name) for name in cloud]
    for where, name in named:
        if name not in profiles:
            raise ConfigurationError(f"{where}: {unknown_name('model profile', name, profiles)}")
    for rule in rules:
        if against := contradiction(rule):
            raise ConfigurationError(f"rule {rule.name!r} never holds: {against}", param="rules")
        if isinstance(rule.personal_data, tuple):
            choose_detectors(rule.personal_data)
    titles = [rule.name for rule in rules]
    if twice := next((title for title in titles if titles.count(title) > 1), None):
        raise ConfigurationError(f"two rules are called {twice!r}", param="rules")
    return Policy(
        default=default,
        rules=tuple(rules),
        local=_of_place("local", local, profiles, default),
        cloud=_of_place("cloud", cloud, profiles, default),
        cloud_limit=cloud_limit,
        thresholds=thresholds or Thresholds(),
        deadline_seconds=deadline_seconds,
    )


def _of_place(
    place: Place, given: Sequence[str], profiles: Mapping[str, ModelProfile], default: str
) -> tuple[str, ...]:
    for name in given:
        if profiles[name].place != place:
            raise ConfigurationError(
                f"{place}_models names {name!r}, whose place is {profiles[name].place}"
            )
    if given:
        return tuple(given)
    usable = [
        name
        for name, profile in profiles.items()
        if profile.place == place
        and profile.review.status == "approved"
        and (profile.backend != "quote" or name == default)
    ]
    return tuple(sorted(usable, key=lambda name: name != default))
