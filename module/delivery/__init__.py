"""From the spool to the cloud: what is sent next, what an answer means, and when it is tried again.

Read ``uploader`` first, then ``attempts``. ``outcome`` has the table of what an answer means; ``link`` is the state of
the network, which all uploads share. Each claimed capture ends in exactly one way: acknowledged, a failure, or back in
the spool.
"""
