"""The fuzz: small volumes with damage that knows their structure, each examined in a process of its own."""
