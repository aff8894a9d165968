"""Rows as people have them, in files, folders and on the Hub, as one shape; and the parts they are divided into."""
