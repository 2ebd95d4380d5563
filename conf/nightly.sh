#!/bin/sh
# One night of one table: prepare, then score. Usage: conf/nightly.sh CONFIG [YYYY-MM-DD]
# Runs in any folder: the jobs are those beside this script, paths in CONFIG are of this folder.
# The date is yesterday's (UTC) unless given; a past date fills that day again.
# Ends with the code of the job that stopped it: 75 when the day's source is not there yet.
set -eu
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
  echo "usage: $0 CONFIG [YYYY-MM-DD]" >&2
  exit 2
fi
config=$1
day=${2:-$(date -u -d yesterday +%F)}
home=$(dirname "$(dirname "$(readlink -f "$0")")")
for job in prepare score; do
  "${SPARK_SUBMIT:-spark-submit}" --properties-file "$home/conf/spark-defaults.conf" \
    "$home/jobs/$job.py" --config "$config" --date "$day"
done
