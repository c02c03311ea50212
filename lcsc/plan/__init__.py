"""What a configuration costs: counts of the work of each job, its memory and time, and the plan of a whole run.

Nothing heavy is imported here, since the workflow asks when it is read; :mod:`lcsc.plan.speeds` alone measures.
"""
