"""Peers that speak the real protocol with scripted state: doubles of the other side, never of a library."""
