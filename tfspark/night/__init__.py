"""The night: one day prepared, judged, scored, published, watched and told of, by one command.

    pin → prepare → gate → score → publish | watch → labels → report

Before the bar a step may stop the night; behind it, it may only degrade it. The scored table's log
says what is published; the records of the nights are derived from it, and repaired at every start.
"""
