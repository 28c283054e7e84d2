"""Rulers for edits: of pixels, and of two small networks whose weights come with other packages."""
