{{/*
Settings as environment variables. All of a container's come from one map, name -> entry, so no name can be there
twice; an entry is what stands below `name:` in a container's list. The map travels as YAML between templates.
*/}}

{{/* (list name value): a value as the program reads it. YAML 1.1 makes booleans of on and off, and floats of numbers. */}}
{{- define "pgsluice.text" -}}
{{- $name := index . 0 -}}
{{- $value := index . 1 -}}
{{- if kindIs "bool" $value -}}
{{- if hasPrefix "SINK_" $name }}{{ ternary "on" "off" $value }}{{ else }}{{ $value }}{{ end -}}
{{- else if kindIs "float64" $value -}}
{{- if eq $value (floor $value) }}{{ printf "%.0f" $value }}{{ else }}{{ $value }}{{ end -}}
{{- else -}}
{{- $value -}}
{{- end -}}
{{- end -}}

{{/* Settings whose value is itself the path of a file. */}}
{{- define "pgsluice.isPath" -}}
{{- if or (regexMatch "^PG(SSL(CERT|KEY|ROOTCERT|CRL)|PASSFILE|SERVICEFILE)$" .) (regexMatch "^KAFKA_.*_LOCATION$" .) -}}
true
{{- end -}}
{{- end -}}

{{/* Settings of libpq that it reads from no file: they stand in the environment, out of the Secret. */}}
{{- define "pgsluice.isPlain" -}}
{{- if and (hasPrefix "PG" .) (ne . "PGPASSWORD") (not (include "pgsluice.isPath" .)) -}}
true
{{- end -}}
{{- end -}}

{{/* A name that holds a secret: it may not stand in a workload for everybody to read. */}}
{{- define "pgsluice.isSecret" -}}
{{- if regexMatch "^(PGPASSWORD|KAFKA_.*(PASSWORD|PASSPHRASE|SECRET|_PEM|_JAAS_CONFIG|OAUTHBEARER_CONFIG))$" . -}}
true
{{- end -}}
{{- end -}}

{{/* (dict "root" $ "entry" {key, existingSecret}) */}}
{{- define "pgsluice.secretName" -}}
{{- .entry.existingSecret | default .root.Values.existingSecret -}}
{{- end -}}

{{/* (dict "root" $ "name" "PGPASSWORD" "entry" {...}): the variable, or that which names the file. */}}
{{- define "pgsluice.secretVariable" -}}
{{- $path := printf "/etc/pgsluice/secrets/%s" .name -}}
{{- if include "pgsluice.isPlain" .name -}}
{{ .name }}: {valueFrom: {secretKeyRef: {name: {{ include "pgsluice.secretName" . | quote }}, key: {{ .entry.key | default .name | quote }}}}}
{{- else if include "pgsluice.isPath" .name -}}
{{ .name }}: {value: {{ $path | quote }}}
{{- else -}}
{{ .name }}_FILE: {value: {{ $path | quote }}}
{{- end -}}
{{- end -}}

{{/*
Encoding threads for a container that may use so many cores: as many as the program takes for itself where it sees
the cores, which in a container are the node's.
*/}}
{{- define "pgsluice.workers" -}}
{{- $cpu := toString . -}}
{{- $cores := ternary (divf (trimSuffix "m" $cpu | float64) 1000) (float64 $cpu) (hasSuffix "m" $cpu) -}}
{{- max 1 (sub (ceil $cores) 1) -}}
{{- end -}}

{{/* (dict "root" $ "config" {...} "secrets" {...}): the map of these alone. */}}
{{- define "pgsluice.variables" -}}
{{- $root := .root -}}
{{- range $name, $value := .config }}
{{ $name }}: {value: {{ include "pgsluice.text" (list $name $value) | replace "$(" "$$(" | quote }}}
{{- end }}
{{- range $name, $entry := .secrets }}
{{ include "pgsluice.secretVariable" (dict "root" $root "name" $name "entry" ($entry | default dict)) }}
{{- end }}
{{- end -}}

