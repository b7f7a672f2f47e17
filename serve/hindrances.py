"""Tells which models that requests may be routed to cannot answer as things stand; calls nobody.

Routing passes over such a model and says so in the record of each request. An operator should not
have to read those to learn that a rule has never done anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from chunking.errors import WindowfitError
from serve.backends.model_file import require_loadable
from serve.backends.opening import key_of
from serve.profiles import ModelProfile
from serve.review import require_approved
from serve.routing import Policy, expand


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What keeps a model, or all of a place, from answering.

    Attributes:
        model: the model, or the word of the place.
        told: what is wrong, in a sentence.
        hint: the way out.
    """

    model: str
    told: str
    hint: str


def find_hindrances(
    policy: Policy,
    profiles: Mapping[str, ModelProfile],
    secrets: Mapping[str, str],
    *,
    models_folder: Path,
) -> tuple[Hindrance, ...]:
    """Return what is wrong with the default model and with what rules and lists name.

    Args:
        secrets: where the keys of profiles are looked up.
        models_folder: where the files of models are looked for.
    """
    given = (name for rule in policy.rules for name in rule.names)
    named = tuple(dict.fromkeys((policy.default, *given)))
    found = [
        Hindrance(word, f"no model of the place {word} is approved", review_hint(word, profiles))
        for word in ("local", "cloud")
        if word in named and not expand((word,), policy)
    ]
    # A runtime that is built from parts need not hold the default model; a request then names one.
    models = [profiles[name] for name in expand(named, policy) if name in profiles]
    return (*found, *_of_models(models, secrets, models_folder), *_of_addresses(models))


def review_hint(place: str, profiles: Mapping[str, ModelProfile]) -> str:
    """Return how a model of that place is allowed, naming those that are not."""
    waiting = [
        name
        for name, one in profiles.items()
        if one.place == place and one.review.status != "approved"
    ]
    if not waiting:
        return f"write a profile whose place is {place}, and review it: `windowfit models review`"
    return (
        "`windowfit models review NAME --status approved --role ROLE` allows one of"
        f" {', '.join(waiting)}"
    )


def _of_models(
    models: Iterable[ModelProfile], secrets: Mapping[str, str], models_folder: Path
) -> Iterator[Hindrance]:
    for profile in models:
        try:
            require_approved(profile.name, profile.review)
            key_of(profile, secrets)
            if profile.model_file is not None:
                require_loadable(profile.model, models_folder / profile.model_file)
        except WindowfitError as error:
            yield Hindrance(profile.name, error.message, error.hint)


def _of_addresses(models: Iterable[ModelProfile]) -> Iterator[Hindrance]:
    """Yield local models that cannot run beside another one: a server of one's own serves one."""
    served: dict[str, ModelProfile] = {}
    for profile in models:
        if profile.place != "local" or profile.base_url is None:
            continue
        first = served.setdefault(profile.base_url, profile)
        if first.model != profile.model:
            yield Hindrance(
                profile.name,
                f"model {profile.name!r} has the address of {first.name!r}, which is another model",
                "start it on a port of its own, and set `base_url` in your profile file",
            )
