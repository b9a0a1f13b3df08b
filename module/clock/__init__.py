"""The machine's clock, which may be set late or moved, and the times that captures have.

Read ``machine_clock`` first; ``watch`` notices when the clock is set, ``stamps`` changes the times inside payloads.
"""
