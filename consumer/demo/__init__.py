"""`deedbox demo`: a private broker, generated notifications, a crash, and a comparison of the archives with the published messages."""
