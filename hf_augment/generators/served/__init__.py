"""Language models behind an address as generators of texts."""
