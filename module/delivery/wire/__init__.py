"""Bytes to the cloud: the connection and its token, the five methods, their messages and files. It decides nothing."""
