"""The processes that are measured, or that those need: one job each, told what to do by lines of JSON."""
