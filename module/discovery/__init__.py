"""The discovery service: a machine's resources → the config of an uploader.

Read ``service`` first: it asks each resource once. ``proposal`` makes the config of the answers, and is pure.
"""