{{/* What the chart itself sets for those that move records. */}}
{{- define "pgsluice.ownVariables" -}}
SINK_HTTP_ADDRESS: {value: {{ printf "%s:%v" .Values.http.address .Values.http.port | quote }}}
{{- with dig "limits" "cpu" "" .Values.resources }}
{{- if not (hasKey $.Values.config "SINK_WORKERS") }}
SINK_WORKERS: {value: {{ include "pgsluice.workers" . | quote }}}
{{- end }}
{{- end }}
{{- if and (eq .Values.migrations.mode "hook") (not (hasKey .Values.config "SINK_MIGRATE")) }}
SINK_MIGRATE: {value: check}
{{- end }}
{{- if .Values.workload.staticMembership }}
KAFKA_GROUP_INSTANCE_ID: {valueFrom: {fieldRef: {fieldPath: metadata.name}}}
{{- end }}
{{- end -}}

{{/* The map of a replica, or of a pod of a backfill. */}}
{{- define "pgsluice.sinkVariables" -}}
{{- $own := include "pgsluice.ownVariables" . | fromYaml -}}
{{- $given := include "pgsluice.variables" (dict "root" . "config" .Values.config "secrets" .Values.secrets) | fromYaml -}}
{{- include "pgsluice.overlay" (list $own $given) -}}
{{- end -}}

{{/* (list under over): a map with the entries of both, an entry of the second whole instead of the first's. */}}
{{- define "pgsluice.overlay" -}}
{{- $both := dict -}}
{{- range . -}}
{{- range $name, $entry := . }}{{ $_ := set $both $name $entry }}{{ end -}}
{{- end -}}
{{- toYaml $both -}}
{{- end -}}

{{/* `pgsluice migrate` needs no more than PG*; what it logs is to look alike. */}}
{{- define "pgsluice.migrationSecrets" -}}
{{- $secrets := dict -}}
{{- range $name, $entry := .Values.secrets -}}
{{- if and (hasPrefix "PG" $name) (not (hasKey $.Values.migrations.config $name)) -}}
{{- $_ := set $secrets $name ($entry | default dict) -}}
{{- end -}}
{{- end -}}
{{- include "pgsluice.overlay" (list $secrets .Values.migrations.secrets) -}}
{{- end -}}

{{- define "pgsluice.migrationConfig" -}}
{{- $config := dict -}}
{{- range $name, $value := .Values.config -}}
{{- $concerns := regexMatch "^(PG.*|SINK_LOG_.*|SINK_CONNECT_TIMEOUT_MS)$" $name -}}
{{- if and $concerns (not (hasKey $.Values.migrations.secrets $name)) -}}
{{- $_ := set $config $name $value -}}
{{- end -}}
{{- end -}}
{{- include "pgsluice.overlay" (list $config .Values.migrations.config) -}}
{{- end -}}

{{- define "pgsluice.migrationVariables" -}}
{{- $config := include "pgsluice.migrationConfig" . | fromYaml -}}
{{- $secrets := include "pgsluice.migrationSecrets" . | fromYaml -}}
{{- include "pgsluice.variables" (dict "root" . "config" $config "secrets" $secrets) -}}
{{- end -}}

{{/* (dict "root" $ "variables" {...}): the list of a container. */}}
{{- define "pgsluice.env" -}}
{{- range $name, $entry := .variables }}
- name: {{ $name }}
  {{- toYaml $entry | nindent 2 }}
{{- end }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Those of a map that are files. */}}
{{- define "pgsluice.secretFiles" -}}
{{- $files := dict -}}
{{- range $name, $entry := . -}}
{{- if not (include "pgsluice.isPlain" $name) }}{{ $_ := set $files $name ($entry | default dict) }}{{ end -}}
{{- end -}}
{{- $files | toYaml -}}
{{- end -}}

{{/* 1GiB -> bytes, as Kubernetes and as the program write it. */}}
{{- define "pgsluice.bytes" -}}
{{- $text := toString . -}}
{{- if kindIs "float64" . }}{{ $text = printf "%.0f" . }}{{ end -}}
{{- $units := dict "" 1 "B" 1 "m" 0.001 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- $units = merge $units (dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776) -}}
{{- $units = merge $units (dict "KiB" 1024 "MiB" 1048576 "GiB" 1073741824) -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- if not (and $number (hasKey $units $unit)) -}}
{{- fail (printf "%s is no size: a number, and one of m, k, M, G, T, Ki, Mi, Gi, Ti behind it" $text) -}}
{{- end -}}
{{- mulf (float64 $number) (get $units $unit) | int64 -}}
{{- end -}}
