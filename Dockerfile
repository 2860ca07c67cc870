# docker build -t pgsluice .
#
# The first stage builds the Debian package, and of it the root file system, as `./dev image` does without Docker. The
# second one is that root file system: no shell, no package manager, an ordinary user.
FROM debian:12-slim AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /src
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates file mmdebstrap \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN ./dev program \
    && cpack --config build/program/CPackConfig.cmake -B /package \
    && cmake/packaging/rootfs.sh packages/*.deb /image

FROM scratch
COPY --from=build /image /
LABEL org.opencontainers.image.title="pgsluice" \
      org.opencontainers.image.licenses="MIT"
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
# Whether its loop turns; that a server is away is no reason to end it.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=6 CMD ["/usr/bin/pgsluice", "health", "--live"]
ENTRYPOINT ["/usr/bin/pgsluice"]
CMD ["run"]
