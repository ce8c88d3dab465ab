"""`skerry-agent convert`: the converter on files, without a cluster or a control plane.

`command` is the command; `reading` finds its input, `findings` and `manifests` print what comes out.
Mounted by `agent.__main__`.
"""
