/** An answer that does not match its request, or does not come from storage. A later attempt may succeed. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer'
}
