"""Attestation types: one file each, and the registry."""
