# One image for every program of Sojourn: `docker compose` chooses the program by its command.
# The build caches dependencies apart from the sources, so that a change of code builds in seconds.

FROM rust:1.95-bookworm AS build
# The version that the programs tell of themselves, such as 0.1.0+7e12fcb; that of the package when it is empty.
ARG SOJOURN_BUILD=""
ENV SOJOURN_BUILD=$SOJOURN_BUILD
WORKDIR /sojourn
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/sojourn/target \
    cargo build --release --locked --package orchestrator --package workers --package gateway --package dashboard --package sagactl \
    && mkdir /out \
    && cp target/release/orchestrator target/release/worker target/release/gateway target/release/dashboard target/release/sagactl /out/

# No shell, no package manager, not root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
ENV SOJOURN_LOG_FORMAT=json
CMD ["gateway", "--help"]
