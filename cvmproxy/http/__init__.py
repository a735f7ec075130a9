"""HTTP mode: a streaming HTTP/1.1 reverse proxy, sans-IO, and its Twisted glue."""
