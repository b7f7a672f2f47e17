"""The routes that call no model: kept requests, models, health."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from chunking.errors import ModelNotFound, WindowfitError
from retrieval.places import collection_names
from serve.facts import Health, ModelCard, ModelList
from serve.fields import may_be_named
from serve.kept_schema import KeptReceipt
from serve.problems import documented
from serve.replay import ReplayResponse, find_kept, receipt_of, replay
from serve.review import require_approved
from serve.runtime import Runtime
from serve.schema import as_json
from serve.settings import ServeSettings


def add_requests(app: FastAPI, runtime: Runtime) -> None:
    """Add the routes of the kept requests."""

    @app.get(
        "/requests/{request_id}",
        response_model=KeptReceipt,
        responses=documented(404, 503),
        tags=["requests"],
    )
    async def get_request(request_id: str) -> Response:
        """Return the receipt of a request once more."""
        kept = await asyncio.to_thread(find_kept, request_id, runtime)
        fields = {"request_id": kept.id, "kind": kept.kind, "created_at": kept.created_at}
        receipt = await asyncio.to_thread(receipt_of, kept, runtime)
        return JSONResponse(as_json({**fields, **receipt}))

    @app.get(
        "/requests/{request_id}/prompt", responses=documented(404, 409, 503), tags=["requests"]
    )
    async def get_prompt(request_id: str) -> ReplayResponse:
        """Rebuild the prompt of a request from the corpus as it is now, and compare it."""
        kept = await asyncio.to_thread(find_kept, request_id, runtime)
        return ReplayResponse.of(await asyncio.to_thread(replay, kept, runtime))


def add_facts(app: FastAPI, runtime: Runtime, settings: ServeSettings) -> None:
    """Add models and health."""

    def cards() -> list[ModelCard]:
        cards = []
        for collection in (None, *collection_names(runtime.engine)):
            for name, profile in runtime.profiles.items():
                if not may_be_named(name, settings):
                    continue
                reranker = runtime.rerankers.choose(profile.reranker)
                cards.append(ModelCard.of(profile, collection=collection, reranker=reranker))
            if runtime.policy.rules and may_be_named("auto", settings):
                default = runtime.profiles[settings.model]
                cards.append(ModelCard.of_rules(default, collection=collection))
        return cards

    @app.get("/v1/models", responses=documented(503), tags=["openai"])
    async def get_models() -> ModelList:
        """List what `model` may name: profiles, and each with each collection."""
        return ModelList(data=tuple(await asyncio.to_thread(cards)))

    @app.get("/v1/models/{model:path}", responses=documented(404, 503), tags=["openai"])
    async def get_model(model: str) -> ModelCard:
        """Return one model of the list."""
        for card in await asyncio.to_thread(cards):
            if card.id == model:
                return card
        raise ModelNotFound(f"no model {model!r}", param="model")

    @app.get("/livez", tags=["health"])
    async def get_livez() -> Health:
        """Say that the process runs."""
        return Health(status="ok")

    @app.get("/readyz", tags=["health"], responses={503: {"model": Health}})
    async def get_readyz(response: Response) -> Health:
        """Say whether the default collection can be searched and its model's tokens counted."""
        problems = await asyncio.to_thread(_unready, runtime, settings)
        if problems:
            response.status_code = 503
        # Told, and stopping no answer: what cannot be kept, rerankers without weights.
        keepers = (runtime.requests, runtime.ledger)
        kept = (keeper.problem for keeper in keepers if keeper is not None)
        told = (*problems, *runtime.rerankers.problems, *filter(None, kept))
        return Health(status="unavailable" if problems else "ok", problems=told)


def _unready(runtime: Runtime, settings: ServeSettings) -> tuple[str, ...]:
    try:
        runtime.searcher(settings.collection).index.stored_chunk_count()
        default = runtime.profiles[settings.model]
        require_approved(default.name, default.review)
        runtime.counter(default)
    except WindowfitError as error:
        return (f"{error.code}: {error.message}",)
    return ()
