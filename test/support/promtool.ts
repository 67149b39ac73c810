import { spawnSync } from 'node:child_process'

/** Why Prometheus' own checks cannot run here, or false: made to be a test's `skip`. */
export function promtoolMissing(): string | false {
  const { status } = spawnSync('promtool', ['--version'])
  return status === 0 ? false : 'promtool, of the Debian package prometheus, is not installed'
}
