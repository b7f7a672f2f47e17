"""What the service says of itself: models, health and errors, as they go over the wire."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Literal, Self

from pydantic import BaseModel

from retrieval.rerank import Reranker
from serve.profiles import ModelProfile
from serve.review import ReviewStatus


class ModelCard(BaseModel):
    """A profile in OpenAI's model format, with the facts that budgets are made of."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    description: str
    window: int
    output_limit: int
    default_output: int
    tokenizer: str
    place: Literal["local", "cloud"]
    licence: str
    review: ReviewStatus
    collection: str | None = None
    reranker: str | None = None

    @classmethod
    def of(
        cls,
        profile: ModelProfile,
        *,
        collection: str | None = None,
        reranker: Reranker | None = None,
    ) -> Self:
        """Return the card of a profile, or of a profile with a collection to answer from."""
        reviewed = datetime.combine(profile.reviewed, time(), tzinfo=UTC)
        return cls(
            id=profile.name if collection is None else f"{collection}/{profile.name}",
            collection=collection,
            created=int(reviewed.timestamp()),
            owned_by="windowfit",
            description=profile.description,
            window=profile.window,
            output_limit=profile.output_limit,
            default_output=profile.default_output,
            tokenizer=profile.tokenizer,
            place=profile.place,
            licence=profile.licence,
            review=profile.review.status,
            reranker=None if reranker is None else reranker.name,
        )

    @classmethod
    def of_rules(cls, default: ModelProfile, *, collection: str | None = None) -> Self:
        """Return the card of `auto`, with the facts of the model that answers where no rule holds.

        Which model answers is decided for every request, so these are no promise.
        """
        card = cls.of(default, collection=collection)
        auto = "auto" if collection is None else f"{collection}/auto"
        told = f"Chosen by the rules for each request; {default.name} where none holds."
        return card.model_copy(update={"id": auto, "description": told})


class ModelList(BaseModel):
    """All profiles, and each with each collection."""

    object: Literal["list"] = "list"
    data: tuple[ModelCard, ...]


class OpenAIError(BaseModel):
    """The error as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    code: str


class Problem(BaseModel):
    """One error body for both worlds: RFC 9457 and OpenAI's `error`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    retryable: bool
    request_id: str
    error: OpenAIError


class Health(BaseModel):
    """Whether the service is up, or what keeps it from being ready."""

    status: Literal["ok", "unavailable"]
    problems: tuple[str, ...] = ()
