"""Asks a model the planned cases; every answer is kept at once, so a run can stop anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from chunking.counters import well_formed
from chunking.document import content_id
from chunking.errors import ConfigurationError, InputError, StoreLocked
from eval.shared_calls import SharedCalls
from eval.window.cases import WindowCase
from eval.written import owned
from serve.answer import check_upstream
from serve.backends.protocol import Completion, CompletionRequest
from serve.call_record import CallRecord
from serve.ledger import Ledger
from serve.profiles import ModelProfile


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a model gave for one prompt.

    Attributes:
        key: of everything the answer depends on: prompt, room for the answer, model and server.
        prompt_tokens: as the server counted them; None where it did not say.
    """

    key: str
    text: str
    prompt_tokens: int | None
    output_tokens: int


class Completing(Protocol):
    """What asking needs of a backend."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the answer to a planned prompt."""


class AnswerFile:
    """The answers of a run as JSON lines, appended one by one; a line that was cut short is none.

    Attributes:
        path: the file; made when it is held, and only its owner may read it.
    """

    def __init__(self, path: Path) -> None:
        """Read what is kept.

        Raises:
            InputError: the file cannot be read, or holds something else than answers.
        """
        self.path = path
        self._kept = {one.key: one for one in _read(path)}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> KeptAnswer | None:
        """Return the answer under a key."""
        return self._kept.get(key)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keep other runs out of the file: they would make the same calls.

        What another run has added since is read first.

        Raises:
            StoreLocked: another run holds it.
            ConfigurationError: it cannot be written.
        """
        with self._open() as stream:
            try:
                # The system drops a `flock` with its process, however that ends: no stale locks.
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StoreLocked(
                    f"{self.path} is held by another run",
                    hint="wait until it has ended, or give another file with --answers",
                ) from error
            self._kept = {one.key: one for one in _read(self.path)}
            yield

    def add(self, answer: KeptAnswer) -> None:
        """Keep an answer; when this returns it is on the disk.

        Raises:
            ConfigurationError: it cannot be written.
        """
        line = json.dumps(asdict(answer), ensure_ascii=False)
        try:
            with self._open() as stream:
                # On a line of its own also where the line before was cut short by a kill.
                stream.write(f"\n{line}\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise self._refusal(error) from error
        self._kept[answer.key] = answer

    def _open(self) -> TextIO:
        try:
            return open(self.path, "a", encoding="utf-8", opener=owned)
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"cannot keep answers in {self.path}: {error.strerror}",
            hint="free space on the disk, or give another file with --answers",
            param="answers",
        )


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    key: str
    text: str
    prompt_tokens: int | None
    output_tokens: int


def key_of(case: WindowCase, profile: ModelProfile) -> str:
    """Return the key of what a case's answer depends on."""
    messages = [[message.role, message.content] for message in case.messages]
    return content_id(
        json.dumps(messages),
        str(case.plan.budget.reserved_output),
        profile.backend,
        profile.model,
        str(profile.base_url or profile.model_file),
        str(profile.temperature),
    )


async def ask_cases(
    cases: Iterator[WindowCase],
    *,
    profile: ModelProfile,
    backend: Completing,
    kept: AnswerFile,
    parallel: int = 1,
    ledger: Ledger | None = None,
) -> AsyncGenerator[tuple[WindowCase, KeptAnswer]]:
    """Yield every case with its answer, from what is kept or by a call, as answers come.

    At most `parallel` cases are held at a time. An answer is kept before it is yielded. Cases with
    one prompt share one call, and every call has its row in the ledger.

    Raises:
        WindowfitError: a call failed; what came before is kept, and the same run goes on there.
    """
    asking = _Asking(profile, backend, kept, ledger)
    running: set[asyncio.Task[tuple[WindowCase, KeptAnswer]]] = set()
    try:
        while True:
            for case in islice(cases, parallel - len(running)):
                running.add(asyncio.create_task(asking.ask(case)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Asking:
    profile: ModelProfile
    backend: Completing
    kept: AnswerFile
    ledger: Ledger | None
    shared: SharedCalls[KeptAnswer] = field(default_factory=SharedCalls)

    async def ask(self, case: WindowCase) -> tuple[WindowCase, KeptAnswer]:
        key = key_of(case, self.profile)
        answer = self.kept.get(key)
        if answer is None:
            answer = await self.shared.join(key, partial(self._call, case, key))
        return case, answer

    async def _call(self, case: WindowCase, key: str) -> KeptAnswer:
        async with CallRecord(self.ledger, self.profile) as record:
            record.plan(case.plan)
            await record.send()
            given = await self.backend.complete(_request(case))
            completion = replace(given, planned_tokens=case.prompt_tokens)
            record.complete(completion)
            check_upstream(case.plan, completion)
        answer = KeptAnswer(
            # A server may send half of a surrogate pair; no file holds that.
            key,
            well_formed(completion.text),
            completion.prompt_tokens,
            completion.output_tokens,
        )
        self.kept.add(answer)
        return answer


def _request(case: WindowCase) -> CompletionRequest:
    return CompletionRequest(
        messages=case.messages,
        max_output_tokens=case.plan.budget.reserved_output,
        question=case.question.question,
        sources=case.sources,
        sensitivity=case.plan.ask.label,
    )


def _read(path: Path) -> Iterable[KeptAnswer]:
    if not path.exists():
        return
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read answers from {path}", param="answers") from error
    for number, line in enumerate(lines, start=1):
        try:
            parsed = json.loads(line) if line.strip() else None
        except ValueError:
            continue  # cut short by a kill
        if parsed is not None:
            try:
                yield KeptAnswer(**_Line.model_validate(parsed).model_dump())
            except ValidationError as error:
                raise InputError(
                    f"{path.name}:{number} is no kept answer",
                    hint="give a file of an earlier run, or a new one",
                    param="answers",
                ) from error
