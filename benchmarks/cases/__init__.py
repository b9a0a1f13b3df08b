"""The cases: each runs ours and the peers in turn, round by round, and measures them from outside."""
