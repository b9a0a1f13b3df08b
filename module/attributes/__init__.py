"""The attributes of a machine's config → frozen models: allowed values, defaults, and the texts of refusals.

Read ``uploader`` first, then ``source``; ``allowed`` has the texts of refusals, ``api_methods`` what can be captured.
"""
