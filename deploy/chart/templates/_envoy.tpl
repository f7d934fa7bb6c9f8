{{- /* The Pod of Envoy, of a DaemonSet or a Deployment. How it ends: docs/shutdown.md. */}}
{{- define "contour.envoyPod" -}}
metadata:
  labels:
    app: envoy
    {{- include "contour.labels" . | nindent 4 }}
    app.kubernetes.io/component: envoy
  annotations:
    prometheus.io/scrape: "true"
    prometheus.io/port: "8002"
    prometheus.io/path: /stats/prometheus
    {{- range $key, $value := .Values.envoy.podAnnotations }}
    {{ $key | toJson }}: {{ $value | toJson }}
    {{- end }}
spec:
  serviceAccountName: envoy
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: {{ .Values.envoy.shutdown.terminationGracePeriodSeconds | toJson }}
  {{- include "contour.pod" . | nindent 2 }}
  nodeSelector: {{ .Values.envoy.nodeSelector | toJson }}
  tolerations: {{ .Values.envoy.tolerations | toJson }}
  affinity: {{ .Values.envoy.affinity | toJson }}
  {{- if .Values.envoy.priorityClassName }}
  priorityClassName: {{ .Values.envoy.priorityClassName | toJson }}
  {{- end }}
  {{- if eq .Values.envoy.kind "Deployment" }}
  topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: {{ .Values.envoy.whenUnsatisfiable | toJson }}
    labelSelector: {matchLabels: {app: envoy}}
    matchLabelKeys: [pod-template-hash]
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector: {matchLabels: {app: envoy}}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
  initContainers:
  - name: bootstrap
    {{- include "contour.envoyImage" . | nindent 4 }}
    {{- include "contour.security" . | nindent 4 }}
    command: [/bin/contour]
    args:
    - bootstrap
    - /config/envoy.json
    - --admin-address=/admin/admin.sock
    - --xds-address=contour
    - --xds-port=8001
    - --resources-dir=/config/resources
    - --envoy-cafile=/certs/ca.crt
    - --envoy-cert-file=/certs/tls.crt
    - --envoy-key-file=/certs/tls.key
    {{- if .Values.envoy.maxHeapBytes }}
    - --overload-max-heap
    - {{ .Values.envoy.maxHeapBytes | toJson | quote }}
    {{- end }}
    {{- if .Values.envoy.maxConnections }}
    - --overload-downstream-max-conn
    - {{ .Values.envoy.maxConnections | toJson | quote }}
    {{- end }}
    env:
    - name: CONTOUR_NAMESPACE
      valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
    {{- if dig "limits" "memory" "" .Values.envoy.resources }}
    - name: ENVOY_MEMORY_LIMIT
      valueFrom: {resourceFieldRef: {containerName: envoy, resource: limits.memory}}
    {{- end }}
    resources: {{ .Values.envoy.shutdown.resources | toJson }}
    volumeMounts:
    - {name: config, mountPath: /config}
    - {name: certs, mountPath: /certs, readOnly: true}
  containers:
  - name: envoy
    {{- include "contour.envoyImage" . | nindent 4 }}
    {{- include "contour.security" . | nindent 4 }}
    command: [/bin/envoy]
    args:
    - -c
    - /config/envoy.json
    - --service-cluster
    - envoy
    - --service-node
    - $(POD_NAME)
    - --disable-hot-restart
    - --log-level
    - {{ .Values.envoy.logLevel | toJson }}
    {{- if .Values.envoy.concurrency }}
    - --concurrency
    - {{ .Values.envoy.concurrency | toJson | quote }}
    {{- end }}
    {{- range .Values.envoy.extraArgs }}
    - {{ . | toJson }}
    {{- end }}
    env:
    - name: POD_NAME
      valueFrom: {fieldRef: {fieldPath: metadata.name}}
    ports:
    - {name: http, containerPort: 8080, protocol: TCP}
    - {name: https, containerPort: 8443, protocol: TCP}
    - {name: metrics, containerPort: 8002, protocol: TCP}
    readinessProbe:
      httpGet: {path: /ready, port: 8002}
      periodSeconds: 2
    lifecycle:
      preStop:
        httpGet: {path: /shutdown, port: 8090, scheme: HTTP}
    resources: {{ .Values.envoy.resources | toJson }}
    volumeMounts:
    - {name: config, mountPath: /config, readOnly: true}
    - {name: certs, mountPath: /certs, readOnly: true}
    - {name: admin, mountPath: /admin}
  - name: shutdown-manager
    {{- include "contour.envoyImage" . | nindent 4 }}
    {{- include "contour.security" . | nindent 4 }}
    command: [/bin/contour]
    args: [envoy, shutdown-manager]
    lifecycle:
      preStop:
        exec:
          command:
          - /bin/contour
          - envoy
          - shutdown
          - {{ printf "--drain-delay=%s" .Values.envoy.shutdown.drainDelay | toJson }}
          - {{ printf "--check-delay=%s" .Values.envoy.shutdown.checkDelay | toJson }}
          - {{ printf "--check-interval=%s" .Values.envoy.shutdown.checkInterval | toJson }}
          - --min-open-connections
          - {{ .Values.envoy.shutdown.minOpenConnections | toJson | quote }}
    resources: {{ .Values.envoy.shutdown.resources | toJson }}
    volumeMounts:
    - {name: admin, mountPath: /admin}
  volumes:
  - name: config
    emptyDir: {}
  - name: admin
    emptyDir: {medium: Memory, sizeLimit: 1Mi}
  - name: certs
    secret:
      secretName: envoycert
      defaultMode: 288 # 0440
{{- end -}}
