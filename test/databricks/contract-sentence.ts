import { type TestContext, test } from 'node:test'
import { type ContractBench, openContractBench } from './contract-bench.ts'
import type { ContractTarget } from './contract-targets.ts'

/**
 * Declares one sentence of the contract as a test of a target, which gets a bench of its own.
 *
 * @param skip why the target cannot be asked this
 */
export function contractTest(
  target: ContractTarget,
  sentence: string,
  check: (bench: ContractBench, t: TestContext) => Promise<void>,
  skip = target.skip,
): void {
  if (skip !== false) return
  test(`${target.name}: ${sentence}`, async (t) => {
    await check(await openContractBench(t, target), t)
  })
}

/** Names a target that cannot be asked here. @param all stands for the tests that are left out */
export function skipContract({ name, skip }: Pick<ContractTarget, 'name' | 'skip'>, all: string): void {
  if (skip !== false) test(`${name}: ${all}`, { skip }, () => {})
}
