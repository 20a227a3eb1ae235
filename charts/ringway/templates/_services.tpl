{{/* Ports of the Service for clients: always those that clients know. */}}
{{- define "ringway.clientPorts" -}}
- {name: nats, port: 4222, targetPort: nats}
{{- if .Values.nats.monitoring.enabled }}
- {name: monitoring, port: 8222, targetPort: monitoring}
{{- end }}
{{- if .Values.rest.enabled }}
- {name: rest, port: 8080, targetPort: rest}
{{- end }}
{{- end }}

{{/* A Service that is another name of the client Service. Called with ctx, name, namespace and ports. Selectors see only their own namespace. */}}
{{- define "ringway.alias" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "ringway.metadata" (dict "ctx" .ctx "name" .name "namespace" .namespace "component" "alias") | nindent 2 }}
spec:
  {{- if eq .namespace (include "ringway.namespace" .ctx) }}
  selector:
    {{- include "ringway.selector" .ctx | nindent 4 }}
  {{- else }}
  type: ExternalName
  externalName: {{ include "ringway.host" .ctx }}
  {{- end }}
  ports:
    {{- .ports | nindent 4 }}
{{- end }}
