{{/* Mixes of values that cannot work, each refused in a sentence. */}}
{{- define "ringway.check" -}}
{{- $v := .Values }}
{{- if not $v.topology.stamp }}
{{- fail "topology.stamp is missing: name this cluster's stamp in the topology" }}
{{- end }}
{{- if not (or $v.topology.inline $v.topology.existingConfigMap) }}
{{- fail "topology is missing: give it by --set-file topology.inline=topology.yaml, or name a ConfigMap in topology.existingConfigMap" }}
{{- end }}
{{- if and $v.topology.inline $v.topology.existingConfigMap }}
{{- fail "topology.inline and topology.existingConfigMap are both given: one of them must be empty" }}
{{- end }}
{{- if not $v.auth.existingSecret }}
{{- fail "auth.existingSecret is missing: make Secret ringway-identity by `ringway auth secret --stamp STAMP | kubectl apply -f -`, and name it" }}
{{- end }}
{{- $own := list "serviceAccountName" "automountServiceAccountToken" "enableServiceLinks" "imagePullSecrets" "terminationGracePeriodSeconds" "priorityClassName" "hostAliases" "dnsPolicy" "dnsConfig" "securityContext" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "initContainers" "containers" "volumes" }}
{{- range $key, $_ := $v.extraPodSpec }}
{{- if has $key $own }}{{ fail (printf "extraPodSpec.%s is what the chart itself makes: there is a value for it" $key) }}{{ end }}
{{- end }}
{{- if and $v.nats.external.enabled (not $v.nats.external.url) }}
{{- fail "nats.external.url is missing: give the NATS that clients keep, nats://host:port" }}
{{- end }}
{{- if and (gt (int $v.replicaCount) 1) (not $v.persistence.enabled) }}
{{- fail "replicaCount is more than 1 and persistence.enabled is false: a replica that comes back without its streams counts for a majority that it is not; use one replica, or give it a volume" }}
{{- end }}
{{- if and $v.metrics.serviceMonitor.enabled $v.metrics.podMonitor.enabled }}
{{- fail "metrics.serviceMonitor and metrics.podMonitor are both enabled: every sample would be there twice" }}
{{- end }}
{{- if and $v.link.tlsRoute.enabled (not $v.nats.websocket.enabled) }}
{{- fail "link.tlsRoute.enabled needs nats.websocket.enabled: only wss begins with TLS" }}
{{- end }}
{{- if and $v.link.tlsRoute.enabled (not (and $v.link.tlsRoute.hostname $v.link.tlsRoute.parentRefs)) }}
{{- fail "link.tlsRoute needs hostname and parentRefs" }}
{{- end }}
{{- if and $v.link.ingress.enabled (not (and $v.nats.websocket.enabled $v.link.ingress.hostname)) }}
{{- fail "link.ingress.enabled needs nats.websocket.enabled and link.ingress.hostname: only wss begins with TLS" }}
{{- end }}
{{- range $name := list "ingress" "httpRoute" }}
{{- $r := index $v $name }}
{{- if $r.enabled }}
{{- if not $v.rest.enabled }}{{ fail (printf "%s.enabled needs rest.enabled" $name) }}{{ end }}
{{- if and (eq $name "ingress") (not $r.hosts) }}{{ fail "ingress needs hosts" }}{{ end }}
{{- if and (eq $name "httpRoute") (not (and $r.hostnames $r.parentRefs)) }}{{ fail "httpRoute needs hostnames and parentRefs" }}{{ end }}
{{- if not (or (hasPrefix "/api" $r.path) (hasPrefix "/p/" $r.path)) }}{{ if ne (dig "rest" "tunnel" "sources" $v.config) "token" }}
{{- fail (printf "%s.path %s leads /t/ to anybody outside, since the proxy's address is one of clients.sources: set config.rest.tunnel=token, or a path below /api or /p/" $name $r.path) }}
{{- end }}{{ end }}
{{- end }}
{{- end }}
{{- if $v.rest.tokenReview.enabled }}
{{- if not $v.rest.enabled }}{{ fail "rest.tokenReview.enabled needs rest.enabled" }}{{ end }}
{{- if not (or $v.rest.tokenReview.accounts (include "ringway.planeNamespaces" . | fromJsonArray)) }}
{{- fail "rest.tokenReview.accounts is missing: name whose tokens count, namespace/name or namespace/*" }}
{{- end }}
{{- end }}
{{- range $name := list "stamp" "topology" "identity" "data" "listen" "replica" "targets" "controlPlanes" "externalCredentials" }}
{{- if hasKey $v.config $name }}{{ fail (printf "config.%s is made from other values: leave it out" $name) }}{{ end }}
{{- end }}
{{- include "ringway.checkAliases" . }}
{{- if $v.topology.inline }}{{ include "ringway.checkTopology" . }}{{ end }}
{{- end }}

