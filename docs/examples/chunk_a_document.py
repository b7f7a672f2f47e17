"""Cut a Markdown text into chunks that fit an embedder and know where they stand."""

from chunking.document import Document
from chunking.sections import markdown_sections
from chunking.split import Splitter
from retrieval.embed import HashEmbedder

TEXT = """\
# Geography

## Climate

The north is desert. The south has a rainy season from May to October.

## Rivers

The Chari and the Logone flow into Lake Chad.

# People

Most people live in the south. More than a hundred languages are spoken.
"""

embedder = HashEmbedder()
splitter = Splitter(embedder.count_tokens, size=32, limit=40)
document = Document("chad.md", TEXT, "Chad", "chad.md", sections=markdown_sections(TEXT))

for chunk in splitter.split(document):
    [tokens] = embedder.count_tokens([chunk.embedded_text])
    span = document.text[chunk.start : chunk.end]
    print(f"{chunk.breadcrumb}: characters {chunk.start}-{chunk.end}, {tokens} tokens")
    print(f"  fits: {tokens <= splitter.limit}, is a span of the text: {chunk.text == span}")
