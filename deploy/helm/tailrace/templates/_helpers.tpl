{{- define "tailrace.name" -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "tailrace.selector" -}}
app.kubernetes.io/name: tailrace
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "tailrace.labels" -}}
{{ include "tailrace.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "tailrace.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "tailrace.name" .) -}}
{{- end -}}

{{- define "tailrace.secret" -}}
{{- .Values.secret.existing | default (include "tailrace.name" .) -}}
{{- end -}}

{{- /* The names of the secret variables, separated by commas; empty for none. */ -}}
{{- define "tailrace.secretKeys" -}}
{{- if .Values.secret.existing -}}
{{- join "," .Values.secret.keys -}}
{{- else -}}
{{- join "," (keys .Values.secret.values | sortAlpha) -}}
{{- end -}}
{{- end -}}
