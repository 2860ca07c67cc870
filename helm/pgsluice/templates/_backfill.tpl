{{/* The command of each pod. Never --restart: the second pod of an index would load again what the first one has. */}}
{{- define "pgsluice.backfillArgs" -}}
{{- $backfill := .Values.backfill -}}
{{- $args := list "backfill" "--from" (include "pgsluice.text" (list "from" $backfill.from)) -}}
{{- with $backfill.to }}{{ $args = concat $args (list "--to" (include "pgsluice.text" (list "to" .))) }}{{ end -}}
{{- if $backfill.untilLive }}{{ $args = append $args "--until-live" }}{{ end -}}
{{- with $backfill.partitions }}{{ $args = concat $args (list "--partitions" (include "pgsluice.text" (list "partitions" .))) }}{{ end -}}
{{- with $backfill.name }}{{ $args = concat $args (list "--name" .) }}{{ end -}}
{{- $args = concat $args (list "--parallel" (toString $backfill.parallel)) -}}
{{- concat $args (list "--index" "$(JOB_COMPLETION_INDEX)" "--of" (toString $backfill.processes)) | toYaml -}}
{{- end -}}

{{- define "pgsluice.backfillPod" -}}
{{- $args := include "pgsluice.backfillArgs" . | fromYamlArray -}}
metadata:
  {{- include "pgsluice.podMetadata" (dict "root" . "component" "backfill") | nindent 2 }}
spec:
  {{- include "pgsluice.podSettings" . | nindent 2 }}
  restartPolicy: Never
  terminationGracePeriodSeconds: {{ include "pgsluice.gracePeriod" . }}
  {{- with .Values.initContainers }}
  initContainers:
  {{- toYaml . | nindent 2 }}
  {{- end }}
  containers:
  - {{ include "pgsluice.sinkContainer" (dict "root" . "args" $args) | nindent 4 | trim }}
  {{- with include "pgsluice.sinkVolumes" . | trim }}
  volumes:
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}
