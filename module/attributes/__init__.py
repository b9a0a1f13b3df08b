"""The attributes of a machine's config → frozen models: what is allowed, its defaults, and how a refusal is worded."""
