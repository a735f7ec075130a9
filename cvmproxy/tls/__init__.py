"""The TLS engine, sans-IO, and its Twisted transport."""
