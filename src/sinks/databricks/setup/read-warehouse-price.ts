import { isTailraceError } from '../../../errors.ts'
import { interactiveRetry, retry } from '../../../retry.ts'
import type { SinkContext } from '../../sink.ts'
import { openWorkspace } from '../open-workspace.ts'
import type { DatabricksOptions } from '../options.ts'
import { warehouseId } from '../warehouse/setup-error.ts'
import { usualSettings, type WarehousePrice, warehousePrice } from './warehouse-price.ts'

/**
 * Reads the settings of a pipeline's warehouse and computes its price. A command must not fail because of an estimate:
 * settings that cannot be read are assumed, with the reason in `assumptions`.
 */
export async function readWarehousePrice(context: SinkContext<DatabricksOptions>): Promise<WarehousePrice> {
  const { target, signal, clock, logger } = context
  const { httpPath, prices } = target.sink
  const id = httpPath?.includes('/warehouses/') === true ? warehouseId(httpPath) : undefined
  if (id === undefined) return warehousePrice(usualSettings, prices, 'httpPath names no warehouse')
  const workspace = await openWorkspace(target, { signal, clock, logger })
  try {
    const read = () => workspace.api.warehouseSettings(id)
    return warehousePrice(await retry(read, { policy: interactiveRetry, signal, clock }), prices)
  } catch (error) {
    signal?.throwIfAborted()
    if (!isTailraceError(error)) throw error
    return warehousePrice(
      usualSettings,
      prices,
      `its settings could not be read (${error.code}: ${error.message})`,
    )
  } finally {
    await workspace.close()
  }
}
