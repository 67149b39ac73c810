/**
 * Turns a reason why a test cannot run here into its `skip`.
 *
 * Where everything is meant to be installed, `TAILRACE_REQUIRE_ALL=1` makes the reason an error: a test that
 * silently stops running protects nothing.
 *
 * @throws when there is a reason and `TAILRACE_REQUIRE_ALL` is 1
 */
export function skipUnless(reason: string | false): string | false {
  if (reason !== false && process.env.TAILRACE_REQUIRE_ALL === '1') {
    throw new Error(`TAILRACE_REQUIRE_ALL is 1, but ${reason}`)
  }
  return reason
}
