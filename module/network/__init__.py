"""gRPC over libcurl, to the machine and to the cloud: a channel for the SDK's generated stubs.

Read ``channel`` first: the stubs use it, and ``call`` for one call on it. ``transfer`` is libcurl's side of that call,
and ``driver`` lets libcurl work on the event loop. ``framing`` (gRPC's messages) and ``answer`` (headers and trailers)
are pure. ``address`` is the address of a server, ``routes`` leads there directly or through a proxy, and ``throttle``
is the bandwidth cap.
"""
