"""Makes the input of a model from token ids, where that is what its library would make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chunking.counters import well_formed
from retrieval.batches import BatchLimits
from retrieval.transformer.loading import facts_of
from retrieval.transformer.tokens import tokens_of
from retrieval.transformer.windows import Batch, prepare

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_TEXTS = ["a", "Chad > Capital\nN'Djamena, \u00c9tat: 1.5 M (2023)", "\u6771\u4eac \U0001f642", ""]
_TENSORS = {"input_ids", "attention_mask", "token_type_ids"}


@dataclass(frozen=True, slots=True)
class Features:
    """How a model wants its input.

    Attributes:
        names: the tensors it takes, which are made from token ids.
        others: what else it takes, the same for every batch.
        pad: the id that fills rows up.
        shared: whether the input made here is the library's own; where it is not (a prompt, a chat
            template, another padding), the library tokenizes the texts once more.
    """

    names: tuple[str, ...]
    others: Mapping[str, Any]
    pad: int
    shared: bool = True

    def of(self, batch: Batch, model: SentenceTransformer) -> dict[str, Any]:
        """Return the model's input for a batch, in the memory of the processor."""
        return self.made(batch) if self.shared else library_features(batch.texts, model)

    def made(self, batch: Batch) -> dict[str, Any]:
        """Return the input made from the batch's token ids."""
        import torch

        mask = torch.arange(batch.ids.shape[1]) < torch.from_numpy(batch.counts)[:, None]
        ids = torch.from_numpy(batch.ids).long()
        tensors = {
            "input_ids": ids.masked_fill(~mask, self.pad),
            "attention_mask": mask.long(),
            "token_type_ids": torch.zeros_like(ids),
        }
        return {**{name: tensors[name] for name in self.names}, **self.others}


def library_features(texts: list[str], model: SentenceTransformer) -> dict[str, Any]:
    """Return the input that `SentenceTransformer.encode` would make of the texts."""
    prompt = model.prompts.get(model.default_prompt_name or "")
    return dict(model.preprocess([well_formed(text) for text in texts], prompt=prompt))


def features_for(model: SentenceTransformer) -> Features:
    """Find out how a model wants its input, by preparing a few texts in both ways.

    Prompts, chat templates, lower case, sides of padding and cutting: rather than know what models
    may ask for, the tensors are compared.
    """
    import torch

    limit = facts_of(model).input_limit
    texts = [*_TEXTS, "growing " * (limit + 1)]
    theirs = library_features(texts, model)
    names = tuple(name for name, value in theirs.items() if isinstance(value, torch.Tensor))
    others = {name: value for name, value in theirs.items() if name not in names}
    features = Features(names, others, int(model.tokenizer.pad_token_id or 0))
    tokens = tokens_of(model.tokenizer.backend_tokenizer, limit=limit)
    whole = BatchLimits(budget=len(texts) * max(limit, 1), overhead=len(texts) * max(limit, 1))
    [window] = prepare([texts], tokens=tokens, limits=lambda: whole)
    [batch] = window.batches
    shared = _TENSORS.issuperset(names)
    if shared:
        ours = features.made(batch)
        shared = all(torch.equal(ours[name], theirs[name][batch.positions]) for name in names)
    return Features(names, others, features.pad, shared)
