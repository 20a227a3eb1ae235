# The image: one static program, nothing else. `make image` builds the program
# and the folder that is copied, so that a build needs no network.
FROM scratch
ARG VERSION=devel
ARG REVISION=unknown
ARG CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="ringway" \
      org.opencontainers.image.description="A federation of Keptn over NATS" \
      org.opencontainers.image.source="https://github.com/ringway/ringway" \
      org.opencontainers.image.documentation="https://github.com/ringway/ringway/blob/main/docs/install.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --chown=65532:65532 root/ /
USER 65532:65532
WORKDIR /var/lib/ringway
# So that `kubectl exec POD -- ringway status` finds it.
ENV PATH=/
EXPOSE 4222 6222 6223 7222 7422 8080 8222 8443 9222
ENTRYPOINT ["/ringway"]
CMD ["run"]
