"""Partner Center for Python: the client, its models and its errors. Usable without Pulumi."""