{{/* The names of Keptn's services belong to the real ones where those are. */}}
{{- define "ringway.checkAliases" -}}
{{- $k := .Values.keptn }}
{{- $ctx := . }}
{{- range $ns := include "ringway.planeNamespaces" . | fromJsonArray }}
{{- if $k.executionPlane.aliases.enabled }}
{{- if and $k.controlPlane.enabled (eq $ns $k.controlPlane.namespace) }}
{{- if $k.executionPlane.aliases.rest }}
{{- fail (printf "aliases for %s are refused in namespace %s, for Keptn's own services of these names are there: set keptn.executionPlane.aliases.rest=[] or other keptn.executionPlane.namespaces" (join ", " $k.executionPlane.aliases.rest) $ns) }}
{{- end }}
{{- if and $k.executionPlane.aliases.nats $k.controlPlane.nats }}
{{- fail (printf "alias %s is refused in namespace %s, for Keptn's own NATS is there: set keptn.executionPlane.aliases.nats=\"\", or keptn.controlPlane.nats=false once it is gone" $k.executionPlane.aliases.nats $ns) }}
{{- end }}
{{- end }}
{{- range $name := append $k.executionPlane.aliases.rest $k.executionPlane.aliases.nats | compact }}
{{- $there := lookup "v1" "Service" $ns $name }}
{{- if $there }}
{{- $owner := dig "metadata" "annotations" "meta.helm.sh/release-name" "" $there }}
{{- if ne $owner $ctx.Release.Name }}
{{- fail (printf "Service %s is in namespace %s already and belongs to %s: an alias of that name would take its clients away; name other keptn.executionPlane.namespaces, or leave it out of keptn.executionPlane.aliases" $name $ns (default "somebody else" $owner)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the stamp is by an inline topology, as YAML: the rules of docs/topology.md, "Inheritance". */}}
{{- define "ringway.stampOf" -}}
{{- $t := .topology }}
{{- $found := dict }}
{{- range $t.stamps }}{{ if eq (toString .name) $.stamp }}{{ $found = . }}{{ end }}{{ end }}
{{- $layers := list (default (dict) $t.defaults) }}
{{- range $t.geos }}{{ if kindIs "map" . }}{{ if eq (toString .name) (toString $found.geo) }}{{ $layers = append $layers (default (dict) .defaults) }}{{ end }}{{ end }}{{ end }}
{{- range $t.rings }}{{ if kindIs "map" . }}{{ if eq (toString .name) (toString $found.ring) }}{{ $layers = append $layers (default (dict) .defaults) }}{{ end }}{{ end }}{{ end }}
{{- $layers = append $layers $found }}
{{- $out := dict "roles" (list "execution") "replicas" 1 "link" (dict "kind" "leaf") "clients" (dict "mode" "embedded") }}
{{- range $layers }}{{ $out = mergeOverwrite $out (deepCopy .) }}{{ end }}
{{- toYaml $out }}
{{- end }}

{{/* An inline topology and the other values say the same. */}}
{{- define "ringway.checkTopology" -}}
{{- $v := .Values }}
{{- $t := fromYaml $v.topology.inline }}
{{- if hasKey $t "Error" }}{{ fail (printf "topology.inline is no YAML: %s" $t.Error) }}{{ end }}
{{- $names := list }}
{{- range $t.stamps }}{{ $names = append $names (toString .name) }}{{ end }}
{{- if not (has $v.topology.stamp $names) }}
{{- fail (printf "topology.stamp is %q, and topology.inline has only: %s" $v.topology.stamp (join ", " $names)) }}
{{- end }}
{{- $s := include "ringway.stampOf" (dict "topology" $t "stamp" $v.topology.stamp) | fromYaml }}
{{- if ne (int $s.replicas) (int $v.replicaCount) }}
{{- fail (printf "replicaCount is %d, and the topology gives stamp %s %d replicas" (int $v.replicaCount) $v.topology.stamp (int $s.replicas)) }}
{{- end }}
{{- $hub := eq (toString $s.link.kind) "hub" }}
{{- if and (include "ringway.isHub" .) (not $hub) }}
{{- fail (printf "nats.gateway, nats.leafnodes or nats.websocket is enabled, and in the topology stamp %s is a leaf: a leaf only dials out" $v.topology.stamp) }}
{{- end }}
{{- range $key, $port := dict "gateway" "gateway" "leafnode" "leafnodes" "websocket" "websocket" }}
{{- if and $hub (dig "advertise" $key "" $s.link) (not (index $v.nats $port).enabled) }}
{{- fail (printf "nats.%s.enabled is false, and in the topology stamp %s advertises link.advertise.%s" $port $v.topology.stamp $key) }}
{{- end }}
{{- end }}
{{- $external := eq (toString $s.clients.mode) "external" }}
{{- if ne $external $v.nats.external.enabled }}
{{- fail (printf "nats.external.enabled is %t, and in the topology clients.mode of stamp %s is %s" $v.nats.external.enabled $v.topology.stamp $s.clients.mode) }}
{{- end }}
{{- if and $external (ne $v.nats.external.url (toString $s.clients.url)) }}
{{- fail (printf "nats.external.url is %s, and in the topology clients.url of stamp %s is %s" $v.nats.external.url $v.topology.stamp $s.clients.url) }}
{{- end }}
{{- range $t.controlPlanes }}
{{- if and (eq (toString .stamp) $v.topology.stamp) (not (dig "api" "poll" false .)) (not $v.keptn.controlPlane.enabled) }}
{{- fail (printf "control plane %s is in stamp %s in the topology: set keptn.controlPlane.enabled=true and say in which namespace Keptn is (keptn.controlPlane.namespace)" .name $v.topology.stamp) }}
{{- end }}
{{- end }}
{{- end }}
