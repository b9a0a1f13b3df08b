"""A local cloud and a stand-in for viam-server: tests, benchmarks and the demo stand on them."""
