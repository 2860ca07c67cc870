{{/*
What the schema can not tell: values that do not fit together. Each check gives lines, "- what is wrong: what would be
right", and checks.yaml fails once with all of them.
*/}}

{{- define "pgsluice.checkRequired" -}}
{{- if not .Values.extraEnvFrom -}}
{{- $known := concat (keys .Values.config) (keys .Values.secrets) (include "pgsluice.extraNames" . | fromYamlArray) -}}
{{- range $name := list "KAFKA_BOOTSTRAP_SERVERS" "KAFKA_GROUP_ID" "SINK_TOPICS" -}}
{{- if not (or (has $name $known) (has (printf "%s_FILE" $name) $known)) }}
- config.{{ $name }} is required
{{- end }}
{{- end }}
{{- if not (or (has "PGHOST" $known) (has "PGHOSTADDR" $known) (has "PGSERVICE" $known)) }}
- config.PGHOST is required: in a pod there is no PostgreSQL to be found without it
{{- end }}
{{- end -}}
{{- end -}}

{{- define "pgsluice.extraNames" -}}
{{- $names := list -}}
{{- range .Values.extraEnv }}{{ $names = append $names .name }}{{ end -}}
{{- toYaml $names -}}
{{- end -}}

{{/* What would be the same for all replicas, or belongs to a value of its own. */}}
{{- define "pgsluice.checkOwned" -}}
{{- $owned := dict "SINK_HTTP_ADDRESS" "http.address and http.port make it" "KAFKA_GROUP_INSTANCE_ID" "workload.staticMembership makes one for each replica" "SINK_INSTANCE_ID" "each replica is called like its pod" -}}
{{- range $name, $why := $owned -}}
{{- if or (hasKey $.Values.config $name) (hasKey $.Values.secrets $name) (has $name (include "pgsluice.extraNames" $ | fromYamlArray)) }}
- {{ $name }} is the chart's own: {{ $why }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "pgsluice.checkSecrets" -}}
{{- range $name := concat (keys .Values.config) (keys .Values.migrations.config) | uniq | sortAlpha -}}
{{- if include "pgsluice.isSecret" $name }}
- config.{{ $name }} could be read by whoever sees the workload: put it into a Secret, and name that in secrets.{{ $name }}
{{- end }}
{{- end }}
{{- range .Values.extraEnv -}}
{{- if and .value (include "pgsluice.isSecret" .name) }}
- extraEnv has the value of {{ .name }} for whoever sees the workload to read: put it into a Secret, and name that in secrets.{{ .name }}
{{- end }}
{{- end }}
{{- include "pgsluice.checkNamed" (dict "root" . "where" "secrets" "secrets" .Values.secrets) }}
{{- include "pgsluice.checkNamed" (dict "root" . "where" "migrations.secrets" "secrets" .Values.migrations.secrets) }}
{{- end -}}

{{- define "pgsluice.checkNamed" -}}
{{- range $name, $entry := .secrets -}}
{{- if not (or (get ($entry | default dict) "existingSecret") $.root.Values.existingSecret) }}
- {{ $.where }}.{{ $name }} names no Secret: set its existingSecret, or existingSecret for all
{{- end }}
{{- end }}
{{- end -}}

{{/* (dict "root" $ "config" {...} "secrets" {...} "where" ""): NAME, or NAME and NAME_FILE, from two places. */}}
{{- define "pgsluice.checkTwice" -}}
{{- $where := .where -}}
{{- $config := .config -}}
{{- range $name := keys .secrets | sortAlpha -}}
{{- if hasKey $config $name }}
- {{ $name }} is in {{ $where }}config and in {{ $where }}secrets: leave one out
{{- end }}
{{- end }}
{{- range $name := concat (keys .config) (keys .secrets) | sortAlpha -}}
{{- if hasKey $config (printf "%s_FILE" $name) }}
- {{ $name }} is there, and {{ $name }}_FILE: leave one out
{{- end }}
{{- end }}
{{- end -}}

{{/* (dict "what" "extraEnv" "names" [...]) */}}
{{- define "pgsluice.checkRepeated" -}}
{{- $seen := list -}}
{{- $told := list -}}
{{- range .names -}}
{{- if and (has . $seen) (not (has . $told)) }}{{ $told = append $told . }}
- {{ $.what }} has {{ . }} twice
{{- end }}
{{- $seen = append $seen . -}}
{{- end }}
{{- end -}}

{{/* (list of objects, key) -> the values of the key */}}
{{- define "pgsluice.pluck" -}}
{{- $key := index . 1 -}}
{{- $values := list -}}
{{- range index . 0 }}{{ $values = append $values (get . $key) }}{{ end -}}
{{- toYaml $values -}}
{{- end -}}

