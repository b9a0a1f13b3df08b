"""The processes that are measured, or that those need: one job each; their orders are lines of JSON."""
