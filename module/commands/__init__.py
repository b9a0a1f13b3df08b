"""The verbs of DoCommand: arguments → call → answer.

Read ``table`` first: it lists the verbs, which stand in a file for each subject. What they ask of the running service is
``module.control``. A bad argument is a CommandError before anything has been done.
"""
