"""From a tick to a Capture: schedules, polls, filters, encoding, and folders of files."""
