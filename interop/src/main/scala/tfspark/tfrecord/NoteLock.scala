package tfspark.tfrecord

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import scala.annotation.tailrec
import scala.util.control.NonFatal
import tfspark.Conflict
import tfspark.storage.Owner

/** One process at a time in a folder of HDFS, by a file that says whose turn it is; the one that
  * `tfspark/storage/lock.py` takes too.
  */
private[tfrecord] object NoteLock {
  private val File = "_lock.json"
  private val LongestSeconds = 3600.0 // that anything is done under a lock
  private val WaitSeconds = 600

  def apply[T](folder: Store)(run: => T): T = {
    val (file, json) = (folder / File, new ObjectMapper())
    val mine = json.writeValueAsBytes(Owner.note())
    take(file, mine, System.nanoTime)
    try run
    finally
      try if (file.findJson().contains(json.readTree(mine))) file.delete()
      catch { case NonFatal(_) => } // it is known by its process, which ends
  }

  @tailrec
  private def take(file: Store, content: Array[Byte], since: Long): Unit =
    if (!file.writeNew(content)) {
      file.findJson().foreach(wait(file, _, since))
      take(file, content, since)
    }

  private def wait(file: Store, said: JsonNode, since: Long): Unit =
    if (Owner.gone(said, file.shown) || Owner.age(said) > LongestSeconds) file.delete()
    else if (System.nanoTime - since > WaitSeconds * 1000000000L)
      throw new Conflict(
        s"${file.shown}: process ${said.path("pid").asLong} of ${said.path("host").asText} has " +
          s"held this lock since $WaitSeconds s; try again when it is done, or remove the file if " +
          "it is dead"
      )
    else Thread.sleep(200)
}
