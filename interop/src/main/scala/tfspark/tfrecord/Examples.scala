package tfspark.tfrecord

import java.util.Arrays.copyOfRange
import org.apache.spark.sql.api.java.UDF1
import org.apache.spark.sql.catalyst.{CatalystTypeConverters, InternalRow}
import org.apache.spark.sql.functions.{struct, udf}
import org.apache.spark.sql.types.{BinaryType, StructType}
import org.apache.spark.sql.{Column, DataFrame, Row}
import tfspark.StorageError

/** Rows as serialized Examples in a column, for Kafka and other sinks that are no files. */
private[tfspark] object Examples {

  /** @throws tfspark.ConfigError a column that no Example holds without loss */
  def column(df: DataFrame, narrow: Map[String, String]): Column = {
    val columns = Vectors.plain(df.schema)
    val schema = df.select(columns: _*).schema
    val encode = new Encode(Layout.of(SparkTypes.toArrow(schema), narrow), schema)
    udf(encode, BinaryType)(struct(columns: _*))
  }

  private final class Encode(layout: Layout, schema: StructType) extends UDF1[Row, Array[Byte]] {
    @transient private lazy val encoder = new Encoder(layout, schema)
    @transient private lazy val inner = CatalystTypeConverters.createToCatalystConverter(schema)

    def call(row: Row): Array[Byte] = {
      try encoder.add(inner(row).asInstanceOf[InternalRow])
      catch {
        case error: RefusedError =>
          val of = Option(error.column).fold("a row is")(name => s"column $name has")
          throw new StorageError(s"toExample: $of ${error.what}")
      }
      val record = copyOfRange(encoder.data, Frame.Header, encoder.used - Frame.Trailer)
      encoder.used = 0
      record
    }
  }
}
