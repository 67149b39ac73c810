// Tailrace as an Azure Container App: one replica with a managed identity, reading one storage account and writing Delta
// tables into another, or the same.
//   az deployment group create -g GROUP -f deploy/container-apps/main.bicep -p image=… logsAccount=… primary=…
targetScope = 'resourceGroup'

@description('Where everything is created.')
param location string = resourceGroup().location

@description('Name of the app, and prefix of what belongs to it.')
@minLength(2)
@maxLength(24)
param name string = 'tailrace'

@description('The image, with its registry and tag.')
param image string

@description('Registry that the identity pulls the image from, such as myregistry.azurecr.io. Empty for a public one. The identity needs AcrPull there.')
param registry string = ''

@description('Storage account of the logs, in this resource group.')
param logsAccount string

@description('Container of the logs.')
param logsContainer string = 'insights-logs-postgresqllogs'

@description('Which blobs the primary writes: a prefix, a pattern, or the resource id of the server.')
param primary string

@description('The same of a replica. Empty for none.')
param replica string = ''

@description('Storage account of the Delta tables, in this resource group.')
param lakehouseAccount string = logsAccount

@description('Container of the Delta tables, which must exist.')
param lakehouseContainer string = 'lakehouse'

@description('Log Analytics workspace that receives the log of the app.')
param logAnalyticsWorkspace string

var blobReader = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
var blobContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${name}-identity'
  location: location
}

resource logs 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: logsAccount
}

resource lakehouse 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: lakehouseAccount
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' existing = {
  name: logAnalyticsWorkspace
}

resource readLogs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(logs.id, identity.id, blobReader)
  scope: logs
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobReader)
  }
}

resource writeTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(lakehouse.id, identity.id, blobContributor)
  scope: lakehouse
  properties: {
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobContributor)
  }
}

resource appEnvironment 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: '${name}-environment'
  location: location
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: workspace.properties.customerId
        sharedKey: workspace.listKeys().primarySharedKey
      }
    }
  }
}

resource app 'Microsoft.App/containerApps@2024-03-01' = {
  name: name
  location: location
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    managedEnvironmentId: appEnvironment.id
    configuration: {
      // The old revision ends when the new one is ready. Until then both run, and the table refuses what would land twice.
      activeRevisionsMode: 'Single'
      registries: empty(registry) ? [] : [
        {
          server: registry
          identity: identity.id
        }
      ]
    }
    template: {
      // Longer than the 30 s within which a run lands what it holds.
      terminationGracePeriodSeconds: 45
      containers: [
        {
          name: 'tailrace'
          image: image
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          env: [
            { name: 'AZURE_CLIENT_ID', value: identity.properties.clientId }
            { name: 'AZURE_STORAGE_ACCOUNT', value: logsAccount }
            { name: 'TAILRACE_CONTAINER', value: logsContainer }
            { name: 'TAILRACE_PRIMARY', value: primary }
            { name: 'TAILRACE_REPLICA', value: replica }
            { name: 'TAILRACE_LAKEHOUSE', value: 'abfss://${lakehouseContainer}@${lakehouseAccount}.dfs.${environment().suffixes.storage}/tailrace' }
          ]
          probes: [
            { type: 'Startup', httpGet: { path: '/startupz', port: 9464 }, periodSeconds: 60, failureThreshold: 10 }
            { type: 'Liveness', httpGet: { path: '/livez', port: 9464 }, periodSeconds: 20, timeoutSeconds: 5, failureThreshold: 6 }
            { type: 'Readiness', httpGet: { path: '/readyz', port: 9464 }, periodSeconds: 10, timeoutSeconds: 5 }
          ]
          // Offset files and staging. The offsets are in the Delta table itself, so a new replica starts without them.
          volumeMounts: [
            { volumeName: 'state', mountPath: '/var/lib/tailrace' }
          ]
        }
      ]
      scale: {
        minReplicas: 1
        maxReplicas: 1
      }
      volumes: [
        { name: 'state', storageType: 'EmptyDir' }
      ]
    }
  }
  dependsOn: [
    readLogs
    writeTables
  ]
}

output principalId string = identity.properties.principalId
