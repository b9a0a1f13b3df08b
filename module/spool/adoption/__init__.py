"""Spools that nobody opens any more, and how ours takes over what waits in one."""
