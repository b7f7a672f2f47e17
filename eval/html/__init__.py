"""Makes what the page of a report shows: its findings, sections, charts and questions."""
