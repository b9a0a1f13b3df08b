"""The verbs of DoCommand: arguments → call → answer.

Read ``table`` first: it lists the verbs, which stand in a file for each subject. They ask
``module.courier.control``. A bad argument raises CommandError before anything is done.
"""
