"""A network-policy enforcer for one node, so that isolation can be tried for real.

It watches pods, namespaces and NetworkPolicies (`watch`), works out who may talk to whom (`rules`, from
the typed objects of `model`) and replaces one nftables table in a single transaction. It is a test
instrument in the place of the one that K3s has built in, and follows the same choices: it looks at addresses
after service translation, and refuses instead of dropping.
"""
