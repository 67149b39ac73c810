import type { TokenSource } from './auth.ts'
import type { WorkspaceAnswer, WorkspaceHttp, WorkspaceRequest } from './http.ts'

/**
 * Sends a request with a token; when its token is refused and there is a newer one, sends it once more with that.
 *
 * @returns the answer, whatever its status
 */
export async function authorizedRequest(
  { http, tokens }: { readonly http: Pick<WorkspaceHttp, 'request'>; readonly tokens: TokenSource },
  request: WorkspaceRequest,
): Promise<WorkspaceAnswer> {
  const { signal } = request
  const send = (token: string): Promise<WorkspaceAnswer> =>
    http.request({ ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } })
  const first = await tokens.token({ signal })
  const answer = await send(first.value)
  if (answer.status !== 401 && answer.status !== 403) return answer
  const second = await tokens.token({ signal, rejected: first.value })
  return second.value === first.value ? answer : await send(second.value)
}
