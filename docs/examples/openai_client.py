"""Point the openai SDK at a running service: the answer is OpenAI's, the receipt rides along."""

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

completion = client.chat.completions.create(
    model="facts/quote",  # COLLECTION/PROFILE, as GET /v1/models lists them
    messages=[{"role": "user", "content": "What does Chad export?"}],
    extra_body={"windowfit": {"max_context_tokens": 500}},
)
print(completion.choices[0].message.content)
for annotation in completion.choices[0].message.annotations:
    print(annotation.url_citation.title, annotation.url_citation.url)

receipt = completion.model_extra["context"]
print(f"{receipt['prompt_tokens']} prompt + {receipt['reserved_output']} answer tokens")
print(f"{receipt['coverage']['kept']} of {receipt['coverage']['candidates']} candidates read")
