#!/bin/sh
# A night of one table: see docs/nights.md. Usage: conf/nightly.sh CONFIG [YYYY-MM-DD] [FLAG...]
# Runs in any folder: the job is that beside this script, paths in CONFIG are of this folder.
# Without a date or a flag: the days up to yesterday (UTC) that are not done, at most three, oldest
# first, and of the three days before those whose source has changed since.
# Ends with 75 while a day's source is not there yet, or another run has the day.
set -eu
if [ $# -lt 1 ]; then
  echo "usage: $0 CONFIG [YYYY-MM-DD] [FLAG...]" >&2
  exit 2
fi
config=$1
shift
case ${1:-} in
  "") set -- --due --at-most 3 --lookback 3 ;;
  -*) ;;
  *) set -- --date "$@" ;;
esac
home=$(dirname "$(dirname "$(readlink -f "$0")")")
exec "${SPARK_SUBMIT:-spark-submit}" --properties-file "$home/conf/spark-defaults.conf" \
  "$home/jobs/nightly.py" --config "$config" "$@"
