"""How evidence travels and what it is bound to: today one way, the aTLS certificate extension."""
