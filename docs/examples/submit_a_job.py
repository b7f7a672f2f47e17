"""Send documents to a running service as a job: accepted at once, carried out once for its key."""

import atexit
import json
import os
import subprocess
import sys
import time
from urllib.request import Request, urlopen

os.environ["WINDOWFIT_EMBEDDER"] = "hash:256"  # needs no weights; a real one finds more
service = subprocess.Popen(
    [sys.executable, "-m", "windowfit", "serve", "--port", "0"],
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
)
atexit.register(service.terminate)
url = service.stdout.readline().split()[2].decode()  # "listening on http://… (model quote; …"
chad = {"id": "chad", "text": "# Chad\n\nExports: oil, gold", "media_type": "text/markdown"}
body = json.dumps({"collection": "facts", "documents": [chad]}).encode()
headers = {"content-type": "application/json", "Idempotency-Key": "facts of 2026-11-21"}


def submit() -> tuple[int, dict]:
    """Return the status, 202 for a new job and 200 for a replayed one, and the job."""
    with urlopen(Request(f"{url}/jobs", body, headers)) as response:
        return response.status, json.load(response)


status, job = submit()
print(status, job["state"])
while job["state"] in ("queued", "running"):
    time.sleep(0.1)
    with urlopen(f"{url}/jobs/{job['id']}") as response:
        job = json.load(response)
print(job["state"], job["counts"]["collection_documents"], "document")
print(submit()[0], "on the second time: nothing is done again")
