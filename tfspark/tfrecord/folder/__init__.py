"""Folders of TFRecord files: manifest, commits, reading a part."""
