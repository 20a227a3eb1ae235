{{/* gateway.yaml: what the chart knows, over what config says. */}}
{{- define "ringway.gatewayYAML" -}}
{{- $v := .Values }}
{{- $listen := dict
  "clients" (printf ":%v" $v.nats.clients.port)
  "gateway" (printf ":%v" $v.nats.gateway.port)
  "leafnode" (printf ":%v" $v.nats.leafnodes.port)
  "websocket" (printf ":%v" $v.nats.websocket.port)
  "admin" (printf ":%v" $v.metrics.port)
  "monitoring" (ternary (printf ":%v" $v.nats.monitoring.port) "off" $v.nats.monitoring.enabled)
  "rest" (ternary (printf ":%v" $v.rest.port) "off" $v.rest.enabled)
  "routes" (printf ":%v" $v.nats.routes.port)
  "linkRoutes" (printf ":%v" $v.nats.linkRoutes.port) }}
{{- $own := dict
  "stamp" $v.topology.stamp
  "topology" (printf "/etc/ringway/topology/%s" $v.topology.key)
  "identity" "/etc/ringway/identity"
  "data" "/var/lib/ringway/data"
  "listen" $listen }}
{{- if gt (int $v.replicaCount) 1 }}
{{- $_ := set $own "replica" (dict "peersDNS" (printf "%s-peers.%s.svc.%s" (include "ringway.fullname" .) (include "ringway.namespace" .) $v.clusterDomain)) }}
{{- end }}
{{- if $v.nats.external.credentials.existingSecret }}
{{- $_ := set $own "externalCredentials" (printf "/etc/ringway/external/%s" $v.nats.external.credentials.key) }}
{{- end }}
{{- $rest := dict "clusterDomain" $v.clusterDomain }}
{{- if $v.rest.tls.existingSecret }}
{{- $_ := set $rest "cert" "/etc/ringway/rest-tls/tls.crt" }}
{{- $_ := set $rest "key" "/etc/ringway/rest-tls/tls.key" }}
{{- end }}
{{- if $v.rest.tokens.existingSecret }}
{{- $_ := set $rest "tokens" "/etc/ringway/tokens" }}
{{- end }}
{{- with $v.rest.tokenReview }}{{ if .enabled }}
{{- $accounts := .accounts }}
{{- if not $accounts }}{{ range $ns := include "ringway.planeNamespaces" $ | fromJsonArray }}{{ $accounts = append $accounts (printf "%s/*" $ns) }}{{ end }}{{ end }}
{{- $rest = mergeOverwrite $rest (dict "tokenReview" "/etc/ringway/token-review" "audience" .audience "accounts" $accounts) }}
{{- end }}{{ end }}
{{- $_ := set $own "rest" $rest }}
{{- $targets := dict }}
{{- range $name, $t := $v.targets }}{{ $_ := set $targets $name (include "ringway.targetFiles" (dict "dir" (printf "/etc/ringway/targets/%s" $name) "t" $t) | fromYaml) }}{{ end }}
{{- with $targets }}{{ $_ := set $own "targets" . }}{{ end }}
{{- $controls := dict }}
{{- range $name, $c := $v.controlPlanes }}
{{- $dir := printf "/etc/ringway/control-planes/%s" $name }}
{{- $files := dict "tokenFile" (printf "%s/%s" $dir (default "token" $c.tokenKey)) }}
{{- range $key := list "ca" "cert" "key" }}{{ with index $c $key }}{{ $_ := set $files $key (printf "%s/%s" $dir .) }}{{ end }}{{ end }}
{{- $_ := set $controls $name $files }}
{{- end }}
{{- with $controls }}{{ $_ := set $own "controlPlanes" . }}{{ end }}
{{- toYaml (mergeOverwrite (deepCopy $v.config) $own) }}
{{- end }}

{{/* Files of a target. Called with dir and t. */}}
{{- define "ringway.targetFiles" -}}
{{- $files := dict }}
{{- $credentials := dict }}
{{- range $key := list "ca" "cert" "key" }}{{ with index $.t $key }}{{ $_ := set $files $key (printf "%s/%s" $.dir .) }}{{ end }}{{ end }}
{{- range $header, $key := .t.credentials }}{{ $_ := set $credentials $header (printf "%s/%s" $.dir $key) }}{{ end }}
{{- if .t.serviceAccount }}
{{- $_ := set $files "ca" (default (printf "%s/sa-ca.crt" .dir) $files.ca) }}
{{- $_ := set $files "credentialPrefix" "Bearer " }}
{{- $_ := set $credentials "Authorization" (printf "%s/sa-token" .dir) }}
{{- end }}
{{- with .t.serverName }}{{ $_ := set $files "serverName" . }}{{ end }}
{{- with .t.credentialPrefix }}{{ $_ := set $files "credentialPrefix" . }}{{ end }}
{{- with $credentials }}{{ $_ := set $files "credentials" . }}{{ end }}
{{- toYaml $files }}
{{- end }}

{{/* What is mounted from elsewhere, as a list of name, path and the source of a projected volume. */}}
{{- define "ringway.mounts" -}}
{{- $v := .Values }}
- {name: topology, path: topology, sources: [{configMap: {name: {{ include "ringway.topologyConfigMap" . }}}}]}
- {name: identity, path: identity, sources: [{secret: {name: {{ $v.auth.existingSecret }}}}]}
{{- with $v.nats.external.credentials.existingSecret }}
- {name: external, path: external, sources: [{secret: {name: {{ . }}}}]}
{{- end }}
{{- with $v.rest.tls.existingSecret }}
- {name: rest-tls, path: rest-tls, sources: [{secret: {name: {{ . }}}}]}
{{- end }}
{{- with $v.rest.tokens.existingSecret }}
- {name: tokens, path: tokens, sources: [{secret: {name: {{ . }}}}]}
{{- end }}
{{- if $v.rest.tokenReview.enabled }}
- name: token-review
  path: token-review
  sources:
    - serviceAccountToken: {path: token, expirationSeconds: 3600}
    - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- range $name, $t := $v.targets }}
- name: {{ printf "target-%s" $name }}
  path: {{ printf "targets/%s" $name }}
  sources:
    {{- with $t.existingSecret }}
    - secret: {name: {{ . }}}
    {{- end }}
    {{- if $t.serviceAccount }}
    - serviceAccountToken: {path: sa-token, expirationSeconds: 3600}
    - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: sa-ca.crt}]}
    {{- end }}
{{- end }}
{{- range $name, $c := $v.controlPlanes }}
- {name: {{ printf "control-%s" $name }}, path: {{ printf "control-planes/%s" $name }}, sources: [{secret: {name: {{ $c.existingSecret }}}}]}
{{- end }}
{{- end }}
