"""The console script and its tools."""
