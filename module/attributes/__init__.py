"""The attributes of a machine's config → frozen models: what is allowed, its defaults, and how a refusal is worded.

Read ``uploader`` first, then ``source``; ``allowed`` has the wording of refusals, ``api_methods`` what can be captured.
"""
