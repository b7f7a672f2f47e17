"""Stream an answer: the receipt comes with the first chunk, usage and cost with the last."""

import atexit
import os
import subprocess
import sys
from pathlib import Path

from openai import OpenAI

FACTS = "# Chad\n\n## Government\nCapital: N'Djamena\n\n## Economy\nExports: oil, gold, livestock\n"
WINDOWFIT = [sys.executable, "-m", "windowfit"]

os.environ["WINDOWFIT_EMBEDDER"] = "hash:256"  # needs no weights; a real one finds more
Path("facts").mkdir()
Path("facts/chad.md").write_text(FACTS)
ingest = ["ingest", "run", "facts", "--collection", "facts", "--quiet"]
subprocess.run([*WINDOWFIT, *ingest], check=True)

service = subprocess.Popen(
    [*WINDOWFIT, "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
)
atexit.register(service.terminate)
url = service.stdout.readline().split()[2].decode()  # "listening on http://… (model quote; …"
client = OpenAI(base_url=f"{url}/v1", api_key="unused")

with client.chat.completions.create(
    model="facts/quote",
    messages=[{"role": "user", "content": "What is the capital of Chad?"}],
    stream=True,
    stream_options={"include_usage": True},
) as chunks:
    for chunk in chunks:
        if "context" in chunk.model_extra and chunk.choices:
            print(f"prompt of {chunk.model_extra['context']['prompt_tokens']} tokens")
        for choice in chunk.choices:
            print(choice.delta.content or "", end="")
        if chunk.usage:
            print(f"\n{chunk.usage.total_tokens} tokens, ${chunk.model_extra['cost_usd']}")
