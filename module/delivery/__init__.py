"""From the spool to the cloud: what is sent next, what an answer means, and when it is tried again.

Read ``uploader`` first, then ``attempts``; ``outcome`` is the one table of what an answer means, ``link`` the one view
of the network. Each claimed capture ends in exactly one way: acknowledged, a failure, or back in the spool.
"""
