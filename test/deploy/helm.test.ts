import assert from 'node:assert/strict'
import { test } from 'node:test'
import { skipUnless } from '../support/skip-unless.ts'
import { mistakesOf, runTool, tools, toolsMissing } from './tools.ts'

const skip = skipUnless(toolsMissing('helm', 'python', 'serviceMonitorSchema'))
const chart = 'deploy/helm/tailrace'

/** Renders the chart as `helm install logs` does. */
const render = (...settings: readonly string[]) =>
  runTool(tools.helm, ['template', 'logs', chart, '--kube-version', '1.34.0', ...settings])

/** What a release for one server sets, and what a release with everything sets. */
const settings: Readonly<Record<string, readonly string[]>> = {
  defaults: ['--set', 'env.AZURE_STORAGE_ACCOUNT=mylogs,env.TAILRACE_PRIMARY=primary/'],
  everything: [
    ...['--set', 'shards=4,workloadIdentity=true,metrics.serviceMonitor.enabled=true'],
    ...['--set', 'metrics.serviceMonitor.labels.release=prometheus,imagePullSecrets[0].name=registry'],
    ...['--set', 'secret.values.AZURE_STORAGE_CONNECTION_STRING=none,state.storageClass=managed-csi'],
    ...['--set', 'networkPolicy.extraEgressPorts={10000},nodeSelector.disk=ssd,podAnnotations.team=data'],
    ...['--set', 'env.TAILRACE_BATCH_BYTES=67108864,serviceAccount.annotations.id=client'],
    ...['--set-json', 'networkPolicy.scrapers=[{"podSelector":{"matchLabels":{"app":"prometheus"}}}]'],
    ...['--set-json', 'tolerations=[{"key":"spot","operator":"Exists"}]'],
    ...['--set-string', 'config=export default {}'],
  ],
  'a Secret that exists': ['--set', 'secret.existing=vault,secret.keys={DATABRICKS_TOKEN}'],
}

for (const [name, values] of Object.entries(settings)) {
  test(`the chart with ${name} renders manifests that Kubernetes accepts, without an unknown field`, {
    skip,
  }, async () => {
    const { code, stdout, stderr } = await render(...values)
    assert.equal(code, 0, stderr)
    assert.deepEqual(await mistakesOf('kubernetes', stdout, tools.serviceMonitorSchema), [])
    const lint = await runTool(tools.helm, ['lint', '--strict', chart, ...values])
    assert.equal(lint.code, 0, lint.stdout)
  })
}

test('the chart with everything has an object of each kind, and the pods have no right to change anything else', {
  skip,
}, async () => {
  const { stdout } = await render(...settings.everything!)
  const kinds = [...stdout.matchAll(/^kind: (\w+)$/gm)].map(([, kind]) => kind)
  assert.deepEqual(kinds.sort(), [
    'ConfigMap',
    'NetworkPolicy',
    'PodDisruptionBudget',
    'Secret',
    'Service',
    'ServiceAccount',
    'ServiceMonitor',
    'StatefulSet',
  ])
  for (const line of [
    'runAsNonRoot: true',
    'readOnlyRootFilesystem: true',
    'allowPrivilegeEscalation: false',
    'drop: [ALL]',
    'automountServiceAccountToken: false',
  ]) {
    assert.ok(stdout.includes(line), line)
  }
  // The value is in the Secret alone, and a large number is not written as 6.7108864e+07.
  assert.equal(stdout.match(new RegExp(Buffer.from('none').toString('base64'), 'g'))?.length, 1)
  assert.match(stdout, /name: AZURE_STORAGE_CONNECTION_STRING_FILE\n +value: \/run\/secrets\/tailrace\//)
  assert.match(stdout, /replicas: 4\n/)
  assert.match(stdout, /name: TAILRACE_SHARD\n +value: auto\/4\n/)
  assert.match(stdout, /name: TAILRACE_BATCH_BYTES\n +value: "67108864"/)
})

test('the check of manifests finds an unknown field of a pod and of a ServiceMonitor', { skip }, async () => {
  const { stdout } = await render(...settings.everything!)
  const wrong = stdout.replace('runAsNonRoot', 'runAsNotRoot').replace('interval: 30s', 'intervall: 30s')
  const mistakes = await mistakesOf('kubernetes', wrong, tools.serviceMonitorSchema)
  assert.equal(mistakes.length, 2)
  assert.match(mistakes.join('\n'), /runAsNotRoot.*intervall/s)
})

test('a wrong value of the chart is refused by its name', { skip }, async () => {
  for (const [value, named] of [
    ['shards=101', /shards/],
    ['repicas=1', /repicas/],
    ['env.tailrace_primary=a', /tailrace_primary/],
    ['metrics.port=80', /metrics.*port/s],
    ['secret.existing=a,secret.values.B=c', /secret/],
  ] as const) {
    const { code, stderr } = await render('--set', value)
    assert.equal(code, 1, value)
    assert.match(stderr, named)
  }
})
