import types from '@databricks/sql/thrift/TCLIService_types.js'
import { Int64 } from './thrift-call.ts'
import type { ColumnType, Value } from './warehouse-engine.ts'

/** A column of a result; only the answer to a staging statement has a map, as JSON text. */
export interface ResultColumn {
  readonly name: string
  readonly type: ColumnType | 'MAP'
}

const typeIds = {
  BOOLEAN: types.TTypeId.BOOLEAN_TYPE,
  INT: types.TTypeId.INT_TYPE,
  BIGINT: types.TTypeId.BIGINT_TYPE,
  DOUBLE: types.TTypeId.DOUBLE_TYPE,
  STRING: types.TTypeId.STRING_TYPE,
  BINARY: types.TTypeId.BINARY_TYPE,
  TIMESTAMP: types.TTypeId.TIMESTAMP_TYPE,
  DATE: types.TTypeId.DATE_TYPE,
  DECIMAL: types.TTypeId.DECIMAL_TYPE,
  MAP: types.TTypeId.MAP_TYPE,
} as const satisfies Record<ResultColumn['type'], number>

export function tableSchema(columns: readonly ResultColumn[]): InstanceType<typeof types.TTableSchema> {
  return new types.TTableSchema({
    columns: columns.map(
      ({ name, type }, index) =>
        new types.TColumnDesc({
          columnName: name,
          typeDesc: new types.TTypeDesc({
            types: [
              new types.TTypeEntry({
                primitiveEntry: new types.TPrimitiveTypeEntry({ type: typeIds[type] }),
              }),
            ],
          }),
          position: index + 1,
        }),
    ),
  })
}

/** Rows as the driver's COLUMN_BASED_SET: for each column its values, and a bitmap of those that are null. */
export function columnSet(
  columns: readonly ResultColumn[],
  rows: readonly (readonly Value[])[],
  startRow: number,
): InstanceType<typeof types.TRowSet> {
  return new types.TRowSet({
    startRowOffset: new Int64(startRow) as never,
    rows: [],
    columns: columns.map(({ type }, index) =>
      column(
        type,
        rows.map((row) => row[index] ?? null),
      ),
    ),
  })
}

function column(type: ResultColumn['type'], values: readonly Value[]): InstanceType<typeof types.TColumn> {
  const nulls = nullBitmap(values)
  switch (type) {
    case 'BOOLEAN':
      return new types.TColumn({
        boolVal: new types.TBoolColumn({ values: values.map((value) => value === true), nulls }),
      })
    case 'INT':
      return new types.TColumn({ i32Val: new types.TI32Column({ values: values.map(Number), nulls }) })
    case 'BIGINT':
      return new types.TColumn({
        i64Val: new types.TI64Column({ values: values.map(int64) as never, nulls }),
      })
    case 'DOUBLE':
      return new types.TColumn({ doubleVal: new types.TDoubleColumn({ values: values.map(Number), nulls }) })
    case 'BINARY':
      return new types.TColumn({ binaryVal: new types.TBinaryColumn({ values: values.map(binary), nulls }) })
    default:
      return new types.TColumn({ stringVal: new types.TStringColumn({ values: values.map(text), nulls }) })
  }
}

function int64(value: Value): InstanceType<typeof Int64> {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value ?? 0))
  return new Int64(bytes)
}

/** Bytes are base64 text on their way here, as in Databricks' JSON results. */
function binary(value: Value): Buffer {
  return Buffer.from(text(value), 'base64')
}

function text(value: Value): string {
  return value === null ? '' : String(value)
}

/** One bit a value, the first value in the lowest bit of the first byte. */
function nullBitmap(values: readonly Value[]): Buffer {
  const bitmap = Buffer.alloc(Math.ceil(values.length / 8))
  for (const [index, value] of values.entries()) {
    if (value === null) bitmap[index >> 3]! |= 1 << (index & 7)
  }
  return bitmap
}
