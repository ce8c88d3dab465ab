"""The client's methods, one module a service of the contract. Made by `skerry.client`."""
