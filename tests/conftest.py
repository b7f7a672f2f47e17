"""How many examples a property is tried with: many where CI is set, few at a desk."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A gate must give one verdict for one commit, so CI draws the same examples each time.
settings.register_profile(
    "ci",
    max_examples=2000,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("dev", max_examples=100, deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
