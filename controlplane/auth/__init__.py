"""Who calls, and what they may call. Used by the authentication interceptor and by `skerry-controlplane token`."""
