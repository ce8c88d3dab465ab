"""The keys that variables are encrypted with: the file they are in, and what is done with them."""
