import { createRequire } from 'node:module'
import TCLIService from '@databricks/sql/thrift/TCLIService.js'

interface Transport {
  commitPosition(): void
}
interface Protocol {
  readMessageBegin(): { readonly fname: string }
}
interface ThriftLibrary {
  readonly TBufferedTransport: {
    new (buffer: undefined, onFlush: (message: Buffer) => void): Transport
    receiver(callback: (transport: Transport) => void): (message: Buffer) => void
  }
  readonly TBinaryProtocol: new (transport: Transport) => Protocol
}

// The driver's own copy, so that both sides of the wire speak the same version.
const driverRequire = createRequire(createRequire(import.meta.url).resolve('@databricks/sql'))
const { TBufferedTransport, TBinaryProtocol }: ThriftLibrary = driverRequire('thrift')

/** The driver's 64-bit integers, made from eight bytes or a number. */
export const Int64: new (value: Buffer | number) => { toNumber(): number } = driverRequire('node-int64')

export type RpcHandler = (request: never) => Promise<object>

/** Which RPC a message calls. */
export function calledRpc(message: Buffer): string {
  let name = ''
  TBufferedTransport.receiver((transport) => {
    name = new TBinaryProtocol(transport).readMessageBegin().fname
  })(message)
  return name
}

/**
 * Calls the handler of the RPC in a message, through the driver's own definition of the service.
 *
 * @returns the message of the reply; an error of the handler becomes a Thrift exception in it
 * @throws when the message has no end
 */
export function callThrift(handlers: Readonly<Record<string, RpcHandler>>, message: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    const output = new TBinaryProtocol(new TBufferedTransport(undefined, resolve))
    TBufferedTransport.receiver((transport) => {
      const processor = new TCLIService.Processor(handlers)
      // The generated declarations refer to types of Thrift, which are not installed.
      processor.process(new TBinaryProtocol(transport) as never, output as never)
    })(message)
  })
}