{{- define "pgsluice.checkExtraEnv" -}}
{{- $extra := include "pgsluice.extraNames" . | fromYamlArray -}}
{{- include "pgsluice.checkRepeated" (dict "what" "extraEnv" "names" $extra) -}}
{{- $sink := include "pgsluice.sinkVariables" . | fromYaml -}}
{{- $migration := include "pgsluice.migrationVariables" . | fromYaml -}}
{{- $own := list "SINK_HTTP_ADDRESS" "KAFKA_GROUP_INSTANCE_ID" -}}
{{- range $name := uniq $extra -}}
{{- if and (or (hasKey $sink $name) (hasKey $migration $name)) (not (has $name $own)) }}
- extraEnv has {{ $name }}, which is set already: {{ if hasKey $.Values.secrets (trimSuffix "_FILE" $name) }}by secrets{{ else }}use config.{{ $name }}{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "pgsluice.checkVolumes" -}}
{{- $volumes := include "pgsluice.pluck" (list .Values.extraVolumes "name") | fromYamlArray -}}
{{- include "pgsluice.checkRepeated" (dict "what" "extraVolumes" "names" $volumes) -}}
{{- range $name := list "secrets" "sink-secrets" "files" -}}
{{- if has $name $volumes }}
- extraVolumes has {{ $name }}, which is a volume of the chart's own: call it otherwise
{{- end }}
{{- end }}
{{- $paths := include "pgsluice.pluck" (list .Values.extraVolumeMounts "mountPath") | fromYamlArray -}}
{{- include "pgsluice.checkRepeated" (dict "what" "extraVolumeMounts" "names" $paths) -}}
{{- range $path := list "/etc/pgsluice/secrets" "/etc/pgsluice/files" -}}
{{- if has $path $paths }}
- extraVolumeMounts has {{ $path }}, where the chart mounts something: mount it elsewhere
{{- end }}
{{- end }}
{{- end -}}

{{- define "pgsluice.checkContainers" -}}
{{- $names := concat .Values.initContainers .Values.extraContainers -}}
{{- $names = include "pgsluice.pluck" (list $names "name") | fromYamlArray -}}
{{- include "pgsluice.checkRepeated" (dict "what" "initContainers and extraContainers" "names" $names) -}}
{{- range $name := list "pgsluice" "migrate" "check-config" "lag" -}}
{{- if has $name $names }}
- initContainers and extraContainers can not have {{ $name }}: it is a container of the chart's own
{{- end }}
{{- end }}
{{- end -}}

