"""Airflow 3: a night of the passengers table a day; put this file in the dags folder.

Needs apache-airflow-providers-apache-spark, a connection `spark_default` (master, deploy mode) and
TFSPARK_HOME, the folder that holds jobs/ and conf/, in Airflow's environment; TFSPARK_PYTHON is the
interpreter that has tfspark. What a task comes to is what the night has recorded, whatever
spark-submit said: 75 (the day's source is not there yet) is tried again half an hour later; 2, 3
and 4 (configuration, contract, model) fail for good. Past days:
`airflow backfill create --dag-id passengers --from-date 2026-11-01 --to-date 2026-11-19`.
"""

import os
import subprocess
from datetime import datetime, timedelta

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException

HOME = os.environ.get("TFSPARK_HOME", "/srv/tfspark")
PYTHON = os.environ.get("TFSPARK_PYTHON", f"{HOME}/.venv/bin/python")
FINAL = (2, 3, 4)
ARGUMENTS = {
    "config": f"{HOME}/conf/passengers.yaml",
    # Relative paths of a configuration are the submitting process's, and that is Airflow's.
    "contract": f"{HOME}/schemas/passengers.yaml",
    "source.path": f"{HOME}/examples/passengers/passengers.csv",
    "warehouse": f"{HOME}/warehouse",
    # The logical date: the same run of the same day gives the same table. A run that was started by
    # hand may have none; then the parameter names the day.
    "date": "{{ params.date or ds | default('none: give the parameter date') }}",
}


class Night(SparkSubmitOperator):
    """A night, judged by its record: a cluster's driver may be lost, and its code with it."""

    def execute(self, context):
        try:
            super().execute(context)
        except AirflowException as error:
            self.log.warning("spark-submit: %s", error)
        job = [PYTHON, f"{HOME}/jobs/nightly.py", *self.application_args, "--status"]
        code = subprocess.run(job, check=False).returncode
        if code in FINAL:
            raise AirflowFailException(f"the night ended with {code}; see its page")
        if code:
            raise AirflowException(f"the night ended with {code}; it is tried again")


with DAG(
    dag_id="passengers",
    # The run of 03:15 is for the day that has ended: its logical date is yesterday's.
    schedule=CronDataIntervalTimetable("15 3 * * *", timezone="UTC"),
    start_date=datetime(2026, 11, 1),
    # Each day is a run of its own, and none is left out; no two at once.
    catchup=True,
    max_active_runs=1,
    params={"date": Param(None, type=["null", "string"], format="date")},
    default_args={"retries": 18, "retry_delay": timedelta(minutes=30)},
) as dag:
    Night(
        task_id="night",
        application=f"{HOME}/jobs/nightly.py",
        properties_file=f"{HOME}/conf/spark-defaults.conf",
        application_args=[text for k, v in ARGUMENTS.items() for text in (f"--{k}", v)],
    )
