/** Flexible server, single server, and Azure Cosmos DB for PostgreSQL, which was Citus. */
const serverId =
  /^\/subscriptions\/[^/]+\/resourcegroups\/[^/]+\/providers\/microsoft\.dbforpostgresql\/(?:flexibleservers|servers|servergroupsv2)\/[^/]+\/?$/i

/** @returns whether `text` is meant as an Azure resource id rather than a blob name. */
export function looksLikeResourceId(text: string): boolean {
  return /^\/subscriptions\//i.test(text)
}

/** @returns whether `text` is the id of a PostgreSQL server, in any case, with or without a slash at its end */
export function isServerResourceId(text: string): boolean {
  return serverId.test(text)
}
