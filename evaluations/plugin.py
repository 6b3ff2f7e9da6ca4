"""The pytest plugin of the laboratory: options, identity of every cell, and the table, page and file made from its records."""
