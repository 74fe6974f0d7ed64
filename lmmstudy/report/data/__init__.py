"""The numbers of a page as files."""
