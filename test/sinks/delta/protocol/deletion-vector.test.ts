import assert from 'node:assert/strict'
import test from 'node:test'
import { isTailraceError } from '../../../../src/errors.ts'
import type { DeletionVector } from '../../../../src/sinks/delta/protocol/actions.ts'
import {
  decodeDeletionVector,
  deletionVectorName,
  deletionVectorPath,
  isDeletionVectorName,
  isOutside,
} from '../../../../src/sinks/delta/protocol/deletion-vector.ts'
import { numbersOf, uuidText, vectorBytes, vectorFile } from '../deletion-vectors.ts'

// An example of PROTOCOL.md.
const relative = {
  storageType: 'u',
  pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^',
  offset: 4,
  sizeInBytes: 40,
  cardinality: 6,
}
const inline = {
  storageType: 'i',
  pathOrInlineDv: '^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L',
  sizeInBytes: 44,
  cardinality: 6,
}
const name = 'deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin'
const absolute = { ...relative, storageType: 'p' }

function isCorrupt(pattern: RegExp) {
  return (error: unknown) => isTailraceError(error, 'TABLE_CORRUPT') && pattern.test(error.message)
}

function isRefused(pattern: RegExp) {
  return (error: unknown) => isTailraceError(error, 'TABLE_UNSUPPORTED') && pattern.test(error.message)
}

test('a vector in the log itself is read', () => {
  assert.deepEqual(numbersOf(decodeDeletionVector(inline, undefined)), [3, 4, 7, 11, 18, 29])
})

test("the specification's inline example is of a format before this one, and is refused", () => {
  const old = {
    ...inline,
    pathOrInlineDv: 'wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L',
    sizeInBytes: 40,
  }
  assert.throws(() => decodeDeletionVector(old, undefined), isCorrupt(/magic number/))
})

test('a relative vector is named by its UUID, in the folder before it', () => {
  assert.equal(deletionVectorPath(relative, '/t'), `ab/${name}`)
  assert.equal(deletionVectorName(relative), name)
  assert.ok(isDeletionVectorName(name))
  const plain = { ...relative, pathOrInlineDv: relative.pathOrInlineDv.slice(2) }
  assert.equal(deletionVectorPath(plain, '/t'), name)
  assert.equal(deletionVectorPath(inline, '/t'), undefined)
  assert.equal(deletionVectorName(inline), undefined)
})

test('an absolute path is read within the table, and refused elsewhere', () => {
  const azure = 'https://account.blob.core.windows.net/lake/tables/a'
  const inside: [location: string, path: string][] = [
    ['/tables/a', `/tables/a/${name}`],
    ['/tables/a', `file:/tables/a/${name}`],
    ['/tables/a', `file:///tables/a/${name}`],
    [azure, `${azure}/${name}`],
    [azure, `abfss://lake@account.dfs.core.windows.net/tables/a/${name}`],
  ]
  for (const [location, pathOrInlineDv] of inside) {
    const vector = { ...absolute, pathOrInlineDv }
    assert.equal(deletionVectorPath(vector, location), name)
    assert.equal(deletionVectorName(vector), name)
    assert.equal(isOutside(vector, location), false)
  }
  const elsewhere: [location: string, path: string][] = [
    ['/tables/a', `/tables/ab/${name}`],
    ['/tables/a', `/tables/a/../b/${name}`],
    ['/tables/a', `s3://mytable/${name}`],
    [azure, `abfss://lake@other.dfs.core.windows.net/tables/a/${name}`],
    [azure, `/tables/a/${name}`],
  ]
  for (const [location, pathOrInlineDv] of elsewhere) {
    const vector = { ...absolute, pathOrInlineDv }
    assert.throws(() => deletionVectorPath(vector, location), isRefused(/outside of its directory/))
    assert.equal(isOutside(vector, location), true)
  }
})

