/** An answer in Databricks' error shape: a status, and `{ "error_code": …, "message": … }`. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal'
  readonly status: number
  /** Such as `ALREADY_EXISTS`. */
  readonly errorCode: string
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, errorCode: string, message: string, headers: Record<string, string> = {}) {
    super(message)
    this.status = status
    this.errorCode = errorCode
    this.headers = headers
  }
}

/** No answer at all: the connection goes away. */
export class DroppedConnection extends Error {
  override readonly name = 'DroppedConnection'
}

/** A session or an operation that is not, or no longer, there. */
export class InvalidHandle extends Error {
  override readonly name = 'InvalidHandle'
}
