"""Measures how long a context a model uses well, with questions in windows of several sizes."""
