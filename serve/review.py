"""Reviews of models: who allowed a profile to be used, when, and what of it was looked at.

A model without an approved review is never routed to, and is refused where a request names it.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serve.errors import ModelUnapproved

ReviewStatus = Literal["approved", "pending", "blocked"]

REVIEWED_FACTS = ("backend", "model", "place", "licence", "model_file")
"""What a review is about: a file that changes one of them takes the built-in review away."""

ROLE_LIMIT = 128
"""Most characters of the role that decides."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Where the weights come from.

    Attributes:
        source: address or package.
        revision: the pinned revision; empty where none is pinned.
        sha256: of the one file of weights; empty where there are several or none is pinned.
    """

    source: str
    revision: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class ReviewedFacts:
    """What a review was about: the facts of the profile on that day."""

    backend: str
    model: str
    place: str
    licence: str
    base_url: str | None = None
    model_file: str | None = None


@dataclass(frozen=True, slots=True)
class ModelReview:
    """What was decided about a model, by which role, and on what grounds.

    Attributes:
        role: the role that decided, such as "legal"; never a person's name.
        date: the day of the decision; None where nothing was decided.
        restrictions: what the licence forbids or asks for.
        region: where text is processed.
        data_terms: what becomes of the text that is sent.
        terms_source: where region and data terms were read.
        weights: None where nobody outside of the provider has them.
        note: anything else that the role wants remembered.
        about: what it was about; None where that was not written down.
        changed: facts that are others now, so that the review is in force no more.
    """

    status: ReviewStatus = "pending"
    role: str = ""
    date: datetime.date | None = None
    restrictions: str = ""
    region: str = ""
    data_terms: str = ""
    terms_source: str = ""
    weights: Weights | None = None
    note: str = ""
    about: ReviewedFacts | None = None
    changed: tuple[str, ...] = ()


PENDING = ModelReview()
"""Nobody has reviewed the model."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WeightsEntry(_Table):
    """The TOML form of `Weights`."""

    source: str = Field(min_length=1)
    revision: str = ""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")


class ReviewedFactsEntry(_Table):
    """The TOML form of `ReviewedFacts`."""

    backend: str = Field(min_length=1)
    model: str = Field(min_length=1)
    place: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    base_url: str | None = None
    model_file: str | None = None


class ReviewEntry(_Table):
    """The TOML form of `ModelReview`; what is decided names its role and its day."""

    status: ReviewStatus
    role: str = Field(min_length=1, max_length=ROLE_LIMIT)
    date: datetime.date
    restrictions: str = ""
    region: str = ""
    data_terms: str = ""
    terms_source: str = ""
    weights: WeightsEntry | None = None
    note: str = ""
    about: ReviewedFactsEntry | None = None

    def review(self) -> ModelReview:
        """Return the review."""
        values: dict[str, Any] = {name: getattr(self, name) for name in ReviewEntry.model_fields}
        if self.weights is not None:
            values["weights"] = Weights(**self.weights.model_dump())
        if self.about is not None:
            values["about"] = ReviewedFacts(**self.about.model_dump())
        return ModelReview(**values)


def laid_over(
    review: Mapping[str, Any] | None, override: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the review of a profile that a user's table changes.

    The table's own review goes over what is known of the model. Without one the given review
    stays, unless the table changes what that was about.

    Args:
        review: the review of the profile before.
        override: the user's whole table.
    """
    about = set(REVIEWED_FACTS)
    if review is not None and override.get("base_url") is not None:
        # The terms of a provider are those of its own address.
        about |= {"base_url"} if review.get("terms_source") else set()
    kept = None if about & override.keys() else review
    given = override.get("review")
    if given is None:
        return kept
    return {**(kept or {}), **given} if isinstance(given, Mapping) else given


def in_force(review: ModelReview, now: ReviewedFacts) -> ModelReview:
    """Return the review as it holds for a profile with these facts.

    An approval of something else is pending; what is blocked stays blocked. A review that does not
    say what it was about holds: whoever wrote it by hand answers for it.
    """
    before = review.about
    if before is None or review.status == "blocked":
        return review
    changed = tuple(
        one.name for one in fields(now) if getattr(now, one.name) != getattr(before, one.name)
    )
    return replace(review, status="pending", changed=changed) if changed else review


def require_approved(name: str, review: ModelReview) -> None:
    """Raise ModelUnapproved unless the model of that profile may be used."""
    if review.status == "approved":
        return
    decided = f" by {review.role} on {review.date}" if review.date else ": nobody has reviewed it"
    if review.changed:
        changed = " and ".join(review.changed)
        have = "has" if len(review.changed) == 1 else "have"
        since = f"since {review.role} reviewed it on {review.date}"
        decided = f": its {changed} {have} changed {since}"
    raise ModelUnapproved(
        f"model {name!r} is {review.status}{decided}",
        hint=f"`windowfit models list` shows its licence and terms; `windowfit models review {name}"
        " --status approved --role ROLE` allows it",
        param="model",
    )
