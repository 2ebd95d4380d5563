"""`tfspark doctor`: what this machine has, what is wrong with it, and the command that mends it.

Nothing here needs more than Python to be imported, so that it runs where a package is broken:
`python -m tfspark.doctor`. What is heavy, or may hang or crash, runs in a child process.
"""
