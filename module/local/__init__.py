"""A local cloud and a stand-in for viam-server, which tests, benchmarks and the demo use."""
