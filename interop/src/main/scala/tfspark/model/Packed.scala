package tfspark.model

import java.security.MessageDigest
import org.apache.hadoop.conf.Configuration
import org.apache.spark.SparkContext
import org.apache.spark.broadcast.Broadcast
import scala.collection.mutable
import tfspark.IntegrityError
import tfspark.storage.{Hex, Storage}

/** A model on its way: what is in it, and the broadcasts that hold it.
  *
  * A `SavedModelBundle` cannot be serialised, so the files travel: end to end in the order of their
  * names, cut in pieces of 64 MiB.
  */
private[tfspark] final case class Packed(
    model: String,
    digest: String,
    files: Seq[ModelFile],
    pieces: Seq[Broadcast[Array[Byte]]]
) {

  /** The pieces as one stream; each is let go when it is read. */
  def stream(): PieceStream = new PieceStream(pieces.iterator.map(_.value))
}

private[tfspark] object Packed {
  val PieceBytes: Int = 64 << 20
  private val sent = mutable.Map.empty[(String, String), Packed]

  /** Send a model to the executors; one that was sent before is not sent again. */
  def broadcast(context: SparkContext, model: ModelFolder): Packed = synchronized {
    val key = (context.applicationId, model.digest)
    sent.filterInPlace((other, _) => other._1 == key._1) // others are of a context that has ended
    sent.getOrElseUpdate(
      key, {
        val pieces = cut(model, context.hadoopConfiguration).map(context.broadcast(_)).toVector
        Packed(model.path, model.digest, model.files, pieces)
      }
    )
  }

  /** The files of a model end to end, in pieces.
    *
    * @throws IntegrityError
    *   a file is not the one that was verified before
    */
  def cut(
      model: ModelFolder,
      conf: Configuration,
      size: Int = PieceBytes
  ): Iterator[Array[Byte]] = {
    val folder = new Storage(model.path, conf)
    val pieces = Vector.newBuilder[Array[Byte]]
    var piece = new Array[Byte](math.min(size.toLong, model.files.map(_.bytes).sum).toInt)
    var filled = 0
    for (file <- model.files.sortBy(_.path)) folder.reading(file.path) { stream =>
      val digest = MessageDigest.getInstance("SHA-256")
      def read() = stream.read(piece, filled, piece.length - filled)
      var count = if (piece.length == 0) -1 else read()
      while (count >= 0) {
        digest.update(piece, filled, count)
        filled += count
        if (filled == piece.length) {
          pieces += piece
          piece = new Array[Byte](size)
          filled = 0
        }
        count = read()
      }
      if (Hex(digest) != file.sha256)
        throw new IntegrityError(
          s"model ${model.path}: ${file.path} was changed while it was read; score again when " +
            "nobody writes to the folder"
        )
    }
    if (filled > 0) pieces += piece.take(filled)
    pieces.result().iterator
  }
}

/** Arrays read as one stream. */
private[tfspark] final class PieceStream(pieces: Iterator[Array[Byte]]) {
  private var current = Array.emptyByteArray
  private var at = 0

  /** Hand the next bytes, `most` or fewer, to `use`; the count of them, 0 at the end. */
  def read(most: Long)(use: (Array[Byte], Int, Int) => Unit): Int = {
    while (at == current.length && pieces.hasNext) {
      current = pieces.next()
      at = 0
    }
    val count = math.min(most, (current.length - at).toLong).toInt
    if (count > 0) use(current, at, count)
    at += count
    count
  }
}
