"""Numbers from runs: averages over seeds, gains, ranks, tests and the decision tree."""
