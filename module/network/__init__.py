"""gRPC over libcurl, for the machine's road and the cloud's: one channel under the SDK's generated stubs.

``channel`` is what the stubs stand on, ``call`` one call of it as the stubs use it, ``transfer`` what libcurl knows of
that call, and ``driver`` has libcurl work on the event loop. ``framing`` and ``answer`` are pure: gRPC's messages, and
what the other side's headers and trailers say. ``address`` is where a channel leads.
"""
