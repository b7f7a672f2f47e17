"""Checks arms against profiles, keys, prices and windows before anything is paid."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

from chunking.errors import InputError
from eval.arms import Arm, ModelArm, RouteArm
from eval.cells import AskedQuestion
from eval.comparison import ArmFacts
from serve.cost import price_at_most
from serve.escalation import Thresholds
from serve.profiles import ModelProfile, find_profile
from serve.review import require_approved
from serve.runtime import Runtime


def check_arm(arm: ModelArm, runtime: Runtime) -> ModelProfile:
    """Return the profile of an arm that can be asked; no server is called.

    Raises:
        ModelNotFound: the profile does not exist.
        ModelUnapproved: its model has no approved review.
        ConfigurationError: its key is not set, its price is not known, or a package is missing.
        InputError: the budget, or the room for the answer, is more than the window has.
    """
    profile = find_profile(runtime.profiles, arm.profile)
    require_approved(profile.name, profile.review)
    output = arm.max_output_tokens or profile.default_output
    if output > profile.output_limit:
        raise InputError(
            f"arm {arm.name!r}: {output} answer tokens, and {profile.name} writes at most "
            f"{profile.output_limit}",
            hint=f"give max_output_tokens = {profile.output_limit} or less",
            param="arms",
        )
    left = profile.prompt_limit(output)
    if arm.budget is not None and arm.budget > left:
        raise InputError(
            f"arm {arm.name!r}: budget {arm.budget} > {left}, which the window {profile.window} of "
            f"{profile.name} has beside {output} answer tokens",
            hint=f"give a budget of at most {max(left, 0)}, or none",
            param="arms",
        )
    price_at_most(profile, 1, 1)
    runtime.backend(profile)
    return profile


def check_oracles(
    arms: Iterable[ModelArm], asked: Sequence[AskedQuestion], known: Collection[str]
) -> None:
    """Refuse an oracle that would be asked a question whose documents cannot be given to it.

    Args:
        known: the documents of the collection.

    Raises:
        InputError: names the arm, how many such questions there are, and the first.
    """
    oracle = next((arm for arm in arms if arm.oracle), None)
    if oracle is None:
        return
    told = f"arm {oracle.name!r} reads the documents that a question is about, and"
    nameless = [question.id for question in asked if not question.documents]
    if nameless:
        raise InputError(
            f"{told} {len(nameless)} of {len(asked)} questions name none, such as {nameless[0]!r}",
            hint="give them evidence, or near where nothing answers, or set oracle = false",
            param="arms",
        )
    absent = [(one.id, name) for one in asked for name in one.documents if name not in known]
    if absent:
        question, name = absent[0]
        nearest = get_close_matches(name, list(known), n=1)
        raise InputError(
            f"{told} the collection lacks {len({name for _, name in absent})} of them, such as"
            f" {name!r} of {question!r}" + (f", did you mean {nearest[0]!r}?" if nearest else ""),
            hint="ask about the collection that the questions were made of",
            param="arms",
        )


def describe_arms(
    arms: Sequence[Arm],
    parts: Mapping[str, ModelArm],
    profiles: Mapping[str, ModelProfile],
    *,
    thresholds: Thresholds,
) -> tuple[ArmFacts, ...]:
    """Return the facts of arms that were checked.

    Args:
        parts: every arm that is asked, by name.
        thresholds: by which a service with the same settings escalates.

    Raises:
        InputError: a route decides as a service, and its first arm is in the cloud.
    """
    described = {name: _describe(arm, profiles[arm.profile]) for name, arm in parts.items()}
    return tuple(
        _describe_route(arm, described, thresholds)
        if isinstance(arm, RouteArm)
        else described[arm.name]
        for arm in arms
    )


def _describe(arm: ModelArm, profile: ModelProfile) -> ArmFacts:
    return ArmFacts(
        name=arm.name,
        profile=profile.name,
        model=profile.model,
        place=profile.place,
        window=profile.window,
        mode=arm.mode,
        budget=arm.budget,
        reserved_output=min(arm.max_output_tokens or profile.default_output, profile.output_limit),
        stand_in=arm.stand_in,
        oracle=arm.oracle,
    )


def _describe_route(
    route: RouteArm, described: Mapping[str, ArmFacts], thresholds: Thresholds
) -> ArmFacts:
    first, second = described[route.first], described[route.second]
    if "policy" in route.doubts and first.place != "local":
        raise InputError(
            f"arm {route.name!r}: a service escalates from a local model alone, and {first.name!r} "
            "is in the cloud",
            hint="begin with a local arm, or give doubts other than policy in --arms-file",
            param="arms",
        )
    stand_ins = dict.fromkeys(filter(None, (first.stand_in, second.stand_in)))
    return ArmFacts(
        name=route.name,
        profile=first.profile,
        model=first.model,
        place="cloud" if "cloud" in {first.place, second.place} else "local",
        window=first.window,
        mode=first.mode,
        budget=first.budget,
        reserved_output=first.reserved_output,
        kind="self-route",
        stand_in="; ".join(stand_ins),
        oracle=first.oracle or second.oracle,
        route=(route.first, route.second),
        doubts=route.doubts,
        thresholds=thresholds if "policy" in route.doubts else None,
    )
