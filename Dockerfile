# syntax=docker/dockerfile:1

FROM node:24-bookworm-slim AS client
WORKDIR /src
COPY frontend/package.json frontend/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY frontend .
RUN npm run build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
COPY --from=client /src/dist frontend/dist
# Crates and compiled dependencies stay in the builder's cache, so the program is copied out of it here.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked && cp target/release/hearth /usr/local/bin/hearth

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 hearth \
    && useradd --uid 10001 --gid hearth --home-dir /data --no-create-home --shell /usr/sbin/nologin hearth \
    && install --directory --owner=hearth --group=hearth --mode=0700 /data
COPY --from=build /usr/local/bin/hearth /usr/local/bin/hearth

ENV HEARTH_LISTEN=0.0.0.0:8000 \
    HEARTH_DATA_DIR=/data
USER hearth
WORKDIR /data
VOLUME /data
EXPOSE 8000

# Follows HEARTH_LISTEN, as the server does.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["hearth", "health"]

ENTRYPOINT ["hearth"]
CMD ["serve"]
