"""How this library compares: with its peers, on one workload, in one run."""
