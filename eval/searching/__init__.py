"""Measures how well a collection is searched, on data sets in several layouts."""
