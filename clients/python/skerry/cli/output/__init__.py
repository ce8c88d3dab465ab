"""What commands print: data on stdout in one of four forms, messages on stderr."""
