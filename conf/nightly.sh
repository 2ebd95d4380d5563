#!/bin/sh
# One night of one table: prepare, then score. Usage: conf/nightly.sh CONFIG [YYYY-MM-DD]
# The date is yesterday's (UTC) unless given; a past date fills that day again.
# Ends with the code of the job that stopped it: 75 when the day's source is not there yet.
set -eu
config=$1
day=${2:-$(date -u -d yesterday +%F)}
for job in prepare score; do
  "${SPARK_SUBMIT:-spark-submit}" --properties-file conf/spark-defaults.conf \
    "jobs/$job.py" --config "$config" --date "$day"
done
