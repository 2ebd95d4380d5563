"""Airflow: prepare and score one day of the passengers table; put this file in the dags folder.

Needs apache-airflow-providers-apache-spark, a connection `spark_default` (master, deploy mode)
and the Variable `tfspark_home`, the folder that holds jobs/ and conf/. A task that ends with 75
(the day's source is not there yet) fails and is tried again half an hour later. Past days:
`airflow backfill create --dag-id passengers --from-date 2026-11-01 --to-date 2026-11-19`.
"""

from datetime import datetime, timedelta

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG

HOME = "{{ var.value.tfspark_home }}"

with DAG(
    dag_id="passengers",
    schedule="15 3 * * *",
    start_date=datetime(2026, 11, 1),
    # Each day is a run of its own, and none is left out; no two at once.
    catchup=True,
    max_active_runs=1,
    default_args={"retries": 18, "retry_delay": timedelta(minutes=30)},
) as dag:
    jobs = [
        SparkSubmitOperator(
            task_id=job,
            application=f"{HOME}/jobs/{job}.py",
            properties_file=f"{HOME}/conf/spark-defaults.conf",
            # The logical date: the same run of the same day gives the same table.
            application_args=["--config", f"{HOME}/conf/passengers.yaml", "--date", "{{ ds }}"],
        )
        for job in ("prepare", "score")
    ]
    jobs[0] >> jobs[1]
