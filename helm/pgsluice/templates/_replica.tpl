{{/* The pod template that a Deployment and a StatefulSet share. */}}

{{/* (dict "root" $ "path" "/livez" "probe" {...}) */}}
{{- define "pgsluice.probe" -}}
httpGet: {path: {{ .path }}, port: http}
{{ toYaml .probe }}
{{- end -}}

{{/* (dict "root" $ "args" ["run"]): the container that moves records, a replica's or a backfill's. */}}
{{- define "pgsluice.sinkContainer" -}}
{{- $variables := include "pgsluice.sinkVariables" .root | fromYaml -}}
{{ include "pgsluice.container" (dict "root" .root "name" "pgsluice" "args" .args "variables" $variables "secrets" .root.Values.secrets "resources" .root.Values.resources) }}
ports:
- {name: http, containerPort: {{ .root.Values.http.port }}, protocol: TCP}
startupProbe:
  {{- include "pgsluice.probe" (dict "path" "/livez" "probe" .root.Values.probes.startup) | nindent 2 }}
livenessProbe:
  {{- include "pgsluice.probe" (dict "path" "/livez" "probe" .root.Values.probes.liveness) | nindent 2 }}
readinessProbe:
  {{- include "pgsluice.probe" (dict "path" "/readyz" "probe" .root.Values.probes.readiness) | nindent 2 }}
{{- end -}}

{{- define "pgsluice.spread" -}}
{{- $sink := dict "root" . "component" "sink" -}}
topologySpreadConstraints:
{{- range .Values.topologySpread.topologyKeys }}
- topologyKey: {{ . }}
  maxSkew: 1
  whenUnsatisfiable: {{ $.Values.topologySpread.whenUnsatisfiable }}
  labelSelector:
    matchLabels:
      {{- include "pgsluice.selector" $sink | nindent 6 }}
  {{- if eq $.Values.workload.kind "Deployment" }}
  matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end -}}

{{- define "pgsluice.replica" -}}
{{- $sink := dict "root" . "component" "sink" -}}
metadata:
  {{- include "pgsluice.podMetadata" $sink | nindent 2 }}
spec:
  {{- include "pgsluice.podSettings" . | nindent 2 }}
  {{- if .Values.topologySpread.enabled }}
  {{- include "pgsluice.spread" . | nindent 2 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ include "pgsluice.gracePeriod" . }}
  {{- with .Values.initContainers }}
  initContainers:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  containers:
  - {{ include "pgsluice.sinkContainer" (dict "root" . "args" (list "run")) | nindent 4 | trim }}
  {{- with .Values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with include "pgsluice.sinkVolumes" . | trim }}
  volumes:
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "pgsluice.autoscaled" -}}
{{- if or .Values.hpa.enabled .Values.keda.enabled }}true{{ end -}}
{{- end -}}
