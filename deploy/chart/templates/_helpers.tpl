{{- define "contour.labels" -}}
app.kubernetes.io/name: contour
app.kubernetes.io/part-of: contour
app.kubernetes.io/instance: {{ .Release.Name | toJson }}
app.kubernetes.io/version: {{ .Chart.AppVersion | toJson }}
{{- range $key, $value := .Values.commonLabels }}
{{ $key | toJson }}: {{ $value | toJson }}
{{- end }}
{{- end -}}

{{- define "contour.image" -}}
image: {{ printf "%s:%s" .Values.image.contour.repository (.Values.image.contour.tag | default .Chart.AppVersion) | toJson }}
imagePullPolicy: {{ .Values.image.contour.pullPolicy | toJson }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{- define "contour.envoyImage" -}}
image: {{ printf "%s:%s" .Values.image.envoy.repository .Values.image.envoy.tag | toJson }}
imagePullPolicy: {{ .Values.image.envoy.pullPolicy | toJson }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{- /* What is the same for every Pod, and for each container: the Pod Security level `restricted`. */}}
{{- define "contour.pod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65534
  runAsGroup: 65534
  fsGroup: 65534
  seccompProfile: {type: RuntimeDefault}
enableServiceLinks: false
imagePullSecrets: {{ .Values.image.pullSecrets | toJson }}
{{- end -}}

{{- define "contour.security" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- /* What the controller reads of everybody, and writes to it. */}}
{{- define "contour.rules" -}}
- apiGroups: [""]
  resources: [services, secrets]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [contour.heptio.com]
  resources: [ingressroutes, tlscertificatedelegations]
  verbs: [list, watch]
- apiGroups: [contour.heptio.com]
  resources: [ingressroutes/status, tlscertificatedelegations/status]
  verbs: [patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
# Shifts whose client is gone: whose they were, and their weights.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [list, patch]
- apiGroups: [contour.heptio.com]
  resources: [ingressroutes]
  verbs: [get, patch]
{{- end -}}

{{- define "contour.certgen" -}}
metadata:
  labels:
    app: contour-certgen
    {{- include "contour.labels" . | nindent 4 }}
    app.kubernetes.io/component: certgen
spec:
  serviceAccountName: contour-certgen
  restartPolicy: Never
  {{- include "contour.pod" . | nindent 2 }}
  containers:
  - name: certgen
    {{- include "contour.image" . | nindent 4 }}
    {{- include "contour.security" . | nindent 4 }}
    args:
    - certgen
    - --kube
    - --incluster
    - --secrets-format=compact
    - {{ printf "--namespace=%s" .Release.Namespace | toJson }}
    - --certificate-lifetime
    - {{ .Values.certificates.lifetimeDays | toJson | quote }}
{{- end -}}
