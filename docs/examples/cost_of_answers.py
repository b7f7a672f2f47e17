"""Answer three questions and read what they cost from the ledger, to the last digit."""

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

FACTS = "# Chad\n\n## Government\nCapital: N'Djamena\n\n## Economy\nExports: oil, gold, livestock\n"
PROFILE = "[profiles.quote]\nhardware_usd_per_hour = 0.07\npower_usd_per_hour = 0.11\n"


def windowfit(*arguments: str) -> str:
    """Run a command and return what it prints."""
    command = [sys.executable, "-m", "windowfit", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


os.environ["WINDOWFIT_EMBEDDER"] = "hash:256"  # needs no weights; a real one finds more
os.environ["WINDOWFIT_SERVE_PROFILES"] = "profiles.toml"
Path("profiles.toml").write_text(PROFILE)  # what an hour of this machine costs
Path("facts").mkdir()
Path("facts/chad.md").write_text(FACTS)
windowfit("ingest", "run", "facts", "--collection", "facts", "--quiet")

for question in ("What is the capital of Chad?", "What does Chad export?", "Where is oil?"):
    answer = json.loads(windowfit("ask", question, "--collection", "facts", "--json"))
    print(f"${answer['cost_usd']:.12f}: {answer['context']['cost_basis']}")

total = json.loads(windowfit("cost", "report", "--json"))["total"]
print(
    f"{total['answered']} answers, ${Decimal(total['usd']):f}, p50 {total['total_seconds_p50']} s"
)

left = json.loads(windowfit("cost", "egress", "--json"))["total"]
print(f"{left['calls']} calls left for the cloud")
