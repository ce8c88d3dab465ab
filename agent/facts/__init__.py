"""What kind of cluster this is, kept current for the control plane.

`collect` turns objects into facts (pure), `probe` finds out whether network policies are enforced,
`reporter` watches, collects and reports under the key `facts`.
"""
