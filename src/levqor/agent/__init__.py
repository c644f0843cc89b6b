"""The one supervisor: it keeps the store, the control plane and the workers alive, and ends them without a trace."""
