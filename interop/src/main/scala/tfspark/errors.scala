package tfspark

import tfspark.shared.{Mask, Shared}

/** Base of every error raised on purpose; the tree, the messages and the codes are those of
  * `tfspark/errors.py`. A message shows no secret.
  */
sealed abstract class TfsparkException(message: String, cause: Throwable)
    extends RuntimeException(if (message == null) null else Mask.text(message), cause) {

  /** What a job ends with. */
  def exitCode: Int = Shared.errors(getClass.getSimpleName)._2
}

/** A setting or an argument is wrong. */
sealed class ConfigError(message: String) extends TfsparkException(message, null)

/** A contract file cannot be used; the message starts with `file:line`. */
final class ContractFileError(message: String) extends ConfigError(message)

/** There is no model at the folder or URI that was given. */
final class ModelNotFound(message: String) extends ConfigError(message)

/** The columns of a table cannot be bound to the inputs of a model. */
final class SignatureError(message: String) extends ConfigError(message)

/** The data breaks its contract beyond what the contract allows. */
final class ContractViolation(message: String) extends TfsparkException(message, null)

/** Reading, writing or committing failed. */
sealed class StorageError(message: String, cause: Throwable = null)
    extends TfsparkException(message, cause)

private[tfspark] object StorageError {
  private val stores = Shared.map("stores")
  private val Of = stores("of").r.unanchored
  private val Later = s"${stores("busy")}|${stores("expired")}".r.unanchored

  /** By what was raised: a [[StoreBusy]] where a later try may do it. */
  def of(message: String, cause: Throwable): StorageError = {
    val causes = Iterator.iterate(cause)(_.getCause).takeWhile(_ != null).take(20).toSeq
    val said = causes.map(_.toString)
    lazy val lines = said.flatMap(_.linesIterator).filterNot(_.trim.startsWith("at "))
    lazy val frames = causes.flatMap(_.getStackTrace).map(_.getClassName)
    if (causes.exists(_.isInstanceOf[StoreBusy])) new StoreBusy(message, cause)
    else if (lines.exists(Later.matches) && (said ++ frames).exists(Of.matches))
      new StoreBusy(s"$message; try again later", cause)
    else new StorageError(message, cause)
  }
}

/** Another was faster, so what was decided on is no longer there; nothing is changed. */
final class Conflict(message: String) extends StorageError(message)

/** A store throttles, or does not answer, and went on so through all tries. */
final class StoreBusy(message: String, cause: Throwable = null) extends StorageError(message, cause)

/** A model fails for every row, so it is not the rows. */
final class ModelFailed(message: String, cause: Throwable) extends StorageError(message, cause)

/** A file is not the one that its manifest names. */
final class IntegrityError(message: String) extends StorageError(message)

/** A SavedModel holds ops that are not on the allow-list, so it is not opened. */
final class UnsafeModelError(message: String) extends StorageError(message)

/** The source table or its day is not there; a later try may find it. */
final class SourceMissing(message: String) extends TfsparkException(message, null)
