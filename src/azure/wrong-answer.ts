/** An answer that is not what was asked for, or not of storage at all: a later one may be right. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer'
}
