"""The verbs of DoCommand: arguments → call → answer."""
