import { Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Sends objects through one stage and returns what came out, or fails as the stage did. */
export async function through<Output>(
  stage: Transform,
  inputs: Iterable<unknown> | AsyncIterable<unknown>,
): Promise<Output[]> {
  const outputs: Output[] = []
  await pipeline(Readable.from(inputs, { objectMode: true, highWaterMark: 1 }), stage, async (source) => {
    for await (const output of source) outputs.push(output as Output)
  })
  return outputs
}
