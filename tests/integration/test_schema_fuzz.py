"""The service keeps the promises of its OpenAPI document, and the proof of it can fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI, Response
from pydantic import BaseModel

from scripts.prove import schema_fuzz


def test_five_hundred_cases_see_no_defect_and_nothing_undocumented(tmp_path: Path) -> None:
    tally = schema_fuzz.fuzz(500, seed=0, home=tmp_path)

    assert tally.cases >= 500
    assert tally.shown == []
    assert tally.server_errors() == 0


def test_the_cases_reach_every_operation_and_get_answers_as_well_as_refusals(
    tmp_path: Path,
) -> None:
    tally = schema_fuzz.fuzz(400, seed=1, home=tmp_path)

    answered = {name for name, status in tally.statuses if status in {200, 202}}
    # Few cases meet a job that failed, or quarantined, at the time when one is asked for again.
    seldom = {"POST /jobs/{job_id}/resume", "POST /jobs/{job_id}/retry"}
    assert answered | seldom == {name for name, _ in tally.statuses}
    assert {400, 404, 422} <= {status for _, status in tally.statuses}
    assert "POST /v1/chat/completions" in answered


class Promise(BaseModel):
    value: int


def lying(answer: Response) -> FastAPI:
    app = FastAPI()

    @app.get("/promise")
    async def get_promise(number: int = 0) -> Promise:
        del number
        return answer  # type: ignore[return-value]  # the lie

    return app


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (Response('{"value": 1}', media_type="text/plain"), "Undocumented Content-Type"),
        (Response('{"value": "x"}', media_type="application/json"), "Response violates schema"),
        (
            Response("{}", status_code=418, media_type="application/json"),
            "Undocumented status code",
        ),
        (Response("{}", status_code=500, media_type="application/json"), "Server error"),
    ],
)
def test_a_service_that_breaks_its_document_is_found_out(
    answer: Response, failure: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(schema_fuzz, "build_app", lambda _, home: lying(answer))

    tally = schema_fuzz.fuzz(10, seed=0, home=tmp_path)

    found = {title for _, title in tally.failures}
    assert any(title.startswith(failure) for title in found), found
    assert bool(tally.server_errors()) == (answer.status_code == 500)
