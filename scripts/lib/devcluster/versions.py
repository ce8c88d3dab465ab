"""What is built, in which version, and how long it took on two cores. The one place for such numbers."""

KUBERNETES = "1.35.4"
COREDNS = "1.14.7"
LOCAL_PATH_PROVISIONER = "0.0.30"
HELM_CONTROLLER = "0.17.9"
HELM = "4.1.0"
METRICS_SERVER = "0.9.0"
GRPCURL = "1.9.4"
GARAGE = "2.5.0"
KUBECTL_WHEEL = "1.36.3"
GO_WHEEL = "1.27.3"

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
