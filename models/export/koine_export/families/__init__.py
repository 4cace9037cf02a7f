"""One module a family of potentials; see ``koine_export.family`` for what it provides."""
