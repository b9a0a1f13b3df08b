"""Sends bytes to the cloud: connection, token, the five methods, their messages and files. It decides nothing."""
