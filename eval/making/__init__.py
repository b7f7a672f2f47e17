"""Makes questions with exact evidence from what the documents of a collection state."""
