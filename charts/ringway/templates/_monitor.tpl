{{/* Endpoint of a monitor. Called with ctx and m. No metric has the stamp as a label. */}}
{{- define "ringway.endpoint" -}}
port: admin
path: /metrics
interval: {{ .m.interval }}
scrapeTimeout: {{ .m.scrapeTimeout }}
relabelings:
  - {action: replace, targetLabel: stamp, replacement: {{ .ctx.Values.topology.stamp | quote }}}
  {{- with .m.relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .m.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
