"""Metrics of edits: pixel metrics, and two small networks whose weights come from other packages."""