test('an absolute path is a URI, and leads to the file of its decoded name', () => {
  const azure = 'https://account.blob.core.windows.net/lake'
  const inside: [location: string, uri: string, path: string][] = [
    ['/my tables/a', `file:/my%20tables/a/${name}`, name],
    ['/my tables/a', `/my%20tables/a/b%20%C3%A9/${name}`, `b é/${name}`],
    ['/my%20tables/a', `file:///my%2520tables/a/${name}`, name],
    [`${azure}/my%20tables/a`, `${azure}/my%20tables/a/x%3D1/${name}`, `x=1/${name}`],
    [`${azure}/a%3Db`, `abfss://lake@account.dfs.core.windows.net/a=b/50%25/${name}`, `50%/${name}`],
    [azure, `abfss://lake@account.dfs.core.windows.net/a%20b/${name}`, `a b/${name}`],
  ]
  for (const [location, pathOrInlineDv, path] of inside) {
    const vector = { ...absolute, pathOrInlineDv }
    assert.equal(deletionVectorPath(vector, location), path)
    assert.equal(deletionVectorName(vector), name)
    assert.equal(isOutside(vector, location), false)
  }
  for (const pathOrInlineDv of [`/t/a/%2E%2E/b/${name}`, `/t/a/100%/${name}`, `/t/a%2Fb/../../${name}`]) {
    assert.equal(isOutside({ ...absolute, pathOrInlineDv }, '/t/a'), true, pathOrInlineDv)
  }
  const escaped = { ...absolute, pathOrInlineDv: `/t/a/${name.replace('_', '%5F')}` }
  assert.equal(deletionVectorName(escaped), name)
})

test('an unknown kind of vector is refused, and an invalid name is reported as corrupt', () => {
  const unknown = { ...relative, storageType: 'x' }
  assert.throws(() => deletionVectorPath(unknown, '/t'), isRefused(/unknown way: found storage type x/))
  assert.throws(() => deletionVectorName(unknown), isRefused(/unknown way: found storage type x/))
  assert.throws(
    () => deletionVectorPath({ ...relative, pathOrInlineDv: 'ab' }, '/t'),
    isCorrupt(/invalid UUID: ab/),
  )
  const climbing = { ...relative, pathOrInlineDv: `../${uuidText('d2c639aa-8816-431a-aaf6-d3fe2512ff61')}` }
  assert.throws(() => deletionVectorPath(climbing, '/t'), isRefused(/outside of its directory/))
})

test('each vector of a file is found at its offset, and any other bytes are reported as corrupt', () => {
  const rows = [[1, 2, 3], [70_000], [0, 5_000_000_000]]
  const vectors = rows.map((some) => vectorBytes(some))
  const { bytes, offsets } = vectorFile(vectors)
  const described = rows.map(
    (some, index): DeletionVector => ({
      ...relative,
      offset: offsets[index]!,
      sizeInBytes: vectors[index]!.length,
      cardinality: some.length,
    }),
  )
  assert.deepEqual(
    described.map((vector) => numbersOf(decodeDeletionVector(vector, bytes))),
    rows,
  )

  const [first] = described as [DeletionVector]
  const changed = (at: number, value: number) => {
    const copy = Buffer.from(bytes)
    copy[at] = value
    return copy
  }
  const damages: [vector: DeletionVector, file: Buffer | undefined, reason: RegExp][] = [
    [first, Buffer.alloc(0), /cannot be read/],
    [first, changed(0, 2), /version 2/],
    [first, changed(30, 9), /checksum/],
    [first, bytes.subarray(0, first.sizeInBytes + 6), /cannot be read/],
    [{ ...first, sizeInBytes: 3 }, bytes, /expected 3/],
    [{ ...first, cardinality: 4 }, bytes, /found 3 rows, expected 4/],
    [{ ...first, cardinality: 2 }, bytes, /more than 2/],
    [{ ...first, offset: 2 }, bytes, /cannot be read/],
    [{ ...first, offset: bytes.length }, bytes, /cannot be read/],
    [{ ...inline, pathOrInlineDv: 'a' }, undefined, /not valid Z85/],
    [{ ...inline, sizeInBytes: 45 }, undefined, /at least 45/],
    [{ ...inline, pathOrInlineDv: `0${inline.pathOrInlineDv.slice(1)}` }, undefined, /magic number/],
  ]
  for (const [vector, file, reason] of damages) {
    assert.throws(() => decodeDeletionVector(vector, file), isCorrupt(reason), String(reason))
  }
})
