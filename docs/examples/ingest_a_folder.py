"""Bring a collection up to date with a folder from Python; the report is a typed object."""

from pathlib import Path

from ingest.sources import list_source
from ingest.workbench import open_workbench
from retrieval.settings import IndexSettings

folder = Path("countries")
folder.mkdir(exist_ok=True)
(folder / "peru.md").write_text("# Peru\n\nCapital: Lima\n")
(folder / "chad.txt").write_text("The capital of Chad is N'Djamena.\n")
(folder / "broken.pdf").write_text("not a PDF\n")

settings = IndexSettings.load(embedder="hash:256")  # needs no weights; a real one finds more
with open_workbench(settings) as bench:
    for attempt in ("first", "second"):
        files = list_source(str(folder), factbook=settings.factbook)
        with bench.work(files, "countries") as ingest:
            report = ingest()
        print(f"{attempt}: {report.written} written, {report.unchanged} unchanged")

for one in report.quarantined:
    print(f"quarantined: {one.reason}")
