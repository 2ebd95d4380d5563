"""`tfspark clean`: removes what is older than is kept, and what killed runs have left.

Nothing that a running job reads or writes goes: a day goes under its lease, a dataset under the
lease of its day, and while a training runs its name's datasets and checkpoints stay. What stays
whatever the settings say is in `protect`.
"""
