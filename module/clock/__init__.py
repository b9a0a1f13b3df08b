"""The machine's clock, and the times that travel."""
