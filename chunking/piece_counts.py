"""What pieces cost in a prompt: counted at ingestion, joined and added up when a prompt is planned.

Counts of most tokenizers add up at a line break before "[" or an ASCII letter or digit, see
`TokenCounter.additive`. So what a piece adds to a prompt depends on the piece alone if it is
counted between a line break and the "[" of the piece after it, and the sum over pieces is the
count of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chunking.document import Chunk, Document, gap_between
from chunking.pieces import BETWEEN_PIECES, defuse, piece_of, unforged
from chunking.tokens import TokenCounter

_NO_MARKER = 0
"""The marker under which a piece is counted before its place in the prompt is known."""


@dataclass(frozen=True, slots=True)
class PieceCount:
    """What a chunk adds to a prompt, in tokens of one tokenizer.

    Attributes:
        alone: as a piece of its own.
        continued: where it continues the piece of the chunk before it, under that one's header;
            None where it cannot, or where only counting the whole piece tells.
    """

    alone: int
    continued: int | None = None


@dataclass(frozen=True, slots=True)
class PieceCounts:
    """Tokens of a document's pieces by one tokenizer: as a whole, and chunk by chunk in order."""

    whole: int
    chunks: tuple[PieceCount, ...]


def count_pieces(document: Document, chunks: Sequence[Chunk], counter: TokenCounter) -> PieceCounts:
    """Return what the document and each of its chunks add to a prompt."""
    pieces = PieceCounter(counter)
    return PieceCounts(pieces.count(whole_piece(document)), pieces.of_chunks(document, chunks))


def whole_piece(document: Document) -> Chunk:
    """Return a document as one chunk."""
    return Chunk.of(document, start=0, end=len(document.text), path=(), position=0)


class PieceCounter:
    """Counts pieces where they stand in a prompt; exact where the tokenizer is additive."""

    def __init__(self, counter: TokenCounter) -> None:
        """Count what every piece stands between."""
        self._counter = counter
        self._bracket = counter.count("\n[")
        self._letter = counter.count("\nA")
        self._headers: dict[str, int] = {}

    def count(self, chunk: Chunk) -> int:
        """Return what a piece adds to a prompt with pieces before and after it.

        The marker counts as one digit, see `marker` for what others add.
        """
        return self._closed(piece_of(chunk, _NO_MARKER, self._counter.control_tokens))

    def of_chunks(self, document: Document, chunks: Sequence[Chunk]) -> tuple[PieceCount, ...]:
        """Return what each chunk of a document adds, in document order."""
        counts = []
        earlier: Chunk | None = None
        for chunk in chunks:
            alone = self.count(chunk)
            join = None if earlier is None else self._continue(document, earlier, chunk)
            counts.append(PieceCount(alone, None if join is None else alone + join))
            earlier = chunk
        return tuple(counts)

    def _continue(self, document: Document, earlier: Chunk, later: Chunk) -> int | None:
        gap = gap_between(document, earlier, later)
        if gap is None or earlier.path != later.path or not self._counter.additive:
            return None
        return self.join(earlier, gap, later)

    def marker(self, marker: int) -> int:
        """Return what a piece costs more under this marker than `count` says."""
        return self._closed(f"[{marker}] A") - self._closed(f"[{_NO_MARKER}] A")

    def join(self, earlier: Chunk, gap: str, later: Chunk) -> int | None:
        """Return what `later` adds to a piece that ends with `earlier`, beyond its own count.

        The difference is that of the two borders alone: `later` saves its header, and the last line
        of `earlier` ends in the gap instead of in a blank line. So only that header and that line
        are counted. None where a border lies elsewhere: the whole piece must be counted then.
        """
        last_line = earlier.text.rpartition("\n")[2]
        if not (gap.endswith("\n") and _at_border(last_line) and _at_border(later.text)):
            return None
        shown = defuse(unforged(last_line), self._counter.control_tokens)
        continued = self._open(f"{shown}{gap}")
        return continued - self._closed(shown) - self._header(later.breadcrumb)

    def _header(self, breadcrumb: str) -> int:
        if breadcrumb not in self._headers:
            shown = defuse(unforged(breadcrumb), self._counter.control_tokens)
            self._headers[breadcrumb] = self._open(f"[{_NO_MARKER}] {shown}\n")
        return self._headers[breadcrumb]

    def _closed(self, text: str) -> int:
        """Count a text at the start of a line, followed by the next piece."""
        return self._counter.count(f"\n{text}{BETWEEN_PIECES}[") - self._bracket

    def _open(self, text: str) -> int:
        """Count a text at the start of a line, followed by a letter on the next."""
        return self._counter.count(f"\n{text}A") - self._letter


def _at_border(text: str) -> bool:
    return text[:1].isascii() and text[:1].isalnum()
