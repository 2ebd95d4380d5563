# Source this (". scripts/env.sh") to run Spark, jobs and tests with the environment of `make setup`.
# Works in sh, bash and zsh; what you set yourself stays.

if [ -n "${BASH_SOURCE:-}" ]; then
  _tfspark_root=$(dirname "$BASH_SOURCE")/..
elif [ -n "${ZSH_VERSION:-}" ]; then
  _tfspark_root=$(dirname "$0")/.. # zsh: the sourced file
else
  _tfspark_root=. # plain sh does not tell: be in the project's folder
fi
_tfspark_root=$(CDPATH= cd -- "$_tfspark_root" && pwd)
_tfspark_venv=$_tfspark_root/.venv

if [ ! -x "$_tfspark_venv/bin/python" ]; then
  echo "no environment at $_tfspark_venv: run 'make setup' first" >&2
fi

PATH=$_tfspark_venv/bin:$PATH
export PATH
# Spark's workers would take the first python3 of the PATH, whatever it is.
export PYSPARK_PYTHON="${PYSPARK_PYTHON:-$_tfspark_venv/bin/python}"
export PYSPARK_DRIVER_PYTHON="${PYSPARK_DRIVER_PYTHON:-$_tfspark_venv/bin/python}"
# Only there when the system has no Java 17 or newer where Spark looks for it.
if [ -x "$_tfspark_venv/jre/bin/java" ]; then
  export JAVA_HOME="$_tfspark_venv/jre"
fi
# A machine that does not know its own name (a container, a sandbox) can still run Spark by itself.
if [ -z "${SPARK_LOCAL_IP:-}" ] && command -v getent >/dev/null && ! getent hosts "$(hostname)" >/dev/null; then
  export SPARK_LOCAL_IP=127.0.0.1
fi
# Spark starts in two thirds of the time with its classes as set-up keeps them; where they do not
# fit this Java or these jars it starts without them, and says nothing.
export SPARK_SUBMIT_OPTS="${SPARK_SUBMIT_OPTS:--XX:SharedArchiveFile=$_tfspark_venv/spark.jsa -Xlog:disable -Xlog:all=error:stderr}"
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"
unset _tfspark_root _tfspark_venv
