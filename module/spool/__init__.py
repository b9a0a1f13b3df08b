"""From a Capture to the disk and back: the durable queue, and what goes when it is full.

Read ``store`` first: it has the invariants, and other rooms only call it. ``gathering`` decides what is written
together and when, ``listing`` knows which captures a stream has, ``claims`` takes captures out for uploads. ``thread``
owns the file; ``database`` has its statements, ``schema`` its tables; ``stream_index`` decides what is claimed next.
Names that end in ``_table`` are of the thread; a book or a ledger is the event loop's side of one. You may skip
``damage`` and ``adoption``.
"""
