{{/* Names: DNS in the cluster, or the node's own cache of it. */}}
{{- define "ringway.dnsRule" -}}
- to: # names
    - namespaceSelector: {}
    - ipBlock: {cidr: 169.254.20.10/32}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}
