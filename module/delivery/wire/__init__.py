"""Bytes to the cloud: the connection and its token, the five methods, their messages and files. It decides nothing.

Read ``cloud`` first: it has the connection and the token. ``methods`` has the five upload methods, ``messages`` what
they send, ``files`` reads the file that is sent, ``stall`` notices an upload that stands still, ``progress`` counts
bytes.
"""
