"""The words of the control plane: resources, states, ids, errors. Standard library only; all packages may import it."""
