// A table for the log of Tailrace in a Log Analytics workspace, and the rule by which it is sent there without a collector.
//   az deployment group create -g GROUP -f deploy/log-analytics/main.bicep -p workspaceName=… principalId=…
// Its outputs are the values of TAILRACE_LOG_ANALYTICS_ENDPOINT and TAILRACE_LOG_ANALYTICS_RULE.
targetScope = 'resourceGroup'

@description('The workspace, in this resource group.')
param workspaceName string

@description('Region of the rule: that of the workspace.')
param location string = resourceGroup().location

@description('Object id of the identity that Tailrace runs as.')
param principalId string

@description('Days for which the rows are kept.')
@minValue(4)
@maxValue(730)
param retentionDays int = 30

var metricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'
var stream = 'Custom-Tailrace_CL'
var columns = [
  { name: 'TimeGenerated', type: 'datetime' }
  { name: 'Level', type: 'string' }
  { name: 'Message', type: 'string' }
  { name: 'Pipeline', type: 'string' }
  { name: 'Batch', type: 'string' }
  { name: 'Code', type: 'string' }
  { name: 'Host', type: 'string' }
  { name: 'Properties', type: 'dynamic' }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: workspaceName
}

resource table 'Microsoft.OperationalInsights/workspaces/tables@2023-09-01' = {
  parent: workspace
  name: 'Tailrace_CL'
  properties: {
    retentionInDays: retentionDays
    schema: {
      name: 'Tailrace_CL'
      columns: columns
    }
  }
}

resource rule 'Microsoft.Insights/dataCollectionRules@2023-03-11' = {
  name: 'tailrace-log'
  location: location
  // Such a rule has an endpoint of its own.
  kind: 'Direct'
  properties: {
    streamDeclarations: {
      '${stream}': {
        columns: columns
      }
    }
    destinations: {
      logAnalytics: [
        { name: 'workspace', workspaceResourceId: workspace.id }
      ]
    }
    dataFlows: [
      { streams: [stream], destinations: ['workspace'], outputStream: stream }
    ]
  }
  dependsOn: [table]
}

resource publish 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(rule.id, principalId, metricsPublisher)
  scope: rule
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', metricsPublisher)
  }
}

output endpoint string = rule.properties.endpoints.logsIngestion
output ruleId string = rule.properties.immutableId
