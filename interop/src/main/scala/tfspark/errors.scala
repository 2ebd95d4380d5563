package tfspark

/** Base of every error raised on purpose; the messages are those of the Python side.
  *
  * @param exitCode
  *   what a job ends with
  */
sealed abstract class TfsparkException(message: String, val exitCode: Int, cause: Throwable)
    extends RuntimeException(message, cause)

/** A setting or an argument is wrong. */
final class ConfigError(message: String) extends TfsparkException(message, 2, null)

/** There is no model at the folder that was given. */
final class ModelNotFound(message: String) extends TfsparkException(message, 2, null)

/** The columns of a table cannot be bound to the inputs of a model. */
final class SignatureError(message: String) extends TfsparkException(message, 2, null)

/** Reading or writing failed, or a model fails for every row. */
final class StorageError(message: String, cause: Throwable = null)
    extends TfsparkException(message, 6, cause)

/** A file is not the one that its manifest names. */
final class IntegrityError(message: String) extends TfsparkException(message, 6, null)

/** A SavedModel holds ops that are not on the allow-list, so it is not opened. */
final class UnsafeModelError(message: String) extends TfsparkException(message, 6, null)

/** A contract file cannot be used; the message starts with `file:line`. */
final class ContractFileError(message: String) extends TfsparkException(message, 2, null)

/** The data breaks its contract beyond what the contract allows. */
final class ContractViolation(message: String) extends TfsparkException(message, 3, null)

/** The source table or its day is not there; a later try may find it. */
final class SourceMissing(message: String) extends TfsparkException(message, 75, null)
