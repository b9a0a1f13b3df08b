"""The health sensor: the uploader's status as flat readings.

Read ``sensor`` first: it asks the uploader. ``readings`` makes the readings of the answer, and is pure.
"""
