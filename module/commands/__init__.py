"""The verbs of DoCommand: arguments → call → answer.

Read ``table`` first: every verb is a row of it. A bad argument raises CommandError before anything is done.
"""
