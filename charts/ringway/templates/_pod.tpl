{{/* Where the pods run. */}}
{{- define "ringway.placement" -}}
{{- $v := .Values }}
{{- with $v.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $v.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $v.affinity }}
affinity:
  {{- toYaml $v.affinity | nindent 2 }}
{{- else if and (gt (int $v.replicaCount) 1) (eq $v.podAntiAffinity "hard") }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: {{ $v.podAntiAffinityTopologyKey }}
        labelSelector:
          matchLabels:
            {{- include "ringway.selector" . | nindent 12 }}
{{- else if and (gt (int $v.replicaCount) 1) (eq $v.podAntiAffinity "soft") }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: {{ $v.podAntiAffinityTopologyKey }}
          labelSelector:
            matchLabels:
              {{- include "ringway.selector" . | nindent 14 }}
{{- end }}
{{- if $v.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $v.topologySpreadConstraints | nindent 2 }}
{{- else if gt (int $v.replicaCount) 1 }}
topologySpreadConstraints:
  - topologyKey: topology.kubernetes.io/zone
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "ringway.selector" . | nindent 8 }}
{{- end }}
{{- end }}

{{/* What the container listens on. */}}
{{- define "ringway.ports" -}}
{{- $v := .Values -}}
- {name: nats, containerPort: {{ $v.nats.clients.port }}}
{{- if $v.nats.monitoring.enabled }}
- {name: monitoring, containerPort: {{ $v.nats.monitoring.port }}}
{{- end }}
{{- if $v.rest.enabled }}
- {name: rest, containerPort: {{ $v.rest.port }}}
{{- end }}
- {name: admin, containerPort: {{ $v.metrics.port }}}
{{- if $v.nats.gateway.enabled }}
- {name: gateway, containerPort: {{ $v.nats.gateway.port }}}
{{- end }}
{{- if $v.nats.leafnodes.enabled }}
- {name: leafnodes, containerPort: {{ $v.nats.leafnodes.port }}}
{{- end }}
{{- if $v.nats.websocket.enabled }}
- {name: websocket, containerPort: {{ $v.nats.websocket.port }}}
{{- end }}
{{- if gt (int $v.replicaCount) 1 }}
- {name: routes, containerPort: {{ $v.nats.routes.port }}}
{{- if include "ringway.isHub" . }}
- {name: link-routes, containerPort: {{ $v.nats.linkRoutes.port }}}
{{- end }}
{{- end }}
{{- end }}
