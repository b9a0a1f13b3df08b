"""From a Capture to the disk and back: the durable queue, and what goes when it is full.

Read ``store`` first: it has the invariants, and is all that others call. ``thread`` owns the file, ``database`` has its
statements, ``schema`` its tables; ``stream_index`` decides what is claimed next. A name that ends in ``_table`` belongs
to the thread; a book or a ledger is what the event loop knows of the same. ``damage`` and ``adoption`` may be skipped.
"""
