"""As whom everything is uploaded to the local cloud."""

KEY_ID, KEY, PART = "11111111-2222-3333-4444-555555555555", "benchmark", "part-1"
NAME = "uploader"
"""Of the service."""
