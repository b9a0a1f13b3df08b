"""The main job on a machine without a Viam account: a local machine, a local cloud, a report."""
