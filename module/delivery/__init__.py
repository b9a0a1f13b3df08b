"""From the spool to the cloud: one connection, five upload methods, retries, batches."""
