"""A damaged spool: what is set aside, what can still be read, what is counted as lost. Normal life never comes here."""
