"""Airflow 3: prepare and score one day of the passengers table; put this file in the dags folder.

Needs apache-airflow-providers-apache-spark, a connection `spark_default` (master, deploy mode) and
TFSPARK_HOME, the folder that holds jobs/ and conf/, in Airflow's environment. A task that ends with
75 (the day's source is not there yet) fails and is tried again half an hour later. Past days:
`airflow backfill create --dag-id passengers --from-date 2026-11-01 --to-date 2026-11-19`.
"""

import os
from datetime import datetime, timedelta

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, CronDataIntervalTimetable

HOME = os.environ.get("TFSPARK_HOME", "/srv/tfspark")
ARGUMENTS = {
    "config": f"{HOME}/conf/passengers.yaml",
    # Relative paths of a configuration are the submitting process's, and that is Airflow's.
    "contract": f"{HOME}/schemas/passengers.yaml",
    "source.path": f"{HOME}/examples/passengers/passengers.csv",
    "warehouse": f"{HOME}/warehouse",
    # The logical date: the same run of the same day gives the same table.
    "date": "{{ ds }}",
}

with DAG(
    dag_id="passengers",
    # The run of 03:15 is for the day that has ended: its logical date is yesterday's.
    schedule=CronDataIntervalTimetable("15 3 * * *", timezone="UTC"),
    start_date=datetime(2026, 11, 1),
    # Each day is a run of its own, and none is left out; no two at once.
    catchup=True,
    max_active_runs=1,
    default_args={"retries": 18, "retry_delay": timedelta(minutes=30)},
) as dag:
    prepare, score = (
        SparkSubmitOperator(
            task_id=job,
            application=f"{HOME}/jobs/{job}.py",
            properties_file=f"{HOME}/conf/spark-defaults.conf",
            application_args=[text for k, v in ARGUMENTS.items() for text in (f"--{k}", v)],
        )
        for job in ("prepare", "score")
    )
    prepare >> score
