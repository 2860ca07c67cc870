{{/* What all pods have in common: replicas, backfill, migration, test. */}}

{{- define "pgsluice.podMetadata" -}}
labels:
  {{- include "pgsluice.selector" . | nindent 2 }}
  {{- with mergeOverwrite (dict) .root.Values.commonLabels .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- $annotations := mergeOverwrite (dict) .root.Values.commonAnnotations .root.Values.podAnnotations -}}
{{- if .root.Values.files }}{{ $_ := set $annotations "checksum/files" (toYaml .root.Values.files | sha256sum) }}{{ end }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where it runs, and as whom: all of a pod's spec but containers and volumes. */}}
{{- define "pgsluice.podSettings" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with concat .Values.imagePullSecrets (get (.Values.global | default dict) "imagePullSecrets" | default list) }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" "dnsConfig" }}
{{- with get $.Values $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "name" "pgsluice" "args" [...] "variables" {...} "secrets" {...} "resources" {...}) */}}
{{- define "pgsluice.container" -}}
name: {{ .name }}
image: {{ include "pgsluice.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: {{ toJson .args }}
env:
  {{- include "pgsluice.env" . | trim | nindent 2 }}
{{- with .root.Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
{{- with include "pgsluice.mounts" . | trim }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "pgsluice.mounts" -}}
{{- if include "pgsluice.secretFiles" .secrets | fromYaml }}
- {name: {{ .secretsVolume | default "secrets" }}, mountPath: /etc/pgsluice/secrets, readOnly: true}
{{- end }}
{{- if .root.Values.files }}
- {name: files, mountPath: /etc/pgsluice/files, readOnly: true}
{{- end }}
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "name" "secrets" "secrets" {...}): one file for each setting, from whichever Secrets. */}}
{{- define "pgsluice.secretsVolume" -}}
{{- $root := .root -}}
{{- with include "pgsluice.secretFiles" .secrets | fromYaml }}
- name: {{ $.name }}
  projected:
    defaultMode: 0440
    sources:
    {{- range $name, $entry := . }}
    - secret:
        name: {{ include "pgsluice.secretName" (dict "root" $root "entry" $entry) | quote }}
        items: [{key: {{ $entry.key | default $name | quote }}, path: {{ $name }}}]
    {{- end }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "filesSuffix" "-files"): the ConfigMap of files, and what the user adds. */}}
{{- define "pgsluice.otherVolumes" -}}
{{- if .root.Values.files }}
- name: files
  configMap: {name: {{ include "pgsluice.fullname" .root }}{{ .filesSuffix }}}
{{- end }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "pgsluice.sinkVolumes" -}}
{{- include "pgsluice.secretsVolume" (dict "root" . "name" "secrets" "secrets" .Values.secrets) }}
{{- include "pgsluice.otherVolumes" (dict "root" . "filesSuffix" "-files") }}
{{- end -}}

{{/* The end of a pod: its drain, and then some. */}}
{{- define "pgsluice.gracePeriod" -}}
{{- $drain := get .Values.config "SINK_DRAIN_TIMEOUT_MS" | default 30000 | float64 -}}
{{- add (ceil (divf $drain 1000)) .Values.terminationGraceExtraSeconds -}}
{{- end -}}

{{/* With files that exist before the release does, in a ConfigMap of the hook's own. */}}
{{- define "pgsluice.migrationVolumes" -}}
{{- include "pgsluice.secretsVolume" (dict "root" . "name" "secrets" "secrets" (include "pgsluice.migrationSecrets" . | fromYaml)) }}
{{- if .Values.migrations.checkConfig }}
{{- include "pgsluice.secretsVolume" (dict "root" . "name" "sink-secrets" "secrets" .Values.secrets) }}
{{- end }}
{{- include "pgsluice.otherVolumes" (dict "root" . "filesSuffix" "-migrate-files") }}
{{- end -}}
