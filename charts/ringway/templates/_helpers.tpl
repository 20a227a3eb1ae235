{{- define "ringway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* Name of every object. 50 characters leave room for what comes after it. */}}
{{- define "ringway.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "ringway.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "ringway.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "ringway.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "ringway.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "ringway.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Whom a Service, a PDB, a policy means: the gateway's pods, not those of tests. */}}
{{- define "ringway.selector" -}}
app.kubernetes.io/name: {{ include "ringway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "ringway.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "ringway.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: ringway
{{- with merge (dict) .Values.commonLabels .Values.global.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Metadata of an object. Called with a dict: ctx, and if need be name, component, namespace, labels, annotations. */}}
{{- define "ringway.metadata" -}}
{{ include "ringway.clusterMetadata" (merge (dict "namespace" (default (include "ringway.namespace" .ctx) .namespace)) .) }}
{{- end }}

{{/* The same of one that is in no namespace, unless one is given. */}}
{{- define "ringway.clusterMetadata" -}}
name: {{ default (include "ringway.fullname" .ctx) .name }}
{{- with .namespace }}
namespace: {{ . }}
{{- end }}
labels:
  {{- include "ringway.labels" .ctx | nindent 2 }}
  app.kubernetes.io/component: {{ default "gateway" .component }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) .annotations) .ctx.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "ringway.image" -}}
{{- $registry := default .Values.image.registry .Values.global.imageRegistry }}
{{- $name := .Values.image.repository }}
{{- if $registry }}{{ $name = printf "%s/%s" (trimSuffix "/" $registry) $name }}{{ end }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $name .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "ringway.pullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Host of the client Service, from everywhere in the cluster. */}}
{{- define "ringway.host" -}}
{{- printf "%s.%s.svc.%s" (include "ringway.fullname" .) (include "ringway.namespace" .) .Values.clusterDomain }}
{{- end }}

{{- define "ringway.natsURL" -}}
{{- if .Values.nats.external.enabled }}{{ .Values.nats.external.url }}{{ else }}nats://{{ include "ringway.host" . }}:4222{{ end }}
{{- end }}

{{/* Namespaces of integrations, as JSON. */}}
{{- define "ringway.planeNamespaces" -}}
{{- $plane := .Values.keptn.executionPlane }}
{{- if not $plane.enabled }}[]
{{- else }}{{ toJson (default (list (include "ringway.namespace" .)) $plane.namespaces | uniq) }}
{{- end }}
{{- end }}

{{/* Where the topology is: the name of a ConfigMap. */}}
{{- define "ringway.topologyConfigMap" -}}
{{- if .Values.topology.inline }}{{ include "ringway.fullname" . }}-topology{{ else }}{{ .Values.topology.existingConfigMap }}{{ end }}
{{- end }}

{{- define "ringway.isHub" -}}
{{- if or .Values.nats.gateway.enabled .Values.nats.leafnodes.enabled .Values.nats.websocket.enabled }}true{{ end }}
{{- end }}
