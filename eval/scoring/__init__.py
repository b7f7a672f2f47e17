"""Tells whether an answer is right, by the values that it and the right answer state."""
