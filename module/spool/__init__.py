"""From a Capture to the disk and back: the durable queue, and what goes when it is full."""
