{{/* What is allowed, but may not be meant. */}}

{{- define "pgsluice.mostReplicas" -}}
{{- if .Values.hpa.enabled }}{{ .Values.hpa.maxReplicas }}{{ else if .Values.keda.enabled }}{{ .Values.keda.maxReplicas }}{{ else }}{{ .Values.replicas }}{{ end -}}
{{- end -}}

{{/* One replica more while it rolls; one connection more for the start, and then for the history of lag. */}}
{{- define "pgsluice.connections" -}}
{{- mul (include "pgsluice.mostReplicas" . | int | add 1) (get .Values.config "SINK_POOL_MAX" | default 8 | int | add 1) -}}
{{- end -}}

{{- define "pgsluice.streamWarnings" -}}
{{- if and (eq (int .Values.replicas) 1) (not (include "pgsluice.autoscaled" .)) }}
- replicas is 1: while its node is away, nothing is moved
{{- end }}
{{- if and .Values.hpa.enabled .Values.hpa.memory }}
- hpa.memory: what a replica holds does not shrink with its load, so it rarely scales down
{{- end }}
{{- if and .Values.hpa.enabled (not .Values.keda.enabled) }}
- hpa looks at processor and memory; a replica that waits for PostgreSQL uses neither while lag grows. keda looks at lag
{{- end }}
{{- if and .Values.workload.staticMembership (not (hasKey .Values.config "KAFKA_SESSION_TIMEOUT_MS")) }}
- workload.staticMembership: what a replica had stays idle while it restarts, up to KAFKA_SESSION_TIMEOUT_MS (45 s)
{{- end }}
{{- if not (or .Values.podMonitor.enabled .Values.serviceMonitor.enabled) }}
- nothing scrapes it: podMonitor.enabled, with prometheusRule.enabled for the alerts
{{- end }}
{{- if eq .Values.migrations.mode "none" }}
- migrations.mode is none: the replicas' role has to be one that may CREATE, or SINK_MIGRATE is check and somebody else makes the schema
{{- end }}
{{- end -}}

{{- define "pgsluice.warnings" -}}
{{- if eq .Values.mode "stream" }}{{ include "pgsluice.streamWarnings" . }}{{ end }}
{{- if not (dig "limits" "memory" "" .Values.resources) }}
- resources.limits.memory is not set: keep SINK_MEMORY_LIMIT below half of what the node can give
{{- end }}
{{- if not (dig "limits" "cpu" "" .Values.resources) }}
- resources.limits.cpu is not set: SINK_WORKERS follows the cores of the node
{{- end }}
{{- if or (eq (toString .Values.image.tag) "latest") (and (not .Values.image.registry) (not (get (.Values.global | default dict) "imageRegistry"))) }}
- image {{ include "pgsluice.image" . }}: {{ ternary "latest is another one every day" "no registry is named" (eq (toString .Values.image.tag) "latest") }}
{{- end }}
{{- if and (not .Values.secrets) (not .Values.extraEnvFrom) }}
- secrets is empty: Kafka and PostgreSQL are asked without a password
{{- end }}
{{- if has (toString (get .Values.config "PGSSLMODE")) (list "disable" "allow" "prefer") }}
- PGSSLMODE {{ .Values.config.PGSSLMODE }}: passwords and rows may travel in the clear
{{- end }}
{{- end -}}
