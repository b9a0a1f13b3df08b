"""The discovery service: a machine's resources → the config of an uploader."""
