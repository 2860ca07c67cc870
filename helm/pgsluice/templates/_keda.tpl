{{/* The topics whose lag counts; none of a regular expression. */}}
{{- define "pgsluice.kedaTopics" -}}
{{- $named := toString (get .Values.config "SINK_TOPICS") -}}
{{- if .Values.keda.topics -}}
{{- toYaml .Values.keda.topics -}}
{{- else if not (hasPrefix "^" $named) -}}
{{- $topics := list -}}
{{- range splitList "," $named }}{{ $topics = append $topics (trim .) }}{{ end -}}
{{- toYaml $topics -}}
{{- else -}}
[]
{{- end -}}
{{- end -}}
