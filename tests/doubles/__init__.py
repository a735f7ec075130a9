"""Shared test doubles and requirements."""
