"""Let LlamaIndex's nodes fit a model's window, and see what was left out: no server, no network."""

from dataclasses import replace

from llama_index.core.schema import NodeWithScore, TextNode

from chunking.counters import load_counter
from serve.llamaindex import WindowPostprocessor
from serve.profiles import load_profiles

TEXTS = {
    "chad": "Oil is most of what Chad exports; cotton and cattle follow. " * 8,
    "chad-again": "Oil is most of what Chad exports; cotton and cattle follow. " * 8,
    "peru": "Copper is mined in Peru, and gold and zinc are. " * 60,
    "mali": "Mali exports gold and cotton.",
}

# A real profile, in a window that is far too small for all of this.
profile = replace(load_profiles()["quote"], window=600)
window = WindowPostprocessor(profile, load_counter(profile.tokenizer), output=100)

nodes = [
    NodeWithScore(node=TextNode(id_=name, text=text, metadata={"title": name.partition("-")[0]}))
    for name, text in TEXTS.items()
]
kept = window.postprocess_nodes(nodes, query_str="What does Chad export?")
# A query engine takes it as as_query_engine(node_postprocessors=[window], …).

report = window.last_report
print(f"kept {[one.node.node_id for one in kept]}")
for entry in report.entries:
    print(f"{entry.chunk:<11} {entry.tokens:>4} tokens  {entry.fate}  {entry.reason or ''}")
print(
    f"prompt {report.prompt_tokens} + answer {report.reserved_output} + free {report.free} "
    f"= window {report.window}"
)
