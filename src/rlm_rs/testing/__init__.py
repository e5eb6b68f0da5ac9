"""For users and for our own tests: scripted models, a wire-compatible server, and the ports' contracts."""