{{- define "pgsluice.checkLabels" -}}
{{- range $name := concat (keys .Values.commonLabels) (keys .Values.podLabels) | uniq | sortAlpha -}}
{{- if has $name (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart") }}
- commonLabels and podLabels can not have {{ $name }}: the chart sets it
{{- end }}
{{- end }}
{{- range $name := keys .Values.podLabels | sortAlpha -}}
{{- if hasKey $.Values.commonLabels $name }}
- {{ $name }} is in commonLabels and in podLabels: leave one out
{{- end }}
{{- end }}
{{- end -}}

{{- define "pgsluice.checkWorkload" -}}
{{- if and .Values.workload.staticMembership (eq .Values.workload.kind "Deployment") }}
- workload.staticMembership needs names that last: set workload.kind to StatefulSet. A Deployment's pods have other names after each rollout
{{- end }}
{{- $still := and (eq (toString .Values.workload.maxSurge) "0") (eq (toString .Values.workload.maxUnavailable) "0") -}}
{{- if and $still (eq .Values.workload.kind "Deployment") }}
- workload.maxSurge and workload.maxUnavailable are both 0, so a rollout could not begin: set one of them
{{- end }}
{{- end -}}

{{- define "pgsluice.checkScaling" -}}
{{- if and .Values.hpa.enabled .Values.keda.enabled }}
- hpa.enabled and keda.enabled would both set the number of replicas: enable one of them
{{- end }}
{{- if and .Values.workload.staticMembership (include "pgsluice.autoscaled" .) }}
- workload.staticMembership does not go with autoscaling: what a static member had stays idle until its session ends
{{- end }}
{{- range $scaler := list "hpa" "keda" -}}
{{- $values := get $.Values $scaler -}}
{{- if and $values.enabled (gt (int $values.minReplicas) (int $values.maxReplicas)) }}
- {{ $scaler }}.minReplicas is above {{ $scaler }}.maxReplicas
{{- end }}
{{- end }}
{{- include "pgsluice.checkHpa" . }}
{{- include "pgsluice.checkKeda" . }}
{{- end -}}

{{- define "pgsluice.checkHpa" -}}
{{- if .Values.hpa.enabled -}}
{{- if not (or .Values.hpa.cpu .Values.hpa.memory) }}
- hpa has nothing to look at: set hpa.cpu or hpa.memory
{{- end }}
{{- range $resource := list "cpu" "memory" -}}
{{- if and (get $.Values.hpa $resource) (not (dig "requests" $resource "" $.Values.resources)) }}
- hpa.{{ $resource }} is a percentage of resources.requests.{{ $resource }}, which is not set
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "pgsluice.checkKeda" -}}
{{- if .Values.keda.enabled -}}
{{- range $name := list "KAFKA_BOOTSTRAP_SERVERS" "KAFKA_GROUP_ID" -}}
{{- if not (hasKey $.Values.config $name) }}
- keda needs config.{{ $name }}: it asks Kafka by itself
{{- end }}
{{- end }}
{{- if not (include "pgsluice.kedaTopics" . | fromYamlArray) }}
- keda.topics is required: KEDA can not look at the topics of a regular expression
{{- end }}
{{- end -}}
{{- end -}}

{{- define "pgsluice.checkMonitors" -}}
{{- if and .Values.podMonitor.enabled .Values.serviceMonitor.enabled }}
- podMonitor.enabled and serviceMonitor.enabled would both scrape each replica: enable one of them
{{- end }}
{{- end -}}

{{/* Records in memory are half of it at most: librdkafka, libpq and what is being encoded have the rest. */}}
{{- define "pgsluice.checkMemory" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources -}}
{{- if $limit -}}
{{- $held := include "pgsluice.bytes" (get .Values.config "SINK_MEMORY_LIMIT" | default "256MiB") | int64 -}}
{{- if gt (mul 2 $held) (include "pgsluice.bytes" $limit | int64) }}
- config.SINK_MEMORY_LIMIT ({{ get .Values.config "SINK_MEMORY_LIMIT" | default "256MiB" }}) is above half of resources.limits.memory ({{ $limit }}): the program needs memory beside the records that it holds
{{- end }}
{{- end -}}
{{- end -}}

{{- define "pgsluice.checkStream" -}}
{{- range $name := list "from" "to" "untilLive" "partitions" "name" -}}
{{- if get $.Values.backfill $name }}
- backfill.{{ $name }} is without effect with mode stream: a backfill is a release of its own, with mode backfill
{{- end }}
{{- end }}
{{- end -}}

{{- define "pgsluice.checkBackfill" -}}
{{- if and (not .Values.backfill.from) (ne (toString .Values.backfill.from) "0") }}
- backfill.from is required with mode backfill, as in earliest or -90d
{{- end }}
{{- if and .Values.backfill.to .Values.backfill.untilLive }}
- backfill.to and backfill.untilLive are two ends: leave one out
{{- end }}
{{- range $name := list "hpa" "keda" "serviceMonitor" "prometheusRule" "dashboard" "service" -}}
{{- if (get $.Values $name).enabled }}
- {{ $name }}.enabled is for mode stream: a backfill is a Job that ends by itself
{{- end }}
{{- end }}
{{- if eq .Values.workload.kind "StatefulSet" }}
- workload.kind StatefulSet is for mode stream: a backfill is a Job
{{- end }}
{{- if .Values.workload.staticMembership }}
- workload.staticMembership is for mode stream: a backfill joins no group
{{- end }}
{{- if .Values.extraContainers }}
- extraContainers would keep a backfill's pods from ending: use initContainers with restartPolicy Always
{{- end }}
{{- if semverCompare "<1.29.0-0" .Capabilities.KubeVersion.Version }}
- mode backfill needs Kubernetes 1.29 or later, where an index of a Job can fail by itself; this is {{ .Capabilities.KubeVersion.Version }}
{{- end }}
{{- end -}}

{{- define "pgsluice.checkAll" -}}
{{- include "pgsluice.checkRequired" . }}
{{- include "pgsluice.checkOwned" . }}
{{- include "pgsluice.checkSecrets" . }}
{{- include "pgsluice.checkTwice" (dict "where" "" "config" .Values.config "secrets" .Values.secrets) }}
{{- include "pgsluice.checkTwice" (dict "where" "migrations." "config" .Values.migrations.config "secrets" .Values.migrations.secrets) }}
{{- include "pgsluice.checkExtraEnv" . }}
{{- include "pgsluice.checkVolumes" . }}
{{- include "pgsluice.checkContainers" . }}
{{- include "pgsluice.checkLabels" . }}
{{- include "pgsluice.checkWorkload" . }}
{{- include "pgsluice.checkScaling" . }}
{{- include "pgsluice.checkMonitors" . }}
{{- include "pgsluice.checkMemory" . }}
{{- include (ternary "pgsluice.checkBackfill" "pgsluice.checkStream" (eq .Values.mode "backfill")) . }}
{{- end -}}
