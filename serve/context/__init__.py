"""Plans what a model sees: budgets, packs, and accounts for every candidate. Pure: no I/O."""
