"""Jobs: the projection of the log, and the documents that it makes."""
