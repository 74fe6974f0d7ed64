"""The configuration: read, checked in sentences, split by job, drafted from a file."""
