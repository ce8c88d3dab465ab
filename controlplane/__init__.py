"""The control plane: who may do what, what is wanted and where it goes. It never talks to Kubernetes."""
