"""Container images without Docker and without a registry.

An image is a folder with an `image.toml` (`definition` documents the format). `build` turns it
into layers (`layers`, with Debian packages by `debian`), `archive` writes them as one file that
any container engine loads, and `store` hands that to the node's containerd.
"""
