"""What the module costs, beside every other way to do the same; ``benchmarks/run.sh`` is the one command.

``main`` runs the cases of ``cases``, which start the processes of ``subjects``; each writes its figures into one
``Results``, from which ``report`` makes the table and ``plot`` the pictures.
"""
