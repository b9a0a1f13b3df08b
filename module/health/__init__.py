"""The health sensor: the uploader's status as flat readings."""
