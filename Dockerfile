# The image of Tailrace: `docker build -t tailrace .` How to run it: docs/deployment.md.
ARG NODE_VERSION=22.23.3

FROM docker.io/library/node:${NODE_VERSION}-bookworm-slim AS build
WORKDIR /src
ENV npm_config_update_notifier=false CI=true

# The dependencies first, so that a change of the sources alone does not install them again.
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
RUN npx -y pnpm@10.34.9 install --frozen-lockfile

COPY . .
RUN npx -y pnpm@10.34.9 pack --out /tmp/tailrace.tgz \
  && mkdir /app \
  && tar -xzf /tmp/tailrace.tgz -C /app --strip-components=1 \
  && rm -r /app/docs /app/sample

# What is left has the versions of the lock file: the dependencies, and the packages that a config needs for Azure,
# Databricks and OpenTelemetry. Azurite, of the embedded storage, is not among them. Nothing reads their
# types and source maps.
RUN npx -y pnpm@10.34.9 remove --config.modules-cache-max-age=0 $(node -p "Object.keys(require('./package.json').devDependencies).filter((name) => !/^@(?:azure|opentelemetry|databricks)\//.test(name)).join(' ')") \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete \
  && mv node_modules /app/node_modules \
  && sed "s#'./src/index.ts'#'tailrace'#" pipeline.config.ts > /app/pipeline.config.ts

# A volume is made with the owner of the directory that it covers.
RUN mkdir -p /data/var/lib/tailrace && chown 1000:1000 /data/var/lib/tailrace

FROM docker.io/library/node:${NODE_VERSION}-bookworm-slim
LABEL org.opencontainers.image.title="Tailrace" \
  org.opencontainers.image.description="Tails append blobs with PostgreSQL logs into Delta Lake and Databricks tables." \
  org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /app /app
COPY --from=build /data/ /
ENV NODE_ENV=production \
  NODE_OPTIONS=--max-semi-space-size=4 \
  MALLOC_ARENA_MAX=2 \
  TAILRACE_CONFIG=/app/pipeline.config.ts \
  TAILRACE_STATE=/var/lib/tailrace/state \
  TAILRACE_LAKEHOUSE=/var/lib/tailrace/lakehouse \
  TAILRACE_METRICS_HOST=0.0.0.0 \
  TAILRACE_METRICS_PORT=9464
WORKDIR /var/lib/tailrace
USER 1000:1000
EXPOSE 9464
VOLUME /var/lib/tailrace
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["node", "/app/bin/tailrace.js", "health"]
ENTRYPOINT ["node", "/app/bin/tailrace.js"]
CMD ["start"]
