"""Says how sensitive the documents of a source are, by their names alone; nothing is read.

A document has the highest label that anything states of it: the run, the document itself, or the
first rule that matches it. So nothing that is stated can lower what something else states. Where
nothing states a label, the configured default holds, and what a collection holds already is not
lowered: a run that forgets to say what an earlier one said leaves labels as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from chunking.errors import ConfigurationError
from chunking.sensitivity import UNLABELLED, Sensitivity, highest
from ingest.sources import glob_pattern
from ingest.texts import SourceFile
from retrieval.settings import IndexSettings


@dataclass(frozen=True, slots=True)
class Rule:
    """What a glob matches has at least a label.

    The glob is held against the name of a document, against that name below its first folder, and
    of a line of JSONL against its file in the same way: so `hr/**` matches in the folder that holds
    `hr`, whatever that folder is called.
    """

    pattern: re.Pattern[str]
    label: Sensitivity

    def matches(self, file: SourceFile) -> bool:
        """Return whether the rule is about a file."""
        names = [file.name, file.inside]
        names += [name.partition("/")[2] for name in names]
        return any(name and self.pattern.fullmatch(name) for name in names)


@dataclass(frozen=True, slots=True)
class Labelling:
    """What a run states of the labels of its documents.

    Attributes:
        run: label of the whole source; None where the run states none.
        rules: of which the first that matches a document counts.
        default: see `IndexSettings.default_sensitivity`.
    """

    run: Sensitivity | None = None
    rules: tuple[Rule, ...] = ()
    default: Sensitivity = UNLABELLED

    @classmethod
    def of(cls, settings: IndexSettings, run: Sensitivity | None = None) -> Self:
        """Return what settings and a run state.

        Raises:
            ConfigurationError: a glob cannot be read.
        """
        rules = []
        for rule in settings.labels:
            try:
                rules.append(Rule(glob_pattern(rule.glob), rule.label))
            except re.error as error:
                reason = f"setting 'labels': glob {rule.glob!r}: {error}"
                raise ConfigurationError(reason, param="labels") from error
        return cls(run, tuple(rules), settings.default_sensitivity)

    def apply(self, files: Iterable[SourceFile]) -> Iterable[SourceFile]:
        """Return the files with what is stated of them; a list where they are one."""
        labelled: Iterator[SourceFile] = map(self._applied, files)
        return tuple(labelled) if isinstance(files, Sequence) else labelled

    def _applied(self, file: SourceFile) -> SourceFile:
        rule = next((rule.label for rule in self.rules if rule.matches(file)), None)
        stated = [one for one in (self.run, file.stated, rule) if one is not None]
        return replace(file, stated=highest(stated) if stated else None, default=self.default)
