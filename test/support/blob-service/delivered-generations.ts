import assert from 'node:assert/strict'
import { instantOf } from '../../../src/records.ts'
import type { StoredGeneration } from './stored-blob.ts'

/** What one tailer delivered, from offset 0 on. */
export interface Delivery {
  /** As its chunks named it; undefined when there was none. */
  readonly generation: string | undefined
  readonly bytes: Buffer
}

/** A generation, and the instants of earlier contents of its name under which it may be delivered as well. */
export interface DeliverableGeneration extends StoredGeneration {
  readonly earlierInstants?: readonly string[]
}

/**
 * Earlier contents of a name that are the beginning of a later one: a blob that is created anew with all that it held
 * before is a copy of it, and goes on under the earlier instant.
 *
 * @param generations all contents of the name, in order
 */
export function continuedInstants(generations: readonly StoredGeneration[], index: number): string[] {
  const { content } = generations[index]!
  return generations
    .slice(0, index)
    .filter((one) => one.content.length > 0 && content.subarray(0, one.content.length).equals(one.content))
    .map(({ createdAtMs }) => instantOf(new Date(createdAtMs)))
}

/**
 * Asserts that each delivery is a prefix of a generation, each of a later one than the delivery before, and that the
 * generation that is there at the end was delivered whole.
 *
 * A delivery may be a prefix of several generations, as when a blob is cut behind what was read of it: then it stands
 * for the earliest, which leaves the most to those after it.
 *
 * @param existsAtEnd whether the last generation is still there; one that was removed may have gone unread
 */
export function assertGenerationsDelivered(
  generations: readonly DeliverableGeneration[],
  deliveries: readonly Delivery[],
  existsAtEnd: boolean,
): void {
  const full = deliveries.filter(({ bytes }) => bytes.length > 0)
  const last = generations.at(-1)
  const owesLast = existsAtEnd && last !== undefined && last.content.length > 0
  let next = 0
  for (const [index, delivery] of full.entries()) {
    const isFinal = owesLast && index === full.length - 1
    const from = isFinal ? Math.max(next, generations.length - 1) : next
    const found = generations.findIndex((generation, at) => at >= from && isPrefix(delivery, generation))
    assert.ok(
      found >= 0,
      `delivery ${index + 1} of ${full.length}, ${delivery.bytes.length} bytes of ${delivery.generation}, is no prefix ` +
        `of a generation from number ${from + 1} on; there were ${describe(generations)}`,
    )
    next = found + 1
  }
  if (!owesLast) return
  const end = full.at(-1)?.bytes
  assert.ok(
    end?.equals(last.content),
    `the last generation was not delivered whole: ${end?.length ?? 0} of ${last.content.length} bytes`,
  )
}

function isPrefix(
  { generation, bytes }: Delivery,
  { createdAtMs, content, earlierInstants = [] }: DeliverableGeneration,
): boolean {
  // Behind the instant, a name may number the contents that were created in it.
  const instant = generation?.split('.', 1)[0] ?? ''
  const isNamed = instant === instantOf(new Date(createdAtMs)) || earlierInstants.includes(instant)
  return isNamed && bytes.equals(content.subarray(0, bytes.length))
}

function describe(generations: readonly StoredGeneration[]): string {
  return generations
    .map(({ createdAtMs, content }) => `${instantOf(new Date(createdAtMs))} with ${content.length}`)
    .join(', ')
}
