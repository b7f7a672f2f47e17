"""Arms as users declare them: in a TOML file, or in short as PROFILE:MODE[:BUDGET]."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from chunking.errors import InputError
from eval.datasets import read_text
from serve.plan import Mode
from serve.profile_entry import unknown_name

Doubt = Literal["policy", "error", "insufficient_evidence", "abstained", "ungrounded"]
USUAL_DOUBTS: tuple[Doubt, ...] = ("policy", "error")
"""What sends a question of a service on: its policy, and that no answer came."""
_MODES = "|".join(get_args(Mode))
_NAME = r"[^\s,=:<>\[\]]+"
_ROUTE = re.compile(rf"(?:(?P<name>{_NAME})=)?self-route:(?P<first>{_NAME}):(?P<second>{_NAME})")
_MODEL = re.compile(
    rf"(?:(?P<name>{_NAME})=)?(?P<profile>[^\s,=]+?):(?P<mode>{_MODES})(?::(?P<budget>[0-9]{{1,9}}))?"
)
_Limit = Annotated[int, Field(ge=1, le=100_000_000)]
_Word = Annotated[str, StringConstraints(pattern=rf"^{_NAME}$")]


@dataclass(frozen=True, slots=True)
class ModelArm:
    """Asks one profile; what is not given follows the profile. See `ArmFacts`.

    Attributes:
        oracle: whether it reads only the documents that a question is about, as the question's
            file names them, so that nothing has to be found.
    """

    name: str
    profile: str
    mode: Mode
    budget: int | None = None
    max_output_tokens: int | None = None
    stand_in: str = ""
    oracle: bool = False


@dataclass(frozen=True, slots=True)
class RouteArm:
    """Asks the first arm, and the second where one of the doubts holds of the answer."""

    name: str
    first: str
    second: str
    doubts: tuple[Doubt, ...] = USUAL_DOUBTS


Arm = ModelArm | RouteArm


class _ModelEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    model: str
    mode: Mode = "retrieve"
    max_context_tokens: _Limit | None = None
    max_output_tokens: _Limit | None = None
    stand_in: str = ""
    oracle: bool = False


class _RouteEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    first: _Word
    second: _Word
    doubts: Annotated[tuple[Doubt, ...], Field(min_length=1)] = USUAL_DOUBTS


def read_arms(path: Path) -> dict[str, Arm]:
    """Return the arms of a TOML file by name: tables `[arms.NAME]`.

    Raises:
        InputError: the file is no such file; names the arm and the key.
    """
    try:
        tables = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}", param="arms_file") from error
    entries = tables.pop("arms", {})
    if tables or not isinstance(entries, dict) or not entries:
        hint = "write each arm as a table [arms.NAME]"
        raise InputError(f"{path} holds no arms, or more than arms", hint=hint, param="arms_file")
    return {name: _entry(name, entry, origin=path.name) for name, entry in entries.items()}


def choose_arms(stated: str, declared: Mapping[str, Arm]) -> tuple[Arm, ...]:
    """Return the arms of a list like "local,cloud=gpt:full,self-route:local:cloud", in its order.

    Args:
        declared: what a name in the list may stand for, as `read_arms` returns it.

    Raises:
        InputError: an arm is unknown or given twice, or there is none.
    """
    known: dict[str, Arm] = {}
    for part in filter(None, map(str.strip, stated.split(","))):
        arm = declared.get(part) or _parse(part, declared)
        if arm.name in known:
            raise InputError(f"arm {arm.name!r} is given twice", param="arms")
        known[arm.name] = arm
    if not known:
        hint = "give arms as --arms local=mistral-7b-8k:retrieve:7000,cloud=gpt-6-luna:full"
        raise InputError("no arm is given", hint=hint, param="arms")
    everything = {**declared, **known}
    for arm in known.values():
        for part in _parts(arm):
            if not isinstance(everything.get(part), ModelArm):
                raise InputError(
                    f"arm {arm.name!r}: {unknown_name('arm', part, _models(everything))}",
                    hint="a route goes over two arms that ask a model",
                    param="arms",
                )
    return tuple(known.values())


def asked_arms(arms: Sequence[Arm], declared: Mapping[str, Arm]) -> tuple[ModelArm, ...]:
    """Return the arms that ask a model, those first that are only parts of a route last."""
    listed = {arm.name: arm for arm in arms}
    everything = {**declared, **listed}
    parts = [everything[part] for arm in arms for part in _parts(arm)]
    wanted = {arm.name: arm for arm in (*arms, *parts) if isinstance(arm, ModelArm)}
    return tuple(wanted.values())


def _parts(arm: Arm) -> tuple[str, ...]:
    return (arm.first, arm.second) if isinstance(arm, RouteArm) else ()


def _models(arms: Mapping[str, Arm]) -> list[str]:
    return [name for name, arm in arms.items() if isinstance(arm, ModelArm)]


def _parse(part: str, declared: Mapping[str, Arm]) -> Arm:
    if match := _ROUTE.fullmatch(part):
        return RouteArm(match["name"] or "self-route", match["first"], match["second"])
    if match := _MODEL.fullmatch(part):
        mode: Any = match["mode"]
        budget = int(match["budget"]) if match["budget"] else None
        if budget == 0:
            hint = "give a budget of at least 1, or none"
            raise InputError(f"arm {part!r}: budget 0 < 1", hint=hint, param="arms")
        name = match["name"] or part.replace(":", "-")
        return ModelArm(name, match["profile"], mode, budget)
    told = unknown_name("arm", part, declared) if declared else f"unknown arm {part!r}"
    raise InputError(
        told,
        hint="declare it in --arms-file, or write [NAME=]PROFILE:MODE[:BUDGET] "
        f"with a mode of {_MODES}, or [NAME=]self-route:FIRST:SECOND",
        param="arms",
    )


def _entry(name: str, entry: object, *, origin: str) -> Arm:
    where = f"{origin}: arm {name!r}"
    if not re.fullmatch(_NAME, name):
        raise InputError(
            f"{where}: a name has no space and none of , : = < > [ ]", param="arms_file"
        )
    route = isinstance(entry, dict) and bool({"first", "second"} & entry.keys())
    try:
        if route:
            parsed = _RouteEntry.model_validate(entry)
            return RouteArm(name, parsed.first, parsed.second, parsed.doubts)
        given = _ModelEntry.model_validate(entry)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"])) or "the table"
        raise InputError(f"{where}: {place}: {problem['msg']}", param="arms_file") from None
    return ModelArm(
        name,
        given.model,
        given.mode,
        budget=given.max_context_tokens,
        max_output_tokens=given.max_output_tokens,
        stand_in=given.stand_in,
        oracle=given.oracle,
    )
