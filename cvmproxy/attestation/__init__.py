"""Attestation, pure: bytes in, typed values out, time an argument. Imports nothing above ``errors``."""
