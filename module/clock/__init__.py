"""The machine's clock, which may be set late or step, and the times that travel.

Read ``machine_clock`` first; ``watch`` notices when the clock is set, ``stamps`` moves times within payloads.
"""
