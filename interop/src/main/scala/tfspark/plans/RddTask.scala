package tfspark.plans

import org.apache.spark.sql.catalyst.CatalystTypeConverters
import org.apache.spark.sql.catalyst.encoders.ExpressionEncoder
import org.apache.spark.sql.catalyst.expressions.GenericRowWithSchema
import org.apache.spark.sql.types.{StructField, StructType}
import org.apache.spark.sql.Row
import tfspark.StorageError
import tfspark.worker.{Batch, Picked, Scorer}

/** What runs in a task of an RDD. */
private[tfspark] final class RddTask[T](
    scorer: Scorer,
    columns: Array[Int],
    encoder: ExpressionEncoder[T]
) extends Serializable {

  def apply(elements: Iterator[T]): Iterator[(T, Row)] = {
    val toRow = encoder.createSerializer()
    val batch = new Batch(scorer)
    val picked = new Picked(columns)
    val outputs = scorer.signature.outputs.map(_.name)
    val fields = (outputs :+ Scoring.Reason).zip(scorer.kinds).map { case (name, kind) =>
      StructField(name, kind)
    }
    val schema = StructType(fields.init)
    val toScala = CatalystTypeConverters.createToScalaConverter(StructType(fields))
    elements.grouped(scorer.batchRows).flatMap { group =>
      batch.clear()
      group.foreach(element => batch.add(picked.of(toRow(element))))
      batch.run()
      group.zipWithIndex.map { case (element, place) =>
        val result = batch(place)
        val reason = result.getUTF8String(outputs.size)
        if (reason != null)
          throw new StorageError(
            s"model ${scorer.packed.model}: row $element cannot be scored: $reason; leave such " +
              "rows out"
          )
        val values = toScala(result).asInstanceOf[Row].toSeq.init
        element -> (new GenericRowWithSchema(values.toArray, schema): Row)
      }
    }
  }
}
