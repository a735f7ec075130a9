"""Where evidence is made: what blocks, or is simulated."""
