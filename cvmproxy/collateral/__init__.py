"""Where endorsements (collateral) come from."""
