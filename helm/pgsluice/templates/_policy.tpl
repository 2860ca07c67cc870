{{/* Ports and peers of a NetworkPolicy. */}}

{{/* host:port,host:port -> the ports; Kafka's own where none is said. */}}
{{- define "pgsluice.kafkaPorts" -}}
{{- $ports := list -}}
{{- range splitList "," (toString (get .Values.config "KAFKA_BOOTSTRAP_SERVERS")) -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" (trim .)) | default "9092" -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- .Values.networkPolicy.kafkaPorts | default (uniq $ports) | toYaml -}}
{{- end -}}

{{- define "pgsluice.postgresPorts" -}}
{{- $ports := list -}}
{{- range splitList "," (include "pgsluice.text" (list "PGPORT" (get .Values.config "PGPORT" | default 5432))) -}}
{{- $ports = append $ports (int .) -}}
{{- end -}}
{{- .Values.networkPolicy.postgresPorts | default (uniq $ports) | toYaml -}}
{{- end -}}

{{/* (dict "peers" [...] "ports" [...]) */}}
{{- define "pgsluice.egress" -}}
- ports:
  {{- range .ports }}
  - {port: {{ . }}, protocol: TCP}
  {{- end }}
  {{- with .peers }}
  to:
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* (dict "root" $ "components" [...]) */}}
{{- define "pgsluice.policy" -}}
{{- $policy := .root.Values.networkPolicy -}}
podSelector:
  matchLabels:
    app.kubernetes.io/name: {{ include "pgsluice.name" .root }}
    app.kubernetes.io/instance: {{ .root.Release.Name }}
  matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }}}
policyTypes: [Ingress, Egress]
{{- if not (has "migrate" .components) }}
ingress:
- ports:
  - {port: {{ .root.Values.http.port }}, protocol: TCP}
  {{- with $policy.ingressFrom }}
  from:
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
egress:
- ports:
  - {port: 53, protocol: UDP}
  - {port: 53, protocol: TCP}
{{ include "pgsluice.egress" (dict "peers" $policy.kafkaTo "ports" (include "pgsluice.kafkaPorts" .root | fromYamlArray)) }}
{{ include "pgsluice.egress" (dict "peers" $policy.postgresTo "ports" (include "pgsluice.postgresPorts" .root | fromYamlArray)) }}
{{- with $policy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
